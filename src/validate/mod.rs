//! Checksums and structure checks: what tells a card number from sixteen digits.
//!
//! Every check is a pure function of the matched bytes, named in [`VALIDATORS`], so that
//! a rule picks one by name and a new one is a function and a table line. What a check's
//! answer does to a finding is `detect`'s business.
//!
//! A check whose sum a random value passes about one time in ten answers
//! [`Check::Plausible`], never [`Check::Valid`]: a bare nine-digit number must not become
//! a certain tax number because its last digit happens to fit.
//!
//! [`COMPLETERS`] are the other direction: they finish a half-written value, so that the
//! examples of rules can be made up when they are needed and nothing that looks live lies
//! in the tree.

mod americas;
mod asia;
mod asia_pacific;
mod checksum;
mod crypto;
mod device;
mod encoding;
mod europe;
mod europe_east;
mod europe_west;
mod finance;
mod identity;
mod keys;
mod latin;
mod middle_east;
mod net;
mod nordic;
mod payment;
mod placeholder;
mod random;
mod tokens;
mod vat;

pub(crate) use encoding::{base64, hex};

/// What a validator says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The checksum or structure holds, and would not by chance.
    Valid,
    /// It holds, but so it does for one random value in ten or so: confidence stays.
    Plausible,
    /// It does not hold, and the format's version is certain.
    Invalid,
    /// Cannot be told.
    Unknown,
}

impl Check {
    /// `Valid` or `Invalid`.
    fn strong(holds: bool) -> Self {
        if holds { Self::Valid } else { Self::Invalid }
    }

    /// `Plausible` or `Invalid`.
    fn weak(holds: bool) -> Self {
        if holds { Self::Plausible } else { Self::Invalid }
    }

    /// `Valid` where it is also written as the country writes it, for sums that one digit run
    /// in a hundred passes; bare, it is only `Plausible`.
    fn written(holds: bool, value: &[u8]) -> Self {
        match holds {
            true if value.iter().any(|byte| matches!(byte, b'-' | b'.' | b'/')) => Self::Valid,
            true => Self::Plausible,
            false => Self::Invalid,
        }
    }

    /// `Valid` or `Unknown`: for tokens whose format has versions without a checksum.
    fn promote(holds: bool) -> Self {
        if holds { Self::Valid } else { Self::Unknown }
    }
}

/// A check of one matched value, given as it stands in the text, separators and all.
pub type Validator = fn(&[u8]) -> Check;

/// Gives the bytes that finish a value, from what stands before them.
pub type Completer = fn(&[u8]) -> Vec<u8>;

