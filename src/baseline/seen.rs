//! What an agent has used and when: exact, bounded, forgotten after thirty days.

/// How long a use is remembered, in seconds: thirty days.
pub const REMEMBERED_S: u32 = 30 * 86_400;

/// The bits of a name; the two above them say in which open hour its first use fell.
const NAME: u32 = 0x3fff_ffff;

/// One thing and when it was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Hash of the name, 0 for an empty slot; and for a first use in an open hour the bit of
    /// that hour, [`Use::bit`].
    pub(super) what: u32,
    /// Seconds since the epoch, of the latest use.
    pub(super) last_s: u32,
}

impl Use {
    /// Hash of the name; 0 is an empty slot.
    pub(super) fn name(self) -> u32 {
        self.what & NAME
    }

    /// An hour's bit: of hours in a row two are open at once.
    fn bit(hour: u32) -> u32 {
        1 << (30 + hour % 2)
    }

    /// Whether its first use in thirty days fell into that hour, which is open.
    fn first_in(self, hour: u32) -> bool {
        self.what & Self::bit(hour) != 0
    }
}

/// The latest uses, kept sorted by name so that equal sets have equal bytes.
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

/// The hour of a use among those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// The hour, since the epoch.
    pub(super) hour: u32,
    /// Whether the hour after it is open too.
    pub(super) earlier: bool,
}

impl<const N: usize> Seen<N> {
    /// Whether a use at that time would be the first in thirty days. A use that is dated
    /// before the latest one is not new: thirty days without it have not been shown.
    pub(super) fn before(&self, what: u32, at_s: u32) -> Before {
        match self.0.iter().find(|slot| slot.name() == what & NAME) {
            Some(slot) if at_s.saturating_sub(slot.last_s) <= REMEMBERED_S => Before::Known,
            _ => Before::New,
        }
    }

    /// Remembers a use. A first use counts for the earliest open hour in which the thing was
    /// used, in whatever order the uses came. With no room, what was used longest ago gives
    /// way; returns whether something within its thirty days had to.
    pub(super) fn note(&mut self, what: u32, at_s: u32, open: Option<Open>) -> bool {
        let what = what & NAME;
        let before = self.before(what, at_s);
        let bit = open.map_or(0, |open| Use::bit(open.hour));
        if let Some(slot) = self.0.iter_mut().find(|slot| slot.name() == what) {
            slot.last_s = slot.last_s.max(at_s);
            let moves = open.is_some_and(|open| open.earlier && slot.first_in(open.hour + 1));
            if before == Before::New || moves {
                slot.what = what | bit;
            }
            return false;
        }
        let Some(oldest) = self.0.iter_mut().min_by_key(|slot| (slot.last_s, slot.name())) else {
            return false;
        };
        if oldest.what != 0 && (oldest.last_s, oldest.name()) > (at_s, what) {
            return true;
        }
        let lost = oldest.what != 0 && at_s.saturating_sub(oldest.last_s) <= REMEMBERED_S;
        *oldest = Use { what: what | bit, last_s: at_s };
        self.0.sort_unstable_by_key(|slot| slot.name());
        lost
    }

    /// What was first used in that hour, which is open, by name.
    pub(super) fn firsts(&self, hour: u32) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter(move |slot| slot.first_in(hour)).map(|slot| slot.name())
    }

    /// Ends that hour: what was first used in it is known from now on.
    pub(super) fn close(&mut self, hour: u32) {
        for slot in &mut self.0 {
            slot.what &= !Use::bit(hour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_are_remembered_to_the_second() {
        let mut seen: Seen<4> = Seen::default();
        assert_eq!(seen.before(7, 100), Before::New);
        seen.note(7, 100, None);
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
            forward.note(what, at, None);
        }
        for (what, at) in uses.into_iter().rev() {
            backward.note(what, at, None);
        }
        assert_eq!(forward, backward);
        let kept: Vec<u32> = forward.0.iter().map(|slot| slot.name()).collect();
        assert_eq!(kept, [1, 3, 8, 9]);
    }

    #[test]
    fn a_first_use_counts_for_the_earliest_hour_whatever_came_first() {
        let uses = [(7, 3_590, 0), (7, 3_610, 1), (8, 3_600, 1), (9, 10, 0), (9, 3_700, 1)];
        let open = |hour: u32| Some(Open { hour, earlier: hour == 0 });
        let mut forward: Seen<4> = Seen::default();
        let mut backward: Seen<4> = Seen::default();
        for (what, at, hour) in uses {
            forward.note(what, at, open(hour));
        }
        for (what, at, hour) in uses.into_iter().rev() {
            backward.note(what, at, open(hour));
        }
        assert_eq!(forward, backward);
        assert_eq!(forward.firsts(0).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(forward.firsts(1).collect::<Vec<_>>(), [8]);
        forward.close(0);
        assert_eq!(forward.firsts(0).count(), 0);
        // What is known does not become a first use of a later hour.
        forward.note(7, 7_300, Some(Open { hour: 2, earlier: true }));
        assert_eq!(forward.firsts(2).count(), 0);
    }
}
