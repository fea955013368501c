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
    "injection/forged.yml",
    "injection/hidden.yml",
    "injection/indirect.yml",
    "injection/languages.yml",
    "injection/languages_extraction.yml",
    "injection/mode.yml",
    "injection/override.yml",
    "injection/persona.yml",
    "injection/refusal.yml",
    "injection/smuggling.yml",
    "pii/contact.yml",
    "pii/identity_americas.yml",
    "pii/identity_asia.yml",
    "pii/identity_europe.yml",
    "pii/payment.yml",
    "secrets/ai.yml",
    "secrets/cloud.yml",
    "secrets/code_hosting.yml",
    "secrets/messaging.yml",
    "secrets/services.yml",
    "secrets/structure.yml",
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