/// Every check by the name that rules use, sorted.
pub const VALIDATORS: &[(&str, Validator)] = &[
    ("ae_id", middle_east::ae_id),
    ("age_key", crypto::age_key),
    ("ar_cuit", latin::ar_cuit),
    ("at_svnr", europe_west::at_svnr),
    ("at_tin", europe_west::at_tin),
    ("atlassian_token", tokens::atlassian),
    ("au_abn", asia_pacific::au_abn),
    ("au_acn", asia_pacific::au_acn),
    ("au_medicare", asia_pacific::au_medicare),
    ("au_tfn", asia::au_tfn),
    ("aws_key_id", keys::aws_key_id),
    ("baltic_code", nordic::baltic_code),
    ("base64_userinfo", keys::base64_userinfo),
    ("be_nrn", europe_west::be_nrn),
    ("be_vat", europe_west::be_vat),
    ("bg_egn", europe_east::bg_egn),
    ("bic", payment::bic),
    ("br_cnpj", latin::br_cnpj),
    ("br_cpf", americas::br_cpf),
    ("ca_sin", americas::ca_sin),
    ("card", payment::card),
    ("ch_ahv", europe_west::ch_ahv),
    ("ch_uid", europe_west::ch_uid),
    ("cl_rut", latin::cl_rut),
    ("cn_id", asia::cn_id),
    ("co_nit", latin::co_nit),
    ("coin_address", crypto::coin_address),
    ("coin_key", crypto::coin_key),
    ("confluent_token", tokens::confluent),
    ("cy_tin", europe_east::cy_tin),
    ("cz_rodne_cislo", europe_east::cz_rodne_cislo),
    ("de_id_card", europe_west::de_id_card),
    ("de_kvnr", europe_west::de_kvnr),
    ("de_rvnr", europe_west::de_rvnr),
    ("de_steuer_id", europe::de_steuer_id),
    ("discord_token", keys::discord_token),
    ("dk_cpr", nordic::dk_cpr),
    ("dk_cvr", nordic::dk_cvr),
    ("do_cedula", latin::do_cedula),
    ("ec_cedula", latin::ec_cedula),
    ("eg_id", middle_east::eg_id),
    ("email", net::email),
    ("es_cif", europe_west::es_cif),
    ("es_dni_nie", europe::es_dni_nie),
    ("es_nuss", europe_west::es_nuss),
    ("eth_address", crypto::eth_address),
    ("fi_hetu", nordic::fi_hetu),
    ("fi_ytunnus", nordic::fi_ytunnus),
    ("fr_nir", europe::fr_nir),
    ("fr_siret", europe_west::fr_siret),
    ("fr_spi", europe_west::fr_spi),
    ("github_token", tokens::github),
    ("gitlab_token", tokens::gitlab),
    ("gr_afm", europe_east::gr_afm),
    ("gr_amka", europe_east::gr_amka),
    ("grafana_token", tokens::grafana),
    ("hk_id", asia_pacific::hk_id),
    ("hr_oib", europe_east::hr_oib),
    ("hu_taj", europe_east::hu_taj),
    ("hu_tax", europe_east::hu_tax),
    ("iban", payment::iban),
    ("iccid", device::iccid),
    ("id_nik", asia_pacific::id_nik),
    ("ie_pps", europe_west::ie_pps),
    ("il_id", middle_east::il_id),
    ("imei", device::imei),
    ("in_aadhaar", asia::in_aadhaar),
    ("in_gstin", asia_pacific::in_gstin),
    ("in_pan", asia::in_pan),
    ("ipv4_public", net::ipv4_public),
    ("ir_code", middle_east::ir_code),
    ("is_kennitala", nordic::is_kennitala),
    ("isin", finance::isin),
    ("it_codice_fiscale", europe::it_codice_fiscale),
    ("jmbg", europe_east::jmbg),
    ("jp_my_number", asia_pacific::jp_my_number),
    ("jwt", keys::jwt),
    ("kr_rrn", asia_pacific::kr_rrn),
    ("kw_civil", middle_east::kw_civil),
    ("kz_iin", europe_east::kz_iin),
    ("lei", finance::lei),
    ("lu_matricule", europe_west::lu_matricule),
    ("luhn", payment::luhn),
    ("lv_code", nordic::lv_code),
    ("mac", net::mac),
    ("mx_curp", latin::mx_curp),
    ("mx_rfc", latin::mx_rfc),
    ("my_nric", asia_pacific::my_nric),
    ("national_id", identity::national_id),
    ("nl_bsn", europe::nl_bsn),
    ("no_fnr", nordic::no_fnr),
    ("no_orgnr", nordic::no_orgnr),
    ("not_placeholder", placeholder::not_placeholder),
    ("npm_token", tokens::npm),
    ("nz_ird", asia_pacific::nz_ird),
    ("nz_nhi", asia_pacific::nz_nhi),
    ("pe_ruc", latin::pe_ruc),
    ("pem", keys::pem),
    ("phone", net::phone),
    ("pl_id_card", europe_east::pl_id_card),
    ("pl_nip", europe_east::pl_nip),
    ("pl_pesel", europe::pl_pesel),
    ("pl_regon", europe_east::pl_regon),
    ("pt_nif", europe_west::pt_nif),
    ("ro_cnp", europe_east::ro_cnp),
    ("ru_inn", europe_east::ru_inn),
    ("ru_snils", europe_east::ru_snils),
    ("sa_id", middle_east::sa_id),
    ("se_orgnr", nordic::se_orgnr),
    ("se_personnummer", nordic::se_personnummer),
    ("secret_value", placeholder::secret_value),
    ("sg_nric", asia_pacific::sg_nric),
    ("si_tax", europe_east::si_tax),
    ("slack_token", keys::slack_token),
    ("tax_id", identity::tax_id),
    ("th_id", asia_pacific::th_id),
    ("token_value", placeholder::token_value),
    ("tr_tckn", middle_east::tr_tckn),
    ("tr_vkn", middle_east::tr_vkn),
    ("tw_id", asia_pacific::tw_id),
    ("ua_rnokpp", europe_east::ua_rnokpp),
    ("uk_driver", europe_west::uk_driver),
    ("uk_nhs", europe::uk_nhs),
    ("uk_nino", europe::uk_nino),
    ("uk_utr", europe_west::uk_utr),
    ("url_password", placeholder::url_password),
    ("us_aba", americas::us_aba),
    ("us_dea", finance::us_dea),
    ("us_ein", finance::us_ein),
    ("us_itin", americas::us_itin),
    ("us_npi", finance::us_npi),
    ("us_ssn", americas::us_ssn),
    ("uy_cedula", latin::uy_cedula),
    ("vat", vat::vat),
    ("ve_rif", latin::ve_rif),
    ("vin", device::vin),
    ("za_id", middle_east::za_id),
];

