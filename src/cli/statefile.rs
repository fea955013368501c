//! State as a file: changelog records in hexadecimal, one a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::audit::{from_hex, hex};
use crate::state::Partition;

use super::failure::Failure;

/// One line.
#[derive(Serialize, Deserialize)]
struct Line {
    partition: i32,
    key: String,
    /// `None` is a tombstone.
    value: Option<String>,
}

/// Writes all partitions.
pub(super) fn write(path: &Path, states: &BTreeMap<i32, Partition>) -> Result<(), Failure> {
    let mut to = Writer::create(path)?;
    for (partition, state) in states {
        for (key, value) in state.images() {
            to.record(*partition, &key, Some(&value))?;
        }
    }
    to.finish()
}

/// Writes records one by one.
pub(super) struct Writer {
    to: BufWriter<File>,
    name: String,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = File::create(path)
            .with_context(|| format!("cannot write `{name}`"))
            .map_err(Failure::runtime)?;
        Ok(Self { to: BufWriter::with_capacity(1 << 16, file), name })
    }

    pub(super) fn record(
        &mut self,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let line = Line { partition, key: hex(key), value: value.map(hex) };
        let text = serde_json::to_string(&line).map_err(Failure::runtime)?;
        let done = writeln!(self.to, "{text}");
        done.with_context(|| format!("cannot write `{}`", self.name)).map_err(Failure::runtime)
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let done = self.to.flush();
        done.with_context(|| format!("cannot write `{}`", self.name)).map_err(Failure::runtime)
    }
}

/// Reads what [`write`] or an export wrote.
pub(super) fn read(path: &Path) -> Result<BTreeMap<i32, Partition>, Failure> {
    let name = path.display().to_string();
    let file = File::open(path)
        .with_context(|| format!("cannot read `{name}`"))
        .map_err(Failure::runtime)?;
    let mut states: BTreeMap<i32, Partition> = BTreeMap::new();
    for (number, line) in BufReader::with_capacity(1 << 16, file).lines().enumerate() {
        let wrong = |what: &str| Failure::runtime(anyhow!("{name}:{}: {what}", number + 1));
        let line =
            line.with_context(|| format!("cannot read `{name}`")).map_err(Failure::runtime)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|_| {
            wrong("is no state record")
                .hint("`weir scan --state` and `weir agent export` write them")
        })?;
        let key = from_hex(&line.key).ok_or_else(|| wrong("the key is not hexadecimal"))?;
        let value = match &line.value {
            None => None,
            Some(text) => {
                Some(from_hex(text).ok_or_else(|| wrong("the value is not hexadecimal"))?)
            }
        };
        states
            .entry(line.partition)
            .or_default()
            .restore(&key, value.as_deref())
            .map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(states)
}
