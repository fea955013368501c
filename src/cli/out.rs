//! Standard output, buffered, with a closed pipe told apart from a full disk.

use std::fmt;
use std::io::{self, BufWriter, Write as _};

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
