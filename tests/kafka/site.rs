//! What one test has for itself: topics, a group, a configuration folder, `weir` processes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::broker::Broker;
use crate::process::Weir;

/// The topics that Weir uses, by their name in the configuration, and whether each has one partition or is compacted.
const TOPICS: [(&str, bool, bool); 11] = [
    ("events", false, false),
    ("verdicts", false, false),
    ("clean", false, false),
    ("alerts", false, false),
    ("audit", false, false),
    ("anchors", true, false),
    ("dlq", false, false),
    ("control", true, true),
    ("shared", false, true),
    ("state", false, true),
    (BY_AGENT, false, false),
];

/// The topic of a site that re-keys; others do without.
const BY_AGENT: &str = "by_agent";

/// A test's own corner of the broker.
pub(crate) struct Site {
    pub(crate) broker: Broker,
    pub(crate) prefix: String,
    pub(crate) partitions: i32,
    pub(crate) folder: TempDir,
    /// Lines of `weir.yml` under `kafka.properties`.
    properties: Vec<(String, String)>,
    lanes: usize,
    input: &'static str,
    /// Further lines of `weir.yml`.
    more: String,
    /// What `weir run` connects to: the broker, or a proxy before it.
    bootstrap: String,
    started: AtomicU32,
}

impl Site {
    /// Topics made, nothing started.
    pub(crate) fn new(broker: &Broker, name: &str, partitions: i32) -> Self {
        let site = Self::without_topics(broker, name, partitions);
        let names = TOPICS.map(|(topic, ..)| topic);
        site.create(names.strip_suffix(&[BY_AGENT]).expect("it is the last"), &[]);
        site
    }

    /// Lets events be put on the partitions of their agents first.
    pub(crate) fn rekeyed(mut self) -> Self {
        self.create(&[BY_AGENT], &[]);
        self.input = BY_AGENT;
        self.setting("repartition: true")
    }

    /// The topic that lanes read.
    pub(crate) fn lanes_topic(&self) -> String {
        self.topic(self.input)
    }

    /// Names and a folder, but no topics.
    pub(crate) fn without_topics(broker: &Broker, name: &str, partitions: i32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            broker: broker.clone(),
            prefix: format!("{name}-{}-{serial}", std::process::id()),
            partitions,
            folder: tempfile::tempdir().expect("a temporary folder"),
            properties: Vec::new(),
            lanes: 1,
            input: "events",
            more: String::new(),
            bootstrap: broker.address.clone(),
            started: AtomicU32::new(0),
        }
    }

    /// Makes some of the topics, with settings beside those that Weir itself gives them.
    pub(crate) fn create(&self, topics: &[&str], settings: &[(&'static str, &'static str)]) {
        let wanted: Vec<_> = TOPICS
            .iter()
            .filter(|(name, ..)| topics.contains(name))
            .map(|&(name, single, compacted)| {
                let mut with = settings.to_vec();
                if name == "events" || name == BY_AGENT {
                    with.push(("message.timestamp.type", "LogAppendTime"));
                }
                if compacted {
                    with.push(("cleanup.policy", "compact"));
                }
                (self.topic(name), if single { 1 } else { self.partitions }, with)
            })
            .collect();
        self.broker.create(&wanted);
    }

    /// The full name of a topic.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Sets a property of the Kafka client in `weir.yml`.
    pub(crate) fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// How many lanes a process has.
    pub(crate) fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// A further line of `weir.yml`.
    pub(crate) fn setting(mut self, line: &str) -> Self {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    /// Lets `weir run` connect elsewhere than straight to the broker.
    pub(crate) fn through(mut self, address: &str) -> Self {
        address.clone_into(&mut self.bootstrap);
        self
    }

    /// Writes `weir.yml` and gives back its path.
    pub(crate) fn config(&self) -> PathBuf {
        let mut text = format!(
            "kafka:\n  bootstrap_servers: \"{}\"\n  group_id: {}\n",
            self.bootstrap, self.prefix
        );
        if !self.properties.is_empty() {
            text.push_str("  properties:\n");
            for (key, value) in &self.properties {
                writeln!(text, "    {key}: \"{value}\"").expect("a string takes text");
            }
        }
        text.push_str("topics:\n");
        for (name, ..) in TOPICS {
            writeln!(text, "  {name}: {}", self.topic(name)).expect("a string takes text");
        }
        writeln!(text, "lanes: {}", self.lanes).expect("a string takes text");
        // What a model says in time is not what it says in another run.
        text.push_str("classifier: { enabled: \"off\" }\n");
        text.push_str(&self.more);
        let path = self.folder.path().join("weir.yml");
        std::fs::write(&path, text).expect("the configuration is written");
        path
    }

    /// Starts a `weir run`, and waits for nothing.
    pub(crate) fn start(&self) -> Weir {
        let serial = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("weir-{serial}.log"));
        Weir::start(&self.config(), &log)
    }

    /// Starts a `weir run` and waits until it says that it is ready.
    pub(crate) fn start_ready(&self) -> Weir {
        let weir = self.start();
        weir.await_ready();
        weir
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let topics = self.broker.topics_of(&self.prefix);
        if !topics.is_empty() {
            self.broker.delete(&topics);
        }
    }
}
