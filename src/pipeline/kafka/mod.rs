//! The log on a Kafka cluster, by the client library `librdkafka`.
//!
//! | file | what |
//! |---|---|
//! | `settings` | what every client is set up with |
//! | `lane` | [`Log`](crate::pipeline::log::Log): one group member and its producer |
//! | `input` | the group member |
//! | `output` | the transactional producer, and its plain stand-in for `at_least_once` |
//! | `reader` | reading a changelog or the end of a topic, without the group |
//! | `control` | reading the control topic |
//! | `shared` | reading what partitions share |
//! | `errors` | what the lane must do about an error |
//!
//! The library speaks the first version of the transaction protocol, in which a delayed end
//! of one transaction may hit the next one. So whenever the outcome of an end is not known
//! the producer is thrown away: a new one under the same transactional id raises the epoch,
//! which fences whatever is still on its way.

mod context;
mod control;
mod errors;
mod input;
mod lane;
mod output;
mod reader;
mod settings;
mod shared;

pub use control::KafkaControl;
pub use lane::KafkaLane;
pub use settings::Settings;
pub use shared::KafkaShared;

use crate::config::Config;
use crate::pipeline::log::LogError;
use crate::pipeline::run::Connect;

/// A cluster, as `weir run` connects to it.
pub struct KafkaCluster {
    settings: Settings,
    /// For those who re-key, where events are.
    rekeying: Option<Settings>,
}

impl KafkaCluster {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let rekeying = config.repartition.is_on().then(|| Settings::rekeying(config));
        Self { settings: Settings::new(config), rekeying }
    }
}

impl Connect for KafkaCluster {
    type Log = KafkaLane;
    type Control = KafkaControl;
    type Shared = KafkaShared;

    fn lane(&self, lane: usize) -> Result<KafkaLane, LogError> {
        KafkaLane::connect(&self.settings, lane)
    }

    fn rekeying(&self) -> Result<Option<KafkaLane>, LogError> {
        self.rekeying.as_ref().map(|settings| KafkaLane::connect(settings, 0)).transpose()
    }

    fn control(&self) -> Result<KafkaControl, LogError> {
        KafkaControl::connect(&self.settings)
    }

    fn shared(&self) -> Result<KafkaShared, LogError> {
        KafkaShared::connect(&self.settings)
    }
}
