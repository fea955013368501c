//! Standard output, buffered, with a closed pipe told apart from a full disk.

use std::fmt::{self, Write as _};
use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use super::failure::Failure;

/// Where a command's data goes.
pub(super) struct Out(BufWriter<io::Stdout>);

impl Out {
    pub(super) fn stdout() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout()))
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.0, "{line}").map_err(Failure::output)
    }

    /// Text as it is, with no line end added.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.0.write_all(text.as_bytes()).map_err(Failure::output)
    }

    /// Shows what was written so far.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(Failure::output)
    }
}

/// One line on standard error, for whoever watches.
pub(super) fn note(line: impl fmt::Display) {
    // Nothing can be done about a standard error that cannot be written.
    drop(writeln!(io::stderr(), "{line}"));
}

/// Text of somebody else's for a terminal: what would move the cursor, hide or turn around
/// what stands beside it is written as an escape.
pub(super) struct Visible<'t>(pub(super) &'t str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
            if c.is_control() || hides {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether standard output takes colours: a terminal, and nobody has said no.
pub(super) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_cannot_act_on_the_terminal() {
        let shown = Visible("a\u{1b}[2J\nb\u{202e}c\u{e9}").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\nb\\u{202e}c\u{e9}");
    }
}
