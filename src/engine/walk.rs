//! Which places of a text may still begin a match, when more text may follow.
//!
//! All expressions make one lazy automaton, walked from a place on: it dies where nothing that
//! begins there can match any more, and until then the place is open. A walk also tells whether
//! anything matched on the way, so a text in which nothing did needs no search. It takes more for
//! open than is: it knows neither which match wins nor what a match before it covers.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::{CompileError, Parser, Spec};

/// Bytes of a thread's cache. States that do not fit are made again.
const CACHE_BYTES: usize = 48 << 20;

/// An automaton of many expressions.
pub struct Walker {
    dfa: DFA,
}

/// A thread's memory of states.
pub struct Walk<'w> {
    walker: &'w Walker,
    cache: Cache,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Whether a match may still go on behind the last byte.
    pub open: bool,
    /// Where the last match ends that was met on the way; one that ends at the last byte is not
    /// yet known.
    pub matched: Option<usize>,
}

impl Walker {
    /// Compiles those of the specs that `wanted` names.
    ///
    /// # Errors
    /// [`CompileError`] says what is wrong.
    pub fn compile(specs: &[Spec], wanted: impl Fn(u32) -> bool) -> Result<Self, CompileError> {
        let mut hirs: Vec<Hir> = Vec::new();
        let mut parser = Parser::default();
        for (at, spec) in (0_u32..).zip(specs) {
            if wanted(at) {
                let error = |reason| CompileError { spec: Some(at as usize), reason };
                hirs.push(parser.parse(&spec.regex).map_err(error)?);
            }
        }
        let whole = |reason: String| CompileError { spec: None, reason };
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None),
            )
            .build_many_from_hir(&hirs)
            .map_err(|error| whole(error.to_string()))?;
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .skip_cache_capacity_check(true)
            .cache_capacity(CACHE_BYTES);
        let dfa = DFA::builder()
            .configure(config)
            .build_from_nfa(nfa)
            .map_err(|error| whole(error.to_string()))?;
        Ok(Self { dfa })
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { walker: self, cache: self.dfa.create_cache() }
    }
}

impl Walk<'_> {
    /// Walks from `from` to `to`; bytes outside are seen by assertions only.
    pub fn from(&mut self, text: &[u8], from: usize, to: usize) -> Walked {
        match self.go(text, from, to) {
            Ok((_, matched)) => Walked { open: true, matched },
            Err(walked) => walked,
        }
    }

    /// The same to the end of a text that nothing follows.
    pub fn to_end(&mut self, text: &[u8], from: usize) -> Walked {
        let (state, mut matched) = match self.go(text, from, text.len()) {
            Ok(reached) => reached,
            Err(walked) => return Walked { open: false, ..walked },
        };
        let last = self.walker.dfa.next_eoi_state(&mut self.cache, state);
        if last.is_ok_and(|last| last.is_match()) {
            matched = Some(text.len());
        }
        Walked { open: false, matched }
    }

    /// The state at `to`, or how the walk ended before.
    fn go(
        &mut self,
        text: &[u8],
        from: usize,
        to: usize,
    ) -> Result<(LazyStateID, Option<usize>), Walked> {
        // Where the automaton gives up nothing is known, and all is possible.
        let unknown = Walked { open: true, matched: Some(to) };
        let mut state = self.start(text, from).ok_or(unknown)?;
        let mut matched = None;
        let dfa = &self.walker.dfa;
        for (&byte, at) in text.get(from..to).unwrap_or_default().iter().zip(from..) {
            state = dfa.next_state(&mut self.cache, state, byte).map_err(|_| unknown)?;
            if state.is_tagged() {
                if state.is_match() {
                    matched = Some(at);
                }
                if state.is_dead() {
                    return Err(Walked { open: false, matched });
                }
            }
        }
        Ok((state, matched))
    }

    fn start(&mut self, text: &[u8], from: usize) -> Option<LazyStateID> {
        let input = Input::new(text).range(from..).anchored(Anchored::Yes);
        self.walker.dfa.start_state_forward(&mut self.cache, &input).ok()
    }

    /// Bytes of the states made so far.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.cache.memory_usage()
    }
}
