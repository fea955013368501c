//! The automata that have the last word, made when they are first asked for.
//!
//! Most expressions of a pack meet no candidate for hours, and their automata are half of what a
//! pack costs to load. What could fail must fail when a pack is loaded, so only an expression whose
//! size is bounded far below the limit waits; any other is compiled at once.

use std::sync::OnceLock;

use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Input, meta};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::Parser;

/// The most memory that the states of one expression may take, in bytes.
const NFA_LIMIT: usize = 10 << 20;

/// An expression with so many states, by [`states`], cannot come near [`NFA_LIMIT`]: a state takes
/// at most 56 bytes (one of a class, whose ranges are counted as states of their own).
const SURELY_SMALL: usize = 20_000;

/// One expression's automata.
#[derive(Debug)]
pub(crate) struct Exact {
    regex: String,
    captures: bool,
    made: OnceLock<Result<meta::Regex, String>>,
}

impl Exact {
    /// Of an expression over bytes, Unicode off, of which groups are not asked for.
    ///
    /// Fails where it is none, and as [`Exact::of`] does.
    pub(crate) fn read(regex: &str) -> Result<Self, String> {
        Self::read_by(&mut Parser::default(), regex)
    }

    /// The same, with what the parser remembers.
    pub(crate) fn read_by(parser: &mut Parser, regex: &str) -> Result<Self, String> {
        Self::of(&parser.parse(regex)?, regex, false)
    }

    /// `hir` is what `regex` was read as. With `captures`, groups can be asked for.
    ///
    /// Fails where the expression is larger than an automaton may be.
    pub(super) fn of(hir: &Hir, regex: &str, captures: bool) -> Result<Self, String> {
        let made = OnceLock::new();
        if states(hir) > SURELY_SMALL {
            let regex = compile(hir, captures)?;
            made.get_or_init(|| Ok(regex));
        }
        Ok(Self { regex: regex.to_owned(), captures, made })
    }

    /// Whether it matches within the input. Where its automata cannot be made, which [`Exact::of`]
    /// rules out, it matches nothing.
    pub(crate) fn is_match<'h>(&self, input: impl Into<Input<'h>>) -> bool {
        self.get().is_ok_and(|regex| regex.is_match(input))
    }

    /// The automata; made now if they have not been.
    pub(crate) fn get(&self) -> Result<&meta::Regex, &str> {
        let make = || super::parse(&self.regex).and_then(|hir| compile(&hir, self.captures));
        self.made.get_or_init(make).as_ref().map_err(String::as_str)
    }
}

fn compile(hir: &Hir, captures: bool) -> Result<meta::Regex, String> {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(NFA_LIMIT))
        .which_captures(if captures { WhichCaptures::All } else { WhichCaptures::Implicit });
    meta::Builder::new().configure(config).build_from_hir(hir).map_err(|error| {
        error.size_limit().map_or_else(
            || error.to_string(),
            |limit| {
                let limit = limit >> 20;
                format!(
                    "its automaton would take more than {limit} MiB: make its repetitions shorter"
                )
            },
        )
    })
}

/// No fewer than the states of the expression's NFA, where each range of a class counts as one.
fn states(hir: &Hir) -> usize {
    let all = |of: &[Hir]| of.iter().map(states).fold(0, usize::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(class)) => 1 + class.ranges().len(),
        // A range of characters is some sequences of up to four ranges of bytes.
        HirKind::Class(Class::Unicode(class)) => 1 + 32 * class.ranges().len(),
        HirKind::Repetition(repeat) => {
            let times = repeat.max.unwrap_or(repeat.min.saturating_add(1)).max(1);
            (states(&repeat.sub) + 2).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => states(&capture.sub) + 2,
        HirKind::Concat(of) => all(of),
        HirKind::Alternation(of) => all(of).saturating_add(of.len() + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::nfa::thompson::{self, NFA};

    use super::*;

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z]{0,9}",
            Just("[a-z0-9_]".to_owned()),
            Just(r"(?i:\bkey\b)".to_owned()),
            Just(r"[^\n]".to_owned()),
            Just("(?u:\\pL)".to_owned()),
            Just("é".to_owned()),
            Just("$".to_owned()),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4)
                    .prop_map(|of| format!("(?:{})", of.join("|"))),
                prop::collection::vec(inner.clone(), 1..4).prop_map(|of| of.concat()),
                (inner.clone(), 0..9u32, 0..30u32)
                    .prop_map(|(of, min, more)| format!("(?:{of}){{{min},{}}}", min + more)),
                inner.clone().prop_map(|of| format!("(?:{of})*")),
                inner.prop_map(|of| format!("({of})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_called_small_takes_little_memory(regex in expression()) {
            let hir = super::super::parse(&regex).unwrap();
            let states = states(&hir);
            prop_assume!(states <= SURELY_SMALL);
            for reverse in [false, true] {
                let config = thompson::Config::new()
                    .utf8(false)
                    .reverse(reverse)
                    .shrink(false)
                    .which_captures(if reverse { WhichCaptures::None } else { WhichCaptures::All });
                let nfa = NFA::compiler().configure(config).build_from_hir(&hir).unwrap();
                prop_assert!(nfa.memory_usage() <= 4_096 + 128 * states, "{} for {states}", nfa.memory_usage());
            }
        }

        #[test]
        fn automata_made_late_are_those_made_at_once(regex in expression(), text in "[a-z0-9é ]{0,30}") {
            let hir = super::super::parse(&regex).unwrap();
            prop_assume!(states(&hir) <= SURELY_SMALL);
            let late = Exact::of(&hir, &regex, true).unwrap();
            prop_assert!(late.made.get().is_none());
            let at_once = compile(&hir, true).unwrap();
            prop_assert_eq!(late.get().unwrap().find(text.as_bytes()), at_once.find(text.as_bytes()));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_at_once() {
        let regex = "(?:[a-z]{1000}){1000}";
        let error = Exact::of(&super::super::parse(regex).unwrap(), regex, false).unwrap_err();
        assert_eq!(
            error,
            "its automaton would take more than 10 MiB: make its repetitions shorter"
        );
    }

    #[test]
    fn what_may_be_large_is_made_at_once() {
        let regex = "(?:[a-z]{100}){150}";
        let exact = Exact::of(&super::super::parse(regex).unwrap(), regex, false).unwrap();
        assert!(exact.made.get().is_some());
    }
}
