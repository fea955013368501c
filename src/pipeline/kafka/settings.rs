//! What the clients of a lane are set up with.
//!
//! Three layers, each over the former: what Weir prefers, what `kafka.properties` says, and
//! what exactly-once rests on and nobody may change.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::config::{Config, Delivery, Topics};
use crate::pipeline::log::Topic;

/// How long one question to the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Waits that shorten an idle lane's way to the next record, and a lost broker's way back.
const EVERY_CLIENT: &[(&str, &str)] = &[
    ("socket.nagle.disable", "true"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "1000"),
    // The largest response that is taken; a record of 100 MB must not stop its consumer.
    ("receive.message.max.bytes", "1500000000"),
];

const INPUT: &[(&str, &str)] = &[
    ("auto.offset.reset", "earliest"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "1000"),
    ("max.poll.interval.ms", "300000"),
    // A fetch on its way delays what a seek or an assignment asks for.
    ("fetch.wait.max.ms", "50"),
    // The default of a second leaves a busy consumer idle whenever its queue was full once.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "65536"),
    // How far a partition was fetched tells control records from records yet to come.
    ("statistics.interval.ms", "1000"),
];

const INPUT_FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // It also makes the coordinator wait for a former owner's pending offsets.
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("enable.partition.eof", "false"),
];

const OUTPUT: &[(&str, &str)] = &[
    ("transaction.timeout.ms", "10000"),
    ("message.timeout.ms", "8000"),
    ("linger.ms", "1"),
    ("compression.codec", "lz4"),
    ("queue.buffering.max.messages", "1000000"),
];

/// What the library waits before it sends a request again, less the fifth by which it
/// jitters: a commit that took less was sent once.
pub(super) const SENT_ONCE: Duration = Duration::from_millis(200);

const OUTPUT_FIXED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // `SENT_ONCE` rests on it.
    ("retry.backoff.ms", "250"),
];

const READER: &[(&str, &str)] = &[
    ("fetch.wait.max.ms", "20"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
];

const READER_FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("enable.partition.eof", "true"),
];

/// Names of properties that mean something to a consumer only, or to a producer only, and
/// make the other kind of client complain.
const CONSUMER_ONLY: &[&str] = &[
    "auto.offset.reset",
    "check.crcs",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];
const PRODUCER_ONLY: &[&str] = &[
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// A cluster, a group and topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(super) bootstrap_servers: String,
    pub(super) group_id: String,
    /// The topic that the group reads.
    pub(super) input: String,
    /// Name of this process in transactional ids.
    pub(super) instance: String,
    pub(super) topics: Topics,
    pub(super) delivery: Delivery,
    pub(super) properties: BTreeMap<String, String>,
}

