//! Who reads a streamed answer in the demo: the texts of clean chunks, joined as they come.

use std::collections::{BTreeMap, HashMap};

use anyhow::anyhow;
use serde_json::Value;

use crate::pipeline::log::Topic;
use crate::pipeline::memory::Cluster;

use super::super::failure::Failure;
use super::PARTITIONS;

/// What has been let go of each stream, by chunk.
#[derive(Default)]
pub(super) struct Reader {
    next: [i64; PARTITIONS as usize],
    streams: HashMap<String, BTreeMap<u64, String>>,
}

impl Reader {
    /// Reads the clean topic to its end.
    pub(super) fn read(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        for (partition, next) in (0_i32..).zip(&mut self.next) {
            loop {
                let (records, to) = cluster.read(Topic::Clean, partition, *next, 1_000);
                if records.is_empty() && to == *next {
                    break;
                }
                *next = to;
                for record in &records {
                    let value = record.value.as_deref().unwrap_or_default();
                    let clean: Value = serde_json::from_slice(value).map_err(|error| {
                        Failure::runtime(anyhow!("a clean event cannot be read: {error}"))
                    })?;
                    let stream = &clean["stream"];
                    if let (Some(id), Some(seq)) = (stream["id"].as_str(), stream["seq"].as_u64()) {
                        let text = clean["text"].as_str().unwrap_or_default();
                        self.streams.entry(id.to_owned()).or_default().insert(seq, text.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// What the reader of a chunk's stream saw once the chunk had been decided; none for other
    /// events.
    pub(super) fn shown_with(&self, event: &Value) -> Option<String> {
        let stream = event.get("stream")?;
        let seq = stream["seq"].as_u64()?;
        let chunks = self.streams.get(stream["id"].as_str()?);
        let chunks = chunks.into_iter().flat_map(|chunks| chunks.range(..=seq));
        Some(chunks.map(|(_, text)| text.as_str()).collect())
    }
}
