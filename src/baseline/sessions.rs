//! Sessions of an agent: events of one session id with no gap of half an hour.
//!
//! A session here is a run of events each less than [`IDLE_MIN`] from the next, so whatever
//! the order of arrival the same runs come out: an event that falls between two runs joins them.

/// A session without an event for so many minutes is over.
pub(super) const IDLE_MIN: u32 = 30;
/// Sessions of one agent that are open at once; with more, the one idle longest ends early.
pub const SESSIONS: usize = 8;

/// Private data was read.
pub(super) const READ: u8 = 1;
/// Something was sent to a named destination.
pub(super) const SENT: u8 = 2;

/// One open session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// Hash of its id; 0 is an empty slot.
    pub(super) id: u32,
    /// Minute of its first event.
    pub(super) start: u32,
    /// Minute of its latest event.
    pub(super) last: u32,
    /// Tool calls.
    pub(super) calls: u16,
    /// Calls by hash of the tool modulo four: the largest says how much one tool repeats.
    pub(super) tools: [u8; 4],
    /// [`READ`] and [`SENT`].
    pub(super) flags: u8,
}

impl Session {
    /// Calls of the tool that repeats most; others of the same remainder are counted with it.
    pub(super) fn repeats(&self) -> u8 {
        self.tools.into_iter().max().unwrap_or_default()
    }

    fn joins(&self, id: u32, minute: u32) -> bool {
        self.id == id && minute < self.last + IDLE_MIN && minute + IDLE_MIN > self.start
    }

    fn join(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.last = self.last.max(other.last);
        self.calls = self.calls.saturating_add(other.calls);
        for (mine, theirs) in self.tools.iter_mut().zip(other.tools) {
            *mine = mine.saturating_add(theirs);
        }
        self.flags |= other.flags;
    }

    fn order(&self) -> (u32, u32, u32) {
        (self.last, self.start, self.id)
    }
}

/// The open sessions, in the order in which they would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions(pub(super) [Session; SESSIONS]);

impl Sessions {
    /// Adds one event; returns the session as it then is, and one that had to make room.
    pub(super) fn add(&mut self, event: Session) -> (Session, Option<Session>) {
        let mut whole = event;
        for slot in &mut self.0 {
            if slot.joins(event.id, event.start) {
                whole.join(slot);
                *slot = Session::default();
            }
        }
        let mut gone = None;
        if let Some(slot) = self.0.iter_mut().min_by_key(|slot| slot.order()) {
            gone = Some(*slot).filter(|slot| slot.id != 0);
            *slot = whole;
        }
        self.0.sort_unstable_by_key(Session::order);
        (whole, gone)
    }

    /// Takes out the first session that is over at that minute.
    pub(super) fn over(&mut self, minute: u32) -> Option<Session> {
        let slot = self.0.iter_mut().find(|slot| slot.id != 0 && slot.last + IDLE_MIN <= minute)?;
        let session = std::mem::take(slot);
        self.0.sort_unstable_by_key(Session::order);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u32, minute: u32) -> Session {
        Session { id, start: minute, last: minute, calls: 1, ..Session::default() }
    }

    #[test]
    fn an_event_between_two_runs_joins_them() {
        let mut sessions = Sessions::default();
        sessions.add(event(5, 100));
        sessions.add(event(5, 150));
        assert_eq!(sessions.0.iter().filter(|slot| slot.id == 5).count(), 2);
        let (whole, _) = sessions.add(event(5, 125));
        assert_eq!((whole.start, whole.last, whole.calls), (100, 150, 3));
        assert_eq!(sessions.over(179), None);
        assert_eq!(sessions.over(180), Some(whole));
        assert_eq!(sessions, Sessions::default());
    }

    #[test]
    fn with_no_room_the_one_idle_longest_ends() {
        let mut sessions = Sessions::default();
        for id in 1..=SESSIONS as u32 {
            assert_eq!(sessions.add(event(id, 10 + id)).1, None);
        }
        assert_eq!(sessions.add(event(99, 40)).1.map(|gone| gone.id), Some(1));
    }
}
