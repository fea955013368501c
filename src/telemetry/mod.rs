//! What Weir tells about itself: metrics, health and logs. Never a payload.
//!
//! Every metric is declared once, in [`metrics`]; who counts (a lane, the reloader) knows
//! no names, and `cli` joins the two at each scrape. Label values are `&'static str` or a
//! partition number, so they come from the code and not from the traffic: no sender can
//! grow a series.

#[cfg(feature = "kafka")]
pub mod admin;
pub mod latency;
pub mod logs;
pub mod metrics;
