//! Words in colours that say how bad something is, where colours are wanted.

use std::fmt;

use super::out::Visible;

/// A word and the code of its colour.
pub(super) struct Painted<'t> {
    word: &'t str,
    code: Option<&'static str>,
    width: usize,
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padding is for the word and not for the codes around it.
        let word = Visible(self.word).to_string();
        match self.code {
            Some(code) => write!(f, "\u{1b}[{code}m{word:<0$}\u{1b}[0m", self.width),
            None => write!(f, "{word:<0$}", self.width),
        }
    }
}

/// The name of an action, padded to a column.
pub(super) fn action(name: &str, colour: bool) -> Painted<'_> {
    let code = match name {
        "allow" => Some("32"),
        "alert" => Some("33"),
        "redact" | "replace" => Some("36"),
        "retry" => Some("35"),
        "block" => Some("31;1"),
        _ => None,
    };
    Painted { word: name, code: code.filter(|_| colour), width: 7 }
}

/// The name of a severity.
pub(super) fn grave(name: &str, colour: bool) -> Painted<'_> {
    let code = match name {
        "critical" => Some("41;97;1"),
        "high" => Some("31;1"),
        "medium" => Some("33"),
        "low" => Some("36"),
        _ => None,
    };
    Painted { word: name, code: code.filter(|_| colour), width: 0 }
}

/// A severity that is padded to a column.
pub(super) fn grave_column(name: &str, colour: bool) -> Painted<'_> {
    Painted { width: 8, ..grave(name, colour) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_without_colours_and_padded_with_them() {
        assert_eq!(action("block", false).to_string(), "block  ");
        assert_eq!(action("block", true).to_string(), "\u{1b}[31;1mblock  \u{1b}[0m");
        assert_eq!(grave("high", false).to_string(), "high");
        assert_eq!(grave_column("low", true).to_string(), "\u{1b}[36mlow     \u{1b}[0m");
        assert_eq!(action("\u{1b}[2J", true).to_string(), "\\u{1b}[2J");
    }
}
