//! What the commands share when they talk to a cluster: clients, topics' shapes, reading a topic to its end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use crate::config::Config;

use super::failure::Failure;

/// How long one question to the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the client library from telling the same outage some hundred times: who asks gets
/// an error to tell once.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}

/// A consumer that belongs to no group.
pub(super) type Reader = BaseConsumer<Quiet>;

/// The settings that every client begins with.
pub(super) fn client(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.kafka.bootstrap_servers);
    for (key, value) in &config.kafka.properties {
        client.set(key, value);
    }
    client
}

/// Says that the cluster did not answer, and what to look at.
pub(super) fn unreachable(config: &Config, error: impl Into<anyhow::Error>) -> Failure {
    let servers = &config.kafka.bootstrap_servers;
    Failure::runtime(error.into().context(format!("no answer from Kafka at {servers}"))).hint(
        "is it running, and is `kafka.bootstrap_servers` right? TLS and SASL go under `kafka.properties`",
    )
}

/// An administrator.
pub(super) fn admin(config: &Config) -> Result<AdminClient<DefaultClientContext>, Failure> {
    client(config).create().context("cannot make a Kafka client").map_err(Failure::usage)
}

/// Waits for an answer that the client library gives as a future.
pub(super) fn wait<T>(answer: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start a runtime")
        .map_err(Failure::runtime)?;
    Ok(runtime.block_on(answer))
}

/// A consumer that belongs to no group and sees committed records only.
pub(super) fn reader(config: &Config) -> Result<Reader, Failure> {
    client(config)
        .set("group.id", format!("{}-reader", config.kafka.group_id))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create_with_context(Quiet)
        .context("cannot make a Kafka client")
        .map_err(Failure::usage)
}

/// How many partitions a topic has; `None` where there is no such topic.
pub(super) fn partitions(
    config: &Config,
    reader: &Reader,
    topic: &str,
    patience: Duration,
) -> Result<Option<usize>, Failure> {
    let metadata =
        reader.fetch_metadata(Some(topic), patience).map_err(|error| unreachable(config, error))?;
    let found = metadata.topics().iter().find(|known| known.name() == topic);
    Ok(found.filter(|known| known.error().is_none()).map(|known| known.partitions().len()))
}

/// The committed records of a topic's partition, oldest first, up to its end.
///
/// An iterator cannot fail, so what ends it early is kept for [`Committed::finish`], which
/// must be asked before anything is concluded from the records.
pub(super) struct Committed<'a> {
    config: &'a Config,
    reader: &'a Reader,
    topic: &'a str,
    heard: Instant,
    failure: Option<Failure>,
    ended: bool,
}

impl<'a> Committed<'a> {
    pub(super) fn new(
        config: &'a Config,
        reader: &'a Reader,
        topic: &'a str,
        partition: i32,
    ) -> Result<Self, Failure> {
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition, Offset::Beginning)
            .and_then(|()| reader.assign(&from))
            .with_context(|| format!("cannot read `{topic}`"))
            .map_err(Failure::runtime)?;
        Ok(Self { config, reader, topic, heard: Instant::now(), failure: None, ended: false })
    }

    /// Whether the end was reached.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }

    /// The next record; `None` at the end or where something went wrong.
    pub(super) fn message(&mut self) -> Option<BorrowedMessage<'a>> {
        // The end is told by an event and not by counting: the last offset may be a transaction's marker.
        while !self.ended {
            match self.reader.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    self.heard = Instant::now();
                    return Some(message);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.ended = true,
                Some(Err(error)) if is_fatal(&error) => {
                    let context = format!("cannot read `{}`", self.topic);
                    self.failure =
                        Some(Failure::runtime(anyhow::Error::new(error).context(context)));
                    self.ended = true;
                }
                // The library reconnects by itself; patience decides.
                Some(Err(_)) | None if self.heard.elapsed() > 3 * PATIENCE => {
                    let stalled = anyhow!("reading `{}` stalled", self.topic);
                    self.failure = Some(unreachable(self.config, stalled));
                    self.ended = true;
                }
                Some(Err(_)) | None => {}
            }
        }
        None
    }
}

impl Iterator for Committed<'_> {
    type Item = Option<Vec<u8>>;

    fn next(&mut self) -> Option<Option<Vec<u8>>> {
        self.message().map(|message| message.payload().map(<[u8]>::to_vec))
    }
}

pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::Authentication
        )
    )
}

/// The headers of a record, in order.
pub(super) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    })
}
