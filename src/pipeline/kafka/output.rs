//! A lane's producer.
//!
//! It is polled by the lane and has no thread of its own. Before a commit its queue is
//! polled empty: the library's own flush sleeps in steps of 100 ms, which would be the
//! largest part of the latency of a small batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};

use super::context::Deliveries;
use super::errors;
use super::input::Input;
use super::settings::{PATIENCE, SENT_ONCE, Settings};
use crate::config::Delivery;
use crate::pipeline::log::{LogError, Meanwhile, OutRecord};

/// Longer than a lost coordinator takes to come back, shorter than anybody's patience.
const INIT: Duration = Duration::from_secs(15);
/// Longest wait for records on their way; the library gives each up after 8 s.
const DELIVERY: Duration = Duration::from_secs(9);
/// Between two looks at records on their way. A poll with a time-out would not do: the client
/// stays in it to the end of its time, and spins through the last millisecond.
const LOOK: Duration = Duration::from_micros(200);
/// Sends between two looks at what was delivered.
const SENDS_PER_POLL: u32 = 256;

pub(super) struct Output {
    settings: Settings,
    lane: usize,
    /// None after it was given up and before its successor is there.
    producer: Option<BaseProducer<Deliveries>>,
    open: bool,
    /// The last commit took so long that the library may have sent it more than once. A copy
    /// that is still on its way would commit the next transaction early; a new producer
    /// makes the broker refuse it.
    doubtful: bool,
    sends: u32,
}

impl Output {
    /// Makes the producer, which fences any former one under the same id.
    pub(super) fn connect(settings: &Settings, lane: usize) -> Result<Self, LogError> {
        let settings = settings.clone();
        let mut output =
            Self { settings, lane, producer: None, open: false, doubtful: false, sends: 0 };
        output.rebuild()?;
        Ok(output)
    }

    pub(super) fn rebuild(&mut self) -> Result<(), LogError> {
        self.open = false;
        // The former one goes first: two clients under one id in one process would only
        // fence each other.
        self.producer = None;
        let producer: BaseProducer<Deliveries> = self
            .settings
            .output(self.lane)
            .create_with_context(Deliveries::default())
            .map_err(|error| errors::made(&error))?;
        if self.transactional() {
            producer.init_transactions(INIT).map_err(|error| match error {
                KafkaError::Transaction(ref detail) if !detail.is_retriable() => {
                    LogError::Retry(format!("the producer was not accepted: {error}"))
                }
                error => LogError::Retry(error.to_string()),
            })?;
        }
        self.producer = Some(producer);
        self.doubtful = false;
        Ok(())
    }

    fn transactional(&self) -> bool {
        self.settings.delivery == Delivery::ExactlyOnce
    }

    fn producer(&self) -> Result<&BaseProducer<Deliveries>, LogError> {
        self.producer.as_ref().ok_or_else(|| LogError::Rebuild("there is no producer".into()))
    }

    pub(super) fn begin(&mut self) -> Result<(), LogError> {
        if self.doubtful {
            tracing::info!(lane = self.lane, "new producer after a slow commit");
            self.rebuild()?;
        }
        let producer = self.producer()?;
        // A failure that was met by an abort belongs to the former transaction.
        producer.context().take_failure();
        if self.transactional() {
            producer.begin_transaction().map_err(|error| errors::transaction(&error, true))?;
        }
        self.open = true;
        Ok(())
    }

    pub(super) fn send(&mut self, record: &OutRecord) -> Result<(), LogError> {
        self.sends = self.sends.wrapping_add(1);
        let producer = self.producer()?;
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut base = BaseRecord::<[u8], [u8]>::to(self.settings.topic(record.topic))
            .partition(record.partition)
            .key(&record.key)
            .headers(headers);
        if let Some(value) = &record.value {
            base = base.payload(value);
        }
        let deadline = Instant::now() + DELIVERY;
        loop {
            match producer.send(base) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    producer.poll(Duration::ZERO);
                    std::thread::sleep(LOOK);
                    base = back;
                }
                Err((error, _)) => {
                    return Err(match error.rdkafka_error_code() {
                        Some(code) => errors::refused(code),
                        None => LogError::Abort(error.to_string()),
                    });
                }
            }
        }
        if self.sends.is_multiple_of(SENDS_PER_POLL) {
            producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until every record is on the broker. False where time ran out.
    fn drain(producer: &BaseProducer<Deliveries>, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            producer.poll(Duration::ZERO);
            if producer.in_flight_count() == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Commits; in a transaction, what comes in as long as that takes goes to `meanwhile`.
    pub(super) fn commit(
        &mut self,
        input: &mut Input,
        next: &BTreeMap<i32, i64>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), LogError> {
        let producer = self.producer()?;
        if self.transactional() {
            let offsets = input.offsets(next)?;
            let metadata = input.metadata()?;
            let end = || Self::end(producer, &offsets, &metadata);
            let took = input.beside(end, meanwhile)?;
            self.doubtful = took >= SENT_ONCE;
        } else {
            Self::deliver(producer)?;
            input.commit(next)?;
        }
        self.open = false;
        Ok(())
    }

    /// Waits until every record is on the broker, and none was refused.
    fn deliver(producer: &BaseProducer<Deliveries>) -> Result<(), LogError> {
        if !Self::drain(producer, DELIVERY) {
            return Err(LogError::Retry("records could not be written in time".into()));
        }
        match producer.context().take_failure() {
            Some(code) => Err(errors::refused(code)),
            None => Ok(()),
        }
    }

    /// Ends the transaction with these offsets; what the coordinator took for it.
    fn end(
        producer: &BaseProducer<Deliveries>,
        offsets: &TopicPartitionList,
        metadata: &ConsumerGroupMetadata,
    ) -> Result<Duration, LogError> {
        Self::deliver(producer)?;
        let began = Instant::now();
        producer
            .send_offsets_to_transaction(offsets, metadata, PATIENCE)
            .map_err(|error| errors::transaction(&error, false))?;
        producer
            .commit_transaction(PATIENCE)
            .map_err(|error| errors::transaction(&error, false))?;
        Ok(began.elapsed())
    }

    pub(super) fn abort(&mut self) -> Result<(), LogError> {
        if !self.open {
            return Ok(());
        }
        let transactional = self.transactional();
        let producer = self.producer()?;
        producer.purge(PurgeConfig::default().queue());
        // The library's abort waits for events that nobody else would take from it.
        if !Self::drain(producer, PATIENCE) {
            return Err(LogError::Rebuild("records on their way did not come home".into()));
        }
        if transactional {
            producer
                .abort_transaction(PATIENCE)
                .map_err(|error| LogError::Rebuild(error.to_string()))?;
        }
        producer.context().take_failure();
        self.open = false;
        Ok(())
    }
}
