//! Working memory of who reads streamed answers: the automata of a pack, nothing of any stream.

use crate::detect::{CompileError, Rules, Streamer};
use crate::event::Carrier;

/// Reads streams with the pack in force, and those that began with the one before it with that.
/// One for each thread that decides; what it holds is made when it is first needed.
pub struct Readers<'p> {
    in_force: OfPack<'p>,
    former: Option<OfPack<'p>>,
}

struct OfPack<'p> {
    rules: &'p Rules,
    pack: &'p str,
    by_carrier: [Option<Streamer<'p>>; Carrier::ALL.len()],
}

impl<'p> Readers<'p> {
    /// Reads with these rules; `pack` is their hash.
    #[must_use]
    pub fn new(rules: &'p Rules, pack: &'p str) -> Self {
        Self { in_force: OfPack::new(rules, pack), former: None }
    }

    /// Has the pack that was in force before at hand, for streams that began with it.
    #[must_use]
    pub fn and_former(mut self, rules: &'p Rules, pack: &'p str) -> Self {
        self.former = Some(OfPack::new(rules, pack));
        self
    }

    /// Hash of the pack in force.
    pub(super) fn in_force(&self) -> &str {
        self.in_force.pack
    }

    /// Whether a pack is at hand.
    pub(super) fn has(&self, pack: &str) -> bool {
        pack == self.in_force.pack || self.former.as_ref().is_some_and(|of| of.pack == pack)
    }

    /// Reads with a pack that is at hand, or else with the one in force.
    ///
    /// # Errors
    /// [`CompileError`] where its rules are too large for one automaton.
    pub(super) fn with<R>(
        &mut self,
        pack: &str,
        carrier: Carrier,
        read: impl FnOnce(&mut Streamer<'p>) -> R,
    ) -> Result<R, CompileError> {
        let of = match &mut self.former {
            Some(former) if former.pack == pack => former,
            _ => &mut self.in_force,
        };
        let slot = &mut of.by_carrier[carrier as usize];
        // Taken out, so that a panic leaves nothing half written behind.
        let mut streamer = match slot.take() {
            Some(streamer) => streamer,
            None => Streamer::new(of.rules, carrier)?,
        };
        let result = read(&mut streamer);
        *slot = Some(streamer);
        Ok(result)
    }
}

impl<'p> OfPack<'p> {
    fn new(rules: &'p Rules, pack: &'p str) -> Self {
        Self { rules, pack, by_carrier: Default::default() }
    }
}
