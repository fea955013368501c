//! The machine's clock, read here and nowhere else.
//!
//! The core never reads a clock. What stands at the edge takes [`now`] as a function
//! argument, so that a simulation or a demo can turn the hands itself.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::Millis;

/// Wall time. A clock before 1970 reads as 1970: a record's own timestamp decides, not this one.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_has_left_the_last_century_and_runs() {
        let before = now();
        assert!(before > Millis(1_700_000_000_000));
        assert!(now() >= before);
    }
}
