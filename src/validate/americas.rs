//! Numbers of the United States, Canada and Brazil.
//!
//! Sources: SSA and IRS publications on the parts of SSN and ITIN (neither has a check
//! digit), the ABA routing number policy, CRA on the SIN, Receita Federal on the CPF.

use super::Check;
use super::checksum::{digits, luhn, number, repeated, weighted};

/// Social security number: area not 000, 666 or 9xx, group not 00, serial not 0000.
pub(super) fn us_ssn(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let (area, group, serial) = (number(&digits[..3]), number(&digits[3..5]), number(&digits[5..]));
    Check::weak(!matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !repeated(&digits))
}

/// Individual taxpayer number: 9xx and a group that the IRS gives out.
pub(super) fn us_itin(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let group = number(&digits[3..5]);
    Check::weak(digits[0] == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99))
}

/// Bank routing number: Federal Reserve prefix and weights 3, 7, 1.
pub(super) fn us_aba(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    let district = number(&digits[..2]);
    let known = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    let sum = weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    Check::weak(known && !repeated(&digits) && sum.is_multiple_of(10))
}

/// Social insurance number: Luhn, and no province begins with 0 or 8.
pub(super) fn ca_sin(value: &[u8]) -> Check {
    let Some(digits) = digits::<9>(value) else { return Check::Invalid };
    Check::weak(!matches!(digits[0], 0 | 8) && !repeated(&digits) && luhn(&digits))
}

/// CPF: two check digits, each by MOD 11. Written with its dots and dash it is certain.
pub(super) fn br_cpf(value: &[u8]) -> Check {
    let Some(digits) = digits::<11>(value) else { return Check::Invalid };
    let first = cpf_digit(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = cpf_digit(&digits[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    if repeated(&digits) || [first, second] != [digits[9], digits[10]] {
        Check::Invalid
    } else if value.contains(&b'-') {
        Check::Valid
    } else {
        Check::Plausible
    }
}

fn cpf_digit(body: &[u8], weights: &[u32]) -> u8 {
    match weighted(body, weights) % 11 {
        0 | 1 => 0,
        rest => (11 - rest) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn social_security_numbers() {
        for number in ["078-05-1120", "219099999", "536 90 4399"] {
            assert_eq!(us_ssn(number.as_bytes()), Check::Plausible, "{number}");
        }
        for number in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
            "111111111",
            "12-345-678",
        ] {
            assert_eq!(us_ssn(number.as_bytes()), Check::Invalid, "{number}");
        }
    }

    #[test]
    fn taxpayer_and_routing_numbers() {
        assert_eq!(us_itin(b"912-90-3456"), Check::Plausible);
        assert_eq!(us_itin(b"912-93-3456"), Check::Invalid, "groups 89 and 93 are not given out");
        assert_eq!(us_itin(b"812-70-3456"), Check::Invalid);
        assert_eq!(us_aba(b"111000025"), Check::Plausible, "an example of the ABA");
        assert_eq!(us_aba(b"111000024"), Check::Invalid);
        assert_eq!(us_aba(b"991000025"), Check::Invalid);
    }

    #[test]
    fn social_insurance_numbers() {
        assert_eq!(ca_sin(b"130 692 544"), Check::Plausible);
        assert_eq!(ca_sin(b"130 692 543"), Check::Invalid);
        assert_eq!(ca_sin(b"046 454 286"), Check::Invalid, "0 begins no number");
    }

    #[test]
    fn cpf_counts_as_certain_only_when_written_as_one() {
        assert_eq!(br_cpf(b"390.533.447-05"), Check::Valid);
        assert_eq!(br_cpf(b"39053344705"), Check::Plausible);
        assert_eq!(br_cpf(b"390.533.447-06"), Check::Invalid);
        assert_eq!(br_cpf(b"111.111.111-11"), Check::Invalid);
    }

    #[test]
    fn one_changed_digit_breaks_what_has_a_check_digit() {
        for (valid, check) in
            [(&b"111000025"[..], us_aba as fn(&[u8]) -> Check), (b"130692544", ca_sin)]
        {
            for at in 0..valid.len() {
                for by in 1..10 {
                    let mut changed = valid.to_vec();
                    changed[at] = b'0' + (changed[at] - b'0' + by) % 10;
                    assert_eq!(check(&changed), Check::Invalid);
                }
            }
        }
    }
}
