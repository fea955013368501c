//! A lane's connection to a Kafka cluster: [`Log`] from a group member, a producer and a reader.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::message::Message as _;

use super::input::Input;
use super::output::Output;
use super::reader::Reader;
use super::settings::Settings;
use crate::pipeline::log::{EachRecord, Log, LogError, Meanwhile, OutRecord, Polled, Topic};

/// One group member and its producer.
pub struct KafkaLane {
    settings: Settings,
    // The producer first: what it holds is given up before the group is left, so that the
    // next owner finds no open transaction.
    output: Output,
    input: Input,
    /// Made when a partition is first warmed.
    reader: Option<Reader>,
}

impl KafkaLane {
    pub(super) fn connect(settings: &Settings, lane: usize) -> Result<Self, LogError> {
        Ok(Self {
            output: Output::connect(settings, lane)?,
            input: Input::connect(settings, lane)?,
            reader: None,
            settings: settings.clone(),
        })
    }

    fn reader(&mut self) -> Result<&Reader, LogError> {
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => Ok(none.insert(Reader::connect(&self.settings)?)),
        }
    }
}

impl Log for KafkaLane {
    fn poll(&mut self, wait: Duration, max: usize) -> Result<Polled, LogError> {
        self.input.poll(wait, max)
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.input.resume(partitions)
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), LogError> {
        self.input.pause(partitions)
    }

    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        self.input.committed(partitions)
    }

    fn seek(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), LogError> {
        self.input.seek(offsets)
    }

    fn restore(&mut self, partition: i32, each: &mut EachRecord<'_>) -> Result<(), LogError> {
        let topic = self.settings.topic(Topic::State).to_owned();
        self.reader()?.read(&topic, partition, &mut |message| {
            each(message.key().unwrap_or_default(), message.payload())
        })
    }

    fn last_record(&mut self, topic: Topic, partition: i32) -> Result<Option<Vec<u8>>, LogError> {
        let topic = self.settings.topic(topic).to_owned();
        self.reader()?.last(&topic, partition)
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.output.begin()
    }

    fn send(&mut self, record: OutRecord) -> Result<(), LogError> {
        self.output.send(&record)
    }

    fn commit(
        &mut self,
        next: &BTreeMap<i32, i64>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), LogError> {
        self.output.commit(&mut self.input, next, meanwhile)
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.output.abort()
    }

    fn rebuild(&mut self) -> Result<(), LogError> {
        self.output.rebuild()
    }

    fn ends(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, LogError> {
        self.input.ends(partitions)
    }
}
