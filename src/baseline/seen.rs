//! What an agent has used and when: exact, bounded, forgotten after thirty days.

/// How long a use is remembered, in seconds: thirty days.
pub const REMEMBERED_S: u32 = 30 * 86_400;

/// One thing and when it was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Hash of the name; 0 is an empty slot.
    pub(super) what: u32,
    /// Seconds since the epoch, of the latest use.
    pub(super) last_s: u32,
}

/// The latest uses, kept sorted by hash so that equal sets have equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen<const N: usize>(pub(super) [Use; N]);

impl<const N: usize> Default for Seen<N> {
    fn default() -> Self {
        Self([Use::default(); N])
    }
}

/// What was known of a thing before this use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Used within thirty days.
    Known,
    /// Not used, or longer ago than thirty days.
    New,
}

impl<const N: usize> Seen<N> {
    /// Whether a use at that time would be the first in thirty days. A use that is dated
    /// before the latest one is not new: thirty days without it have not been shown.
    pub(super) fn before(&self, what: u32, at_s: u32) -> Before {
        match self.0.iter().find(|slot| slot.what == what) {
            Some(slot) if at_s.saturating_sub(slot.last_s) <= REMEMBERED_S => Before::Known,
            _ => Before::New,
        }
    }

    /// Remembers a use. With no room, what was used longest ago gives way; returns whether
    /// something within its thirty days had to.
    pub(super) fn note(&mut self, what: u32, at_s: u32) -> bool {
        if let Some(slot) = self.0.iter_mut().find(|slot| slot.what == what) {
            slot.last_s = slot.last_s.max(at_s);
            return false;
        }
        let Some(oldest) = self.0.iter_mut().min_by_key(|slot| (slot.last_s, slot.what)) else {
            return false;
        };
        if oldest.what != 0 && (oldest.last_s, oldest.what) > (at_s, what) {
            return true;
        }
        let lost = oldest.what != 0 && at_s.saturating_sub(oldest.last_s) <= REMEMBERED_S;
        *oldest = Use { what, last_s: at_s };
        self.0.sort_unstable_by_key(|slot| slot.what);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_are_remembered_to_the_second() {
        let mut seen: Seen<4> = Seen::default();
        assert_eq!(seen.before(7, 100), Before::New);
        seen.note(7, 100);
        assert_eq!(seen.before(7, 100 + REMEMBERED_S), Before::Known);
        assert_eq!(seen.before(7, 101 + REMEMBERED_S), Before::New);
        assert_eq!(seen.before(7, 50), Before::Known);
    }

    #[test]
    fn any_order_leaves_the_same_set_and_the_oldest_gives_way() {
        let uses = [(9, 5), (3, 9), (4, 1), (8, 2), (3, 4), (1, 7)];
        let mut forward: Seen<4> = Seen::default();
        let mut backward: Seen<4> = Seen::default();
        for (what, at) in uses {
            forward.note(what, at);
        }
        for (what, at) in uses.into_iter().rev() {
            backward.note(what, at);
        }
        assert_eq!(forward, backward);
        let kept: Vec<u32> = forward.0.iter().map(|slot| slot.what).collect();
        assert_eq!(kept, [1, 3, 8, 9]);
    }
}
