//! Letters that look like ASCII letters.
//!
//! A small table: what attacks use and NFKC leaves alone (fullwidth, mathematical and
//! circled letters fall to NFKC). Look-alikes are facts of print, the choice is ours.
//! ASCII is never mapped.

/// The ASCII look-alike of a character, case kept.
#[must_use]
#[expect(clippy::match_same_arms, reason = "one arm a script reads better than one a letter")]
pub(super) fn look_alike(c: char) -> Option<char> {
    if c < '\u{131}' {
        return None;
    }
    Some(match c {
        // Latin beyond ASCII that does not decompose.
        'ı' | 'ɩ' | 'ɪ' => 'i',
        'ɑ' => 'a',
        'ɓ' => 'b',
        'ᴄ' => 'c',
        'ɖ' | 'ɗ' | 'đ' => 'd',
        'ᴇ' | 'ɛ' | 'ə' => 'e',
        'ƒ' | 'ꜰ' => 'f',
        'ɡ' | 'ɢ' | 'ɠ' => 'g',
        'ɦ' | 'ʜ' | 'ħ' => 'h',
        'ʝ' | 'ᴊ' => 'j',
        'ᴋ' | 'ƙ' => 'k',
        'ʟ' | 'ɫ' | 'ł' | 'ƚ' => 'l',
        'ᴍ' => 'm',
        'ɴ' | 'ɲ' | 'ŋ' => 'n',
        'ᴏ' => 'o',
        'ᴘ' | 'ƥ' => 'p',
        'ʀ' | 'ɾ' => 'r',
        'ꜱ' | 'ʂ' => 's',
        'ᴛ' | 'ŧ' => 't',
        'ᴜ' | 'ʋ' => 'u',
        'ᴠ' => 'v',
        'ᴡ' => 'w',
        'ʏ' | 'ɣ' => 'y',
        'ᴢ' | 'ʐ' => 'z',
        // Cyrillic, lower case.
        'а' => 'a',
        'с' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' => 'h',
        'і' => 'i',
        'ј' => 'j',
        'ӏ' => 'l',
        'о' => 'o',
        'р' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'ѵ' => 'v',
        'ԝ' => 'w',
        'х' => 'x',
        'у' => 'y',
        // Cyrillic, upper case.
        'А' => 'A',
        'В' => 'B',
        'С' => 'C',
        'Е' => 'E',
        'Н' => 'H',
        'І' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'К' => 'K',
        'М' => 'M',
        'О' => 'O',
        'Р' => 'P',
        'Ѕ' => 'S',
        'Т' => 'T',
        'У' => 'Y',
        'Х' => 'X',
        // Greek.
        'α' => 'a',
        'ε' => 'e',
        'η' => 'n',
        'ι' => 'i',
        'κ' => 'k',
        'ν' => 'v',
        'ο' | 'σ' => 'o',
        'ρ' => 'p',
        'τ' => 't',
        'υ' => 'u',
        'χ' => 'x',
        'γ' => 'y',
        'Α' => 'A',
        'Β' => 'B',
        'Ε' => 'E',
        'Ζ' => 'Z',
        'Η' => 'H',
        'Ι' => 'I',
        'Κ' => 'K',
        'Μ' => 'M',
        'Ν' => 'N',
        'Ο' => 'O',
        'Ρ' => 'P',
        'Τ' => 'T',
        'Υ' => 'Y',
        'Χ' => 'X',
        // Armenian, Cherokee.
        'ո' => 'n',
        'օ' => 'o',
        'ս' => 'u',
        'ց' => 'g',
        'հ' => 'h',
        'Ꭺ' => 'A',
        'Ᏼ' => 'B',
        'Ꮯ' => 'C',
        'Ꭰ' => 'D',
        'Ꭼ' => 'E',
        'Ꮋ' => 'H',
        'Ꭻ' => 'J',
        'Ꮶ' => 'K',
        'Ꮮ' => 'L',
        'Ꮇ' => 'M',
        'Ꮲ' => 'P',
        'Ꮪ' => 'S',
        'Ꭲ' => 'T',
        'Ꮃ' => 'W',
        _ => return None,
    })
}

/// The lower-case ASCII look-alike of a lower-case character. Wider than [`look_alike`]:
/// a small letter whose capital looks Latin counts too, so that "Все" and "все" fold alike.
#[must_use]
pub(super) fn folded_look_alike(c: char) -> Option<char> {
    match c {
        'в' | 'β' => Some('b'),
        'н' => Some('h'),
        'к' => Some('k'),
        'м' | 'μ' => Some('m'),
        'т' => Some('t'),
        'ς' => Some('c'),
        'ω' => Some('w'),
        _ => look_alike(c).map(|ascii| ascii.to_ascii_lowercase()),
    }
}