impl Settings {
    /// What the configuration says. Without `instance` the process gets a name that nobody
    /// else has, so that no other process can fence it by mistake.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        Self {
            bootstrap_servers: config.kafka.bootstrap_servers.clone(),
            group_id: config.kafka.group_id.clone(),
            input: config.lanes_topic().to_owned(),
            instance: config.instance.clone().unwrap_or_else(random),
            topics: config.topics.clone(),
            delivery: config.delivery,
            properties: config.kafka.properties.clone(),
        }
    }

    /// For those who re-key: a group of their own that reads what producers wrote.
    #[must_use]
    pub fn rekeying(config: &Config) -> Self {
        Self {
            group_id: format!("{}-by-agent", config.kafka.group_id),
            input: config.topics.events.clone(),
            ..Self::new(config)
        }
    }

    /// The name of a topic.
    pub(super) fn topic(&self, topic: Topic) -> &str {
        match topic {
            Topic::Events => &self.topics.events,
            Topic::Verdicts => &self.topics.verdicts,
            Topic::Clean => &self.topics.clean,
            Topic::Alerts => &self.topics.alerts,
            Topic::Audit => &self.topics.audit,
            Topic::Anchors => &self.topics.anchors,
            Topic::Dlq => &self.topics.dlq,
            Topic::Control => &self.topics.control,
            Topic::Shared => &self.topics.shared,
            Topic::State => &self.topics.state,
            Topic::ByAgent => &self.topics.by_agent,
        }
    }

    /// The group member of a lane.
    pub(super) fn input(&self, lane: usize) -> ClientConfig {
        let mut client = self.client(INPUT, PRODUCER_ONLY, INPUT_FIXED);
        client.set("group.id", &self.group_id);
        client.set("client.id", format!("weir-{}-{lane}", self.instance));
        client
    }

    /// The producer of a lane: transactional, or idempotent only.
    pub(super) fn output(&self, lane: usize) -> ClientConfig {
        let mut client = self.client(OUTPUT, CONSUMER_ONLY, OUTPUT_FIXED);
        client.set("client.id", format!("weir-{}-{lane}", self.instance));
        match self.delivery {
            Delivery::ExactlyOnce => {
                let id = format!("{}-{}-{lane}", self.group_id, self.instance);
                client.set("transactional.id", id);
            }
            Delivery::AtLeastOnce => {
                client.remove("transactional.id");
                client.remove("transaction.timeout.ms");
            }
        }
        client
    }

    /// A consumer that belongs to no group, for committed records or for all of them.
    pub(super) fn reader(&self, isolation: &str) -> ClientConfig {
        let mut client = self.client(READER, PRODUCER_ONLY, READER_FIXED);
        client.set("isolation.level", isolation);
        // Never joined; the library wants a name before it lets partitions be assigned.
        client.set("group.id", format!("{}-reader", self.group_id));
        client.set("client.id", format!("weir-{}-reader", self.instance));
        client.remove("group.instance.id");
        client.remove("group.protocol");
        client.remove("group.remote.assignor");
        client
    }

    fn client(
        &self,
        preferred: &[(&str, &str)],
        not_for: &[&str],
        fixed: &[(&str, &str)],
    ) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (key, value) in EVERY_CLIENT.iter().chain(preferred) {
            client.set(*key, *value);
        }
        for (key, value) in &self.properties {
            if !not_for.contains(&key.as_str()) {
                client.set(key, value);
            }
        }
        for (key, value) in fixed {
            client.set(*key, *value);
        }
        client.set("bootstrap.servers", &self.bootstrap_servers);
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Switch;

    fn settings(properties: &[(&str, &str)]) -> Settings {
        let mut config = Config { instance: Some("one".to_owned()), ..Config::default() };
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        config.kafka.properties = properties.iter().map(own).collect();
        Settings::new(&config)
    }

    #[test]
    fn properties_win_over_preferences_and_not_over_what_exactly_once_rests_on() {
        let settings = settings(&[
            ("session.timeout.ms", "9000"),
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "true"),
            ("acks", "1"),
            ("linger.ms", "7"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
        ]);
        let (input, output) = (settings.input(3), settings.output(3));
        assert_eq!(input.get("session.timeout.ms"), Some("9000"));
        assert_eq!(input.get("isolation.level"), Some("read_committed"));
        assert_eq!(input.get("enable.auto.commit"), Some("false"));
        assert_eq!(output.get("acks"), Some("all"));
        assert_eq!(output.get("linger.ms"), Some("7"));
        assert_eq!(output.get("transactional.id"), Some("weir-one-3"));
        assert_eq!(output.get("session.timeout.ms"), None, "a producer has no session");
        for client in [input, output, settings.reader("read_uncommitted")] {
            assert_eq!(client.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        }
        assert_eq!(
            settings.reader("read_uncommitted").get("isolation.level"),
            Some("read_uncommitted")
        );
    }

    #[test]
    fn who_re_keys_has_a_group_and_an_id_of_its_own() {
        let config = Config {
            instance: Some("one".to_owned()),
            repartition: Switch::On,
            ..Config::default()
        };
        let (first, then) = (Settings::rekeying(&config), Settings::new(&config));
        assert_eq!(
            (first.input.as_str(), then.input.as_str()),
            ("weir.events", "weir.events.by-agent")
        );
        assert_eq!(first.input(0).get("group.id"), Some("weir-by-agent"));
        assert_eq!(first.output(0).get("transactional.id"), Some("weir-by-agent-one-0"));
        assert_eq!(then.input(0).get("group.id"), Some("weir"));
    }

    #[test]
    fn processes_without_a_name_cannot_fence_each_other() {
        let config = Config::default();
        assert_ne!(Settings::new(&config).instance, Settings::new(&config).instance);
    }

    #[test]
    fn at_least_once_has_no_transactional_id() {
        let mut settings = settings(&[]);
        settings.delivery = Delivery::AtLeastOnce;
        let output = settings.output(0);
        assert_eq!(output.get("transactional.id"), None);
        assert_eq!(output.get("enable.idempotence"), Some("true"));
    }
}
