//! Files and standard input, as texts or as lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use anyhow::Context as _;

use super::super::failure::Failure;

/// One file, opened.
pub(super) struct Input {
    /// As given; `-` is standard input.
    pub(super) name: String,
    /// Its size, where it is a file.
    pub(super) bytes: Option<u64>,
    from: Box<dyn BufRead>,
    /// Lines read so far.
    lines: u64,
}

impl Input {
    /// Opens every file before the first is scanned, so that a misspelt name costs nothing.
    pub(super) fn open_all(names: &[String]) -> Result<Vec<Self>, Failure> {
        names.iter().map(|name| Self::open(name)).collect()
    }

    fn open(name: &str) -> Result<Self, Failure> {
        if name == "-" {
            let from = Box::new(BufReader::with_capacity(1 << 16, io::stdin()));
            return Ok(Self { name: name.to_owned(), bytes: None, from, lines: 0 });
        }
        let file = File::open(name)
            .with_context(|| format!("cannot read `{name}`"))
            .map_err(Failure::runtime)?;
        let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
        Ok(Self {
            name: name.to_owned(),
            bytes,
            from: Box::new(BufReader::with_capacity(1 << 16, file)),
            lines: 0,
        })
    }

    /// Everything.
    pub(super) fn all(mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.from.read_to_end(&mut bytes).map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// The next line without its end; gives its number, or `None` at the end of the input.
    /// Empty lines are passed over.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<Option<u64>, Failure> {
        loop {
            line.clear();
            let read = self.from.read_until(b'\n', line).map_err(|error| self.failed(error))?;
            if read == 0 {
                return Ok(None);
            }
            self.lines += 1;
            while matches!(line.last(), Some(b'\n' | b'\r')) {
                line.pop();
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.lines));
            }
        }
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot read `{}`", self.name)))
    }
}
