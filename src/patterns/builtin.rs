//! The packs compiled into the binary.
//!
//! Each file is named here, because `include_str!` takes a literal; a test holds the list
//! against the folder. To add a file, add a line.

use super::SourceFile;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../patterns/", $path)))),*]
    };
}

/// Paths under `patterns/` and their texts, in order of path.
const FILES: &[(&str, &str)] = files![
    "claims/absolute.yml",
    "claims/authority.yml",
    "exfiltration/bulk.yml",
    "exfiltration/links.yml",
    "injection/extraction.yml",
    "injection/families.yml",
    "injection/forged.yml",
    "injection/hidden.yml",
    "injection/indirect.yml",
    "injection/languages.yml",
    "injection/languages_extraction.yml",
    "injection/mode.yml",
    "injection/override.yml",
    "injection/paraphrase.yml",
    "injection/persona.yml",
    "injection/refusal.yml",
    "injection/smuggling.yml",
    "pii/address.yml",
    "pii/contact.yml",
    "pii/device.yml",
    "pii/glued.yml",
    "pii/health.yml",
    "pii/identity_americas.yml",
    "pii/identity_asia.yml",
    "pii/identity_east.yml",
    "pii/identity_europe.yml",
    "pii/identity_latin.yml",
    "pii/identity_middle_east.yml",
    "pii/identity_nordic.yml",
    "pii/identity_pacific.yml",
    "pii/identity_west.yml",
    "pii/named.yml",
    "pii/payment.yml",
    "pii/payment_more.yml",
    "pii/travel.yml",
    "secrets/ai.yml",
    "secrets/carriers.yml",
    "secrets/cloud.yml",
    "secrets/code_hosting.yml",
    "secrets/commands.yml",
    "secrets/data.yml",
    "secrets/generic.yml",
    "secrets/hashes.yml",
    "secrets/identity.yml",
    "secrets/messaging.yml",
    "secrets/monitoring.yml",
    "secrets/more.yml",
    "secrets/payments.yml",
    "secrets/places.yml",
    "secrets/platforms.yml",
    "secrets/services.yml",
    "secrets/structure.yml",
    "secrets/vendors.yml",
    "tools/parameters.yml",
    "urls/internal.yml",
];

/// The rule files and lists that Weir ships.
#[must_use]
pub fn builtin() -> Vec<SourceFile> {
    FILES
        .iter()
        .map(|&(path, text)| SourceFile { path: path.to_owned(), text: text.to_owned() })
        .collect()
}
