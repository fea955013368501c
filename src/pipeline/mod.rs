//! Lanes: from the log through `inspect` to the log, exactly once.
//!
//! [`lane`] is the machine, [`step`] what it does with a record, [`log`] what it reads and
//! writes: a Kafka cluster, or the log in [`memory`]. [`control`] hands it the standing
//! orders, [`shared`] what partitions tell each other, and [`metrics`] is what it tells about itself.

pub mod log;
pub mod step;
pub mod metrics;
pub mod control;
pub mod shared;
pub mod asking;
pub mod work;
pub mod lane;
pub mod rekey;
pub mod memory;
pub mod run;
#[cfg(feature = "kafka")]
pub mod kafka;
