//! What an attacker, or a writer about attacks, does to the same words.

use crate::text::rot13;
use crate::validate::{base64, hex};

/// One change of a text.
pub(super) struct Transform {
    pub(super) name: &'static str,
    pub(super) apply: fn(&str) -> String,
}

/// Whether most letters are Latin: what disguises are about.
pub(super) fn is_latin(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    letters > 0 && latin * 10 >= letters * 9
}

/// Disguises that leave the words readable for a model.
pub(super) const EVASIONS: &[Transform] = &[
    Transform { name: "upper case", apply: |text| text.to_uppercase() },
    Transform { name: "leetspeak", apply: |text| mapped(text, leet) },
    Transform { name: "spaced letters", apply: |text| joined(text, ' ') },
    Transform { name: "dotted letters", apply: |text| joined(text, '.') },
    Transform { name: "zero-width", apply: |text| joined(text, '\u{200b}') },
    Transform { name: "soft hyphens", apply: |text| joined(text, '\u{ad}') },
    Transform { name: "Cyrillic look-alikes", apply: |text| mapped(text, cyrillic) },
    Transform { name: "full width", apply: |text| mapped(text, full_width) },
    Transform { name: "combining accents", apply: accented },
    Transform { name: "mathematical bold", apply: |text| mapped(text, bold) },
    Transform { name: "double spaces", apply: |text| text.replace(' ', "  ") },
    Transform { name: "line breaks", apply: |text| text.replace(' ', "\n") },
    Transform { name: "base64", apply: padded_base64 },
    Transform { name: "hex", apply: |text| ascii(&hex(text.as_bytes())) },
    Transform { name: "percent", apply: percent },
    Transform { name: "HTML entities", apply: entities },
    Transform { name: "unicode escapes", apply: escapes },
    Transform { name: "tag characters", apply: |text| mapped(text, tag) },
    Transform {
        name: "rot13",
        apply: |text| mapped(text, |c| u8::try_from(c).map_or(c, |byte| char::from(rot13(byte)))),
    },
    Transform { name: "reversed", apply: |text| text.chars().rev().collect() },
];

/// Ways to speak about an attack without making it. Also a published way around the rules:
/// what is lost here is what an attacker gains by quoting himself.
pub(super) const MENTIONS: &[Transform] = &[
    Transform { name: "quoted", apply: |t| format!("The attacker wrote: \"{t}\"") },
    Transform {
        name: "fenced",
        apply: |t| format!("Here is an example of a prompt injection:\n```\n{t}\n```\n"),
    },
    Transform {
        name: "documentation",
        apply: |t| format!("# Known attacks\n\nA typical payload looks like this:\n\n> {t}\n"),
    },
    Transform {
        name: "asked about",
        apply: |t| format!("Why is the sentence \"{t}\" considered a prompt injection attack?"),
    },
    Transform {
        name: "to be translated",
        apply: |t| format!("Translate the following text into German:\n\n\"{t}\""),
    },
    Transform {
        name: "e-mail to summarise",
        apply: |t| format!("Summarise this e-mail for me:\n\n> Hi,\n> {t}\n> Regards, Ann"),
    },
    Transform {
        name: "role-play",
        apply: |t| format!("Let's write a story. The villain says: \"{t}\""),
    },
];

fn mapped(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

/// Puts something between the letters of every word.
fn joined(text: &str, between: char) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut before = false;
    for c in text.chars() {
        // Words stay apart where letters are set apart.
        if before && c.is_alphanumeric() {
            out.push(between);
        }
        if c == ' ' && between == ' ' {
            out.push_str("  ");
        }
        out.push(c);
        before = c.is_alphanumeric();
    }
    out
}

fn leet(c: char) -> char {
    match c.to_ascii_lowercase() {
        'a' => '4',
        'e' => '3',
        'i' => '1',
        'o' => '0',
        's' => '5',
        't' => '7',
        _ => c,
    }
}

fn cyrillic(c: char) -> char {
    match c {
        'a' => 'а',
        'c' => 'с',
        'e' => 'е',
        'i' => 'і',
        'o' => 'о',
        'p' => 'р',
        'x' => 'х',
        'y' => 'у',
        _ => c,
    }
}

fn shifted(c: char, base: u32, by: char) -> char {
    char::from_u32(u32::from(c) - u32::from(by) + base).unwrap_or(c)
}

fn full_width(c: char) -> char {
    if c.is_ascii_graphic() { shifted(c, 0xff01, '!') } else { c }
}

fn bold(c: char) -> char {
    match c {
        'A'..='Z' => shifted(c, 0x1d400, 'A'),
        'a'..='z' => shifted(c, 0x1d41a, 'a'),
        _ => c,
    }
}

fn tag(c: char) -> char {
    if c == ' ' || c.is_ascii_graphic() { shifted(c, 0xe0020, ' ') } else { c }
}

fn accented(text: &str) -> String {
    text.chars().flat_map(|c| [Some(c), c.is_alphabetic().then_some('\u{301}')]).flatten().collect()
}

/// With the padding that most encoders write.
fn padded_base64(text: &str) -> String {
    let mut out = ascii(&base64(text.as_bytes()));
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

fn ascii(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Each written by itself, one behind the other.
fn written(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().concat()
}

fn percent(text: &str) -> String {
    written(text.bytes().map(|byte| format!("%{byte:02X}")))
}

fn entities(text: &str) -> String {
    written(text.chars().map(|c| format!("&#{};", u32::from(c))))
}

fn escapes(text: &str) -> String {
    written(text.encode_utf16().map(|unit| format!("\\u{unit:04x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disguise_is_what_its_name_says() {
        let of = |name: &str| {
            let found = EVASIONS.iter().find(|transform| transform.name == name).unwrap();
            (found.apply)("Go on")
        };
        assert_eq!(of("leetspeak"), "G0 0n");
        assert_eq!(of("spaced letters"), "G o   o n");
        assert_eq!(of("base64"), "R28gb24=");
        assert_eq!(of("hex"), "476f206f6e");
        assert_eq!(of("percent"), "%47%6F%20%6F%6E");
        assert_eq!(of("HTML entities"), "&#71;&#111;&#32;&#111;&#110;");
        assert_eq!(of("unicode escapes"), r"\u0047\u006f\u0020\u006f\u006e");
        assert_eq!(of("rot13"), "Tb ba");
        assert_eq!(of("reversed"), "no oG");
        assert_eq!(of("full width"), "Ｇｏ ｏｎ");
        assert_eq!(of("tag characters").chars().next(), Some('\u{e0047}'));
        assert!(is_latin("Go on") && !is_latin("Иди дальше") && !is_latin("12"));
    }
}
