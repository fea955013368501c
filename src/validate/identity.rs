//! Numbers of people whose country is not named.
//!
//! Where somebody writes "my national ID is …" without saying whose, any country's form and
//! sum will do. Only those are here that few other numbers pass: two check digits, letters,
//! or a date beside the sum. Sums that one run of digits in ten passes would, all together,
//! let through every third number; for them the country or the number's own name must be
//! there, and that is what the rules of the countries look for.

use super::{
    Check, Validator, americas, asia, asia_pacific, europe, europe_east, europe_west, latin,
    middle_east, nordic,
};

/// What countries number their people by.
const PERSONAL: &[Validator] = &[
    americas::br_cpf,
    asia::cn_id,
    asia_pacific::hk_id,
    asia_pacific::id_nik,
    asia_pacific::kr_rrn,
    asia_pacific::my_nric,
    asia_pacific::sg_nric,
    asia_pacific::tw_id,
    europe::es_dni_nie,
    europe::fr_nir,
    europe::it_codice_fiscale,
    europe::pl_pesel,
    europe::uk_nino,
    europe_east::bg_egn,
    europe_east::cz_rodne_cislo,
    europe_east::gr_amka,
    europe_east::jmbg,
    europe_east::kz_iin,
    europe_east::pl_id_card,
    europe_east::ro_cnp,
    europe_east::ru_snils,
    europe_west::be_nrn,
    europe_west::ch_ahv,
    europe_west::lu_matricule,
    latin::mx_curp,
    middle_east::ae_id,
    middle_east::eg_id,
    middle_east::kw_civil,
    middle_east::tr_tckn,
    middle_east::za_id,
    nordic::baltic_code,
    nordic::fi_hetu,
    nordic::is_kennitala,
    nordic::lv_code,
    nordic::no_fnr,
    nordic::se_personnummer,
];

/// What tax offices number people by; many take the number above.
const TAX: &[Validator] = &[
    americas::br_cpf,
    asia::in_pan,
    europe::de_steuer_id,
    europe::es_dni_nie,
    europe::it_codice_fiscale,
    europe::pl_pesel,
    europe::uk_nino,
    europe_east::bg_egn,
    europe_east::cy_tin,
    europe_east::cz_rodne_cislo,
    europe_east::ro_cnp,
    europe_west::be_nrn,
    europe_west::fr_spi,
    europe_west::ie_pps,
    europe_west::lu_matricule,
    latin::ar_cuit,
    latin::br_cnpj,
    latin::mx_rfc,
    latin::pe_ruc,
    latin::ve_rif,
    middle_east::tr_tckn,
    nordic::baltic_code,
    nordic::dk_cpr,
    nordic::fi_hetu,
    nordic::lv_code,
    nordic::no_fnr,
    nordic::se_personnummer,
];

/// A national number of some country.
pub(super) fn national_id(value: &[u8]) -> Check {
    any(PERSONAL, value)
}

/// A tax number of some country.
pub(super) fn tax_id(value: &[u8]) -> Check {
    any(TAX, value)
}

fn any(checks: &[Validator], value: &[u8]) -> Check {
    let value = value.to_ascii_uppercase();
    Check::weak(checks.iter().any(|check| matches!(check(&value), Check::Valid | Check::Plausible)))
}

#[cfg(test)]
mod tests {
    use super::super::test_table;
    use super::*;

    #[test]
    fn some_country_gives_it_out_or_none() {
        test_table(&[
            (
                national_id,
                &["44051401359", "12345678Z", "131052-308t", "A123456789"],
                &["44051401358", "2984 4886 3364", "12345678A", "131052-308A", "123456", ""],
            ),
            (
                tax_id,
                &["26954371827", "00123123T", "30 23 217 600 053", "20-27163363-8"],
                &["26954371828", "00123123A", "1234", ""],
            ),
        ]);
    }
}