/// Every completer by the name that example templates use, sorted.
pub const COMPLETERS: &[(&str, Completer)] = &[
    ("crc32_base62", tokens::complete_crc32_base62),
    ("crc32_confluent", tokens::complete_confluent),
    ("crc32_gitlab", tokens::complete_gitlab),
    ("crc32_hex", tokens::complete_atlassian),
    ("crc32_le_hex", tokens::complete_grafana),
    ("iban", payment::complete_iban),
    ("luhn", payment::complete_luhn),
    ("mod11_2", asia::complete_cn_id),
    ("verhoeff", asia::complete_verhoeff),
];

/// The validator of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<Validator> {
    find(VALIDATORS, name)
}

/// The completer of that name.
#[must_use]
pub fn completer(name: &str) -> Option<Completer> {
    find(COMPLETERS, name)
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let at = table.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    table.get(at).map(|(_, found)| *found)
}

/// Holds each validator to values that hold and to values that do not.
#[cfg(test)]
fn test_table(rows: &[(Validator, &[&str], &[&str])]) {
    let mut wrong = Vec::new();
    for (validator, valid, invalid) in rows {
        let checked = |value: &&str| (value.to_string(), validator(value.as_bytes()));
        let holds = |check: &Check| matches!(check, Check::Valid | Check::Plausible);
        wrong.extend(valid.iter().map(checked).filter(|(_, check)| !holds(check)));
        wrong.extend(invalid.iter().map(checked).filter(|(_, check)| *check != Check::Invalid));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_are_sorted_so_that_every_name_is_found() {
        assert!(VALIDATORS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(COMPLETERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, _) in VALIDATORS {
            assert!(by_name(name).is_some(), "{name}");
        }
        assert!(by_name("no such check").is_none());
        assert!(completer("luhn").is_some());
    }

    proptest! {
        #[test]
        fn no_check_panics_on_any_bytes(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, check) in VALIDATORS {
                check(&value);
            }
            for (_, complete) in COMPLETERS {
                complete(&value);
            }
        }

        #[test]
        fn no_check_panics_on_what_shapes_match(value in "[ -~]{0,120}") {
            for (_, check) in VALIDATORS {
                check(value.as_bytes());
            }
            for (_, complete) in COMPLETERS {
                complete(value.as_bytes());
            }
        }
    }
}
