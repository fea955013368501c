//! What single characters are to the views: removed, barrier, part of a word.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether the views drop the character: it shows nothing, or shows something only
/// together with its neighbours.
///
/// By Unicode category rather than by a list of known zero-widths: lists in the field
/// missed the direction marks, U+180E, U+206A to U+206F and U+FFF9 to U+FFFB.
#[must_use]
pub fn is_removed(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\x0B' | '\x0C' | '\r');
    }
    if matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{FE0F}' | '\u{FEFF}') {
        return true;
    }
    if matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3041}'..='\u{30FF}' | '\u{A1}'..='\u{AC}') {
        return false;
    }
    match c {
        // Variation selectors, grapheme joiner, Mongolian separators, tags.
        '\u{FE00}'..='\u{FE0E}'
        | '\u{E0000}'..='\u{E0FFF}'
        | '\u{34F}'
        | '\u{180B}'..='\u{180F}'
        // Fillers and reserved default-ignorable code points: letters by category, blank in print.
        | '\u{115F}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{FFA0}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{2065}'
        | '\u{FFF0}'..='\u{FFF8}' => true,
        '\u{85}' => false,
        _ => matches!(c.general_category(), GeneralCategory::Format | GeneralCategory::Control),
    }
}

/// Whether the character is one that redaction leaves behind. Views keep it as it is, so
/// that nothing matches across it.
#[must_use]
pub fn is_barrier(c: char) -> bool {
    matches!(c, '\u{2588}' | '\u{2026}')
}

/// Whether the character is a digit or space only by compatibility: circled, superscript,
/// no-break. Secrets are read through them, personal numbers are not: a circled digit is
/// no card number.
#[must_use]
pub fn is_compat_digit_or_space(c: char) -> bool {
    !c.is_ascii()
        && matches!(
            c.general_category(),
            GeneralCategory::OtherNumber
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::LetterNumber
        )
}

/// Whether a word goes on through this character: a letter, mark or digit of a script
/// that puts spaces between words.
#[must_use]
pub fn joins_words(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    c.is_alphanumeric() && !is_unspaced(c)
}

/// Whether the character belongs to a script written without spaces between words.
#[must_use]
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{E00}'..='\u{EFF}'      // Thai, Lao
        | '\u{1000}'..='\u{109F}'  // Myanmar
        | '\u{1780}'..='\u{17FF}'  // Khmer
        | '\u{2E80}'..='\u{312F}'  // radicals, kana, bopomofo
        | '\u{31A0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9F}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_removed_and_white_space_is_kept() {
        for c in "\u{200B}\u{200D}\u{2060}\u{FEFF}\u{AD}\u{202E}\u{2066}\u{206A}\u{FFF9}\u{E0041}\u{E0100}\u{FE0F}\u{34F}\u{180E}\0\x1B\x7F\u{9F}\u{3164}".chars() {
            assert!(is_removed(c), "{c:?}");
        }
        for c in "a \t\r\n\u{85}\u{A0}\u{3000}é漢\u{2028}\u{FFFD}█…".chars() {
            assert!(!is_removed(c), "{c:?}");
        }
    }
}
