//! How a command fails: a chain of causes, a hint where we know the fix, an exit code.

use std::fmt;
use std::io::{self, Write as _};

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The reader of our output has gone; not worth a word.
    ClosedPipe,
    Usage,
    Runtime,
}

impl Failure {
    /// The command line or the configuration is wrong: exit code 2.
    pub(super) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Usage, error: error.into(), hint: None }
    }

    /// The input or the world is wrong: exit code 3.
    pub(super) fn runtime(error: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Runtime, error: error.into(), hint: None }
    }

    /// Standard output could not be written.
    pub(super) fn output(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe {
            Kind::ClosedPipe
        } else {
            Kind::Runtime
        };
        Self {
            kind,
            error: anyhow::Error::new(error).context("cannot write the output"),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn code(&self) -> u8 {
        match self.kind {
            Kind::ClosedPipe => 0,
            Kind::Usage => 2,
            Kind::Runtime => 3,
        }
    }

    /// Prints the chain, once.
    pub(super) fn report(&self) {
        if self.kind == Kind::ClosedPipe {
            return;
        }
        let mut text = format!("error: {self}\n");
        if let Some(hint) = &self.hint {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        // Nothing can be done about a standard error that cannot be written.
        drop(io::stderr().write_all(text.as_bytes()));
    }
}

/// The chain of causes, on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in self.error.chain().enumerate() {
            if index > 0 {
                f.write_str(": ")?;
            }
            write!(f, "{cause}")?;
        }
        Ok(())
    }
}
