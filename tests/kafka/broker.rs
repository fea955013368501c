//! The broker that tests run on, and its topics.
//!
//! The address comes from the environment, as `scripts/kafka start` prints it. Tests that
//! stop or kill a broker start one of their own by the same script, under another name.

use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Addresses of one node.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    /// Where clients connect.
    pub(crate) address: String,
    /// The listener whose clients are sent to `proxy`.
    pub(crate) behind: String,
    /// Where a test may listen on behalf of that listener.
    pub(crate) proxy: String,
}

impl Broker {
    /// The node that `scripts/kafka start` started for all tests.
    pub(crate) fn shared() -> Self {
        let read = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: these tests need a broker; run `eval \"$(scripts/kafka start)\"`"
                )
            })
        };
        let broker = Self {
            address: read("WEIR_TEST_KAFKA"),
            behind: read("WEIR_TEST_KAFKA_BEHIND"),
            proxy: read("WEIR_TEST_KAFKA_PROXY"),
        };
        assert!(
            reachable(&broker.address),
            "no Kafka broker answers at {}: run `eval \"$(scripts/kafka start)\"`",
            broker.address
        );
        broker
    }

    /// A client configuration for this node.
    pub(crate) fn client(&self) -> ClientConfig {
        client(&self.address)
    }

    /// Makes topics.
    pub(crate) fn create(&self, topics: &[NamedTopic]) {
        let admin = self.admin();
        let wanted: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions, settings)| {
                settings.iter().fold(
                    NewTopic::new(name, *partitions, TopicReplication::Fixed(1)),
                    |topic, (key, value)| topic.set(key, value),
                )
            })
            .collect();
        for made in wait(admin.create_topics(&wanted, &options())).expect("topics are created") {
            made.unwrap_or_else(|(name, code)| panic!("topic {name} was not created: {code}"));
        }
        self.await_topics(topics);
    }

    /// Waits until clients can use topics: the controller has made them before the broker knows
    /// of them.
    fn await_topics(&self, topics: &[NamedTopic]) {
        let client: BaseConsumer = self.client().create().expect("a client");
        let patience = Duration::from_secs(10);
        let deadline = Instant::now() + patience;
        for (name, partitions, _) in topics {
            loop {
                let metadata = client.fetch_metadata(Some(name), patience).expect("metadata");
                let known = metadata.topics().iter().find(|topic| topic.name() == name);
                let led = known.map_or(0, |topic| {
                    topic.partitions().iter().filter(|each| each.leader() >= 0).count()
                });
                if led == *partitions as usize {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "topic {name} has {led} of {partitions} leaders"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Removes topics; what is not there is no error.
    pub(crate) fn delete(&self, topics: &[String]) {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        // A test is over by now; a topic left behind only costs the test broker some space.
        drop(wait(self.admin().delete_topics(&names, &options())));
    }

    /// Topics whose name begins so.
    pub(crate) fn topics_of(&self, prefix: &str) -> Vec<String> {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).expect("metadata");
        metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }
}

/// Name, number of partitions, settings.
pub(crate) type NamedTopic = (String, i32, Vec<(&'static str, &'static str)>);

/// A node of the test's own, stopped and removed when dropped.
pub(crate) struct OwnBroker {
    pub(crate) broker: Broker,
    name: String,
}

impl OwnBroker {
    pub(crate) fn start(name: &str) -> Self {
        let printed = script(&["start", name]);
        let read = |variable: &str| {
            printed
                .lines()
                .find_map(|line| {
                    line.strip_prefix("export ")?.strip_prefix(variable)?.strip_prefix('=')
                })
                .unwrap_or_else(|| panic!("scripts/kafka start printed no {variable}"))
                .to_owned()
        };
        let broker = Broker {
            address: read("WEIR_TEST_KAFKA"),
            behind: read("WEIR_TEST_KAFKA_BEHIND"),
            proxy: read("WEIR_TEST_KAFKA_PROXY"),
        };
        Self { broker, name: name.to_owned() }
    }

    /// An orderly stop and a start on the same data.
    pub(crate) fn restart(&self) {
        script(&["restart", &self.name]);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        script(&["stop", &self.name]);
    }
}

/// A client configuration for a node at this address.
pub(crate) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// Runs `scripts/kafka` and gives back what it printed.
fn script(arguments: &[&str]) -> String {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka"))
        .args(arguments)
        .output()
        .expect("scripts/kafka runs");
    assert!(
        output.status.success(),
        "scripts/kafka {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("scripts/kafka prints text")
}

fn reachable(address: &str) -> bool {
    let consumer: BaseConsumer = client(address).create().expect("a client");
    consumer.fetch_metadata(None, Duration::from_secs(10)).is_ok()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(future)
}
