//! Automata: all expressions of a pack against one text, exactly.
//!
//! A first pass over the text ([Vectorscan](Kind::Vectorscan), or keywords in Rust) names places
//! where an expression may match, and the expression itself, run in a window around each place,
//! says whether it does. The result is defined without any of that: for each expression exactly
//! what `regex::bytes::Regex::find_iter` (Unicode off) finds in the whole text. Both engines give
//! the same matches; a test holds them to it. Views, validators and context are for `detect`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

mod confirm;
mod exact;
mod first;
mod gate;
mod literal;
mod node;
mod parse;
mod place;
mod superset;
mod trie;
mod walk;

pub use confirm::{Candidate, Work};
use confirm::{Confirm, Expression};
pub(crate) use exact::Exact;
use first::{FirstPass, FirstScan, Served, Ways};
use gate::Gate;
pub(crate) use parse::Parser;
use parse::parse;
pub use walk::{Walk, Walked, Walker};

/// One expression to look for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Syntax of the `regex` crate, read with Unicode off.
    pub regex: String,
    /// The width that a reader of streams must hold back for this expression. A whole text is
    /// searched without regard to it: a longer match is found whole.
    pub max_len: usize,
    /// The capture group to report; 0 is the whole match.
    pub group: usize,
    /// Whether the expression is made of words in any case, as a phrase is. It is then looked for
    /// by its rarest words, and a match may begin where the one before it has its group's end: an
    /// underscore that ends one finding may begin the next. An empty match may stand there too.
    pub words: bool,
}

/// Which automata make the first pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Vectorscan where it is compiled in and the processor can run it, else Rust.
    #[default]
    Auto,
    /// Keywords through aho-corasick.
    Rust,
    /// Vectorscan, or an error.
    Vectorscan,
}

/// One match of one expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// Index into the specs that were compiled.
    pub spec: u32,
    /// Where the match starts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where the spec's group starts; the whole match when the group took no part in it.
    pub group_start: usize,
    /// Where the spec's group ends.
    pub group_end: usize,
}

/// An expression that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CompileError {
    /// Index of the spec; `None` where the engine as a whole cannot be built.
    pub spec: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

/// The text could not be searched whole: "could not scan", which is never "nothing found".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text could not be searched whole: too many candidates, or too long a text")]
pub struct Overflow;

/// How an expression is looked for; printed by `weir patterns explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A first pass looks for these; each match holds one of them.
    Gated(Vec<String>),
    /// No part of it is rare enough, or Vectorscan refused it: run over every text.
    Everywhere,
}

/// Compiled expressions; immutable, shared by all threads, swapped whole.
pub struct Engine {
    specs: Vec<Spec>,
    expressions: Vec<Arc<Expression>>,
    /// Those that are searched for without a candidate, in every text with a property; sorted.
    everywhere: Vec<(Gate, u32)>,
    plans: Vec<Plan>,
    first: FirstPass,
    shortest: usize,
}

/// Working memory of one thread; borrows its [`Engine`].
pub struct Scanner<'a> {
    first: FirstScan<'a>,
    confirm: Confirm<'a>,
    candidates: Vec<Candidate>,
    limit: usize,
}

impl Engine {
    /// Compiles all expressions, but for the exact automata of those that are small: these are made
    /// when a text first asks for them, or by [`Engine::warm`].
    ///
    /// # Errors
    /// [`CompileError`] names the first expression that is not valid or too large, or says that
    /// Vectorscan was asked for and is not there.
    pub fn compile(specs: &[Spec], kind: Kind) -> Result<Self, CompileError> {
        Self::compile_after(specs.to_vec(), kind, None)
    }

    /// The same, with what an earlier engine has made of the expressions that both have. The engine
    /// does not differ from one that is compiled anew.
    ///
    /// # Errors
    /// As [`Engine::compile`].
    pub fn compile_after(
        specs: Vec<Spec>,
        kind: Kind,
        earlier: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let known: HashMap<&Spec, usize> =
            earlier.iter().flat_map(|earlier| earlier.specs.iter().zip(0..)).collect();
        let mut expressions = Vec::with_capacity(specs.len());
        let mut ways = Vec::with_capacity(specs.len());
        let mut parser = Parser::default();
        for (at, spec) in specs.iter().enumerate() {
            if let (Some(earlier), Some(&same)) = (earlier, known.get(spec)) {
                expressions.push(Arc::clone(&earlier.expressions[same]));
                ways.push(earlier.first.ways(same, at, spec.words));
                continue;
            }
            let error = |reason: String| CompileError { spec: Some(at), reason };
            let hir = parser.parse(&spec.regex).map_err(error)?;
            expressions.push(Arc::new(Expression::compile(&hir, spec).map_err(error)?));
            ways.push(Ways::of(at, &hir, spec.words));
        }
        let (first, served) =
            FirstPass::compile(ways, kind, earlier.map(|earlier| &earlier.first))?;
        let mut everywhere: Vec<_> = (0..)
            .zip(&served)
            .filter_map(|(spec, served)| match served {
                Served::First(_) => None,
                Served::Everywhere(gate) => Some((*gate, spec)),
            })
            .collect();
        everywhere.sort_unstable();
        let plans = served.into_iter().map(Plan::from).collect();
        let shortest = expressions.iter().map(|each| each.shortest).min().unwrap_or(usize::MAX);
        Ok(Self { specs, expressions, everywhere, plans, first, shortest })
    }

    /// What it was compiled from.
    #[must_use]
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// Makes all exact automata that no text has asked for so far, so that none waits for its own.
    /// `go_on` is asked before each.
    ///
    /// # Errors
    /// [`CompileError`] names the first that cannot be made.
    pub fn warm(&self, mut go_on: impl FnMut() -> bool) -> Result<(), CompileError> {
        for (at, expression) in self.expressions.iter().enumerate().take_while(|_| go_on()) {
            let error = |reason: &str| CompileError { spec: Some(at), reason: reason.to_owned() };
            expression.warm().map_err(error)?;
        }
        Ok(())
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn scanner(&self) -> Scanner<'_> {
        Scanner {
            first: self.first.scanner(),
            confirm: Confirm::new(&self.expressions, &self.everywhere),
            candidates: Vec::new(),
            limit: 100_000,
        }
    }

    /// How each spec is looked for, in the order of the specs.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// No match is shorter than so many bytes.
    #[must_use]
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// The automata in use: `vectorscan` or `rust`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.first.name()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({}, {} specs)", self.name(), self.plans.len())
    }
}

impl Scanner<'_> {
    /// The same with another limit to the candidates of one text.
    #[must_use]
    pub fn with_limit(mut self, candidates: usize) -> Self {
        self.limit = candidates;
        self
    }

    /// Finds all matches of all specs, in the order of specs, and of starts within one spec. Clears `out` first.
    ///
    /// # Errors
    /// [`Overflow`] when the text could not be searched whole; `out` is then empty.
    pub fn matches(&mut self, haystack: &[u8], out: &mut Vec<Match>) -> Result<(), Overflow> {
        self.matches_where(haystack, |_| true, out)
    }

    /// The same for those specs only that `wanted` names: the others cost nothing but the first pass.
    ///
    /// # Errors
    /// [`Overflow`] when the text could not be searched whole; `out` is then empty.
    pub fn matches_where(
        &mut self,
        haystack: &[u8],
        wanted: impl Fn(u32) -> bool,
        out: &mut Vec<Match>,
    ) -> Result<(), Overflow> {
        self.matches_from(haystack, |_| 0, wanted, out)
    }

    /// The same for a text whose beginning has been searched: matches of a spec begin where
    /// `floor` says or behind it, and what stands before is seen by assertions only.
    ///
    /// # Errors
    /// [`Overflow`] when the text could not be searched whole; `out` is then empty.
    pub fn matches_from(
        &mut self,
        haystack: &[u8],
        floor: impl Fn(u32) -> usize,
        wanted: impl Fn(u32) -> bool,
        out: &mut Vec<Match>,
    ) -> Result<(), Overflow> {
        out.clear();
        self.candidates.clear();
        self.first.find(haystack, &wanted, self.limit, &mut self.candidates)?;
        let whole = self.confirm.run(haystack, &mut self.candidates, (wanted, floor), out);
        if whole.is_err() {
            out.clear();
        }
        whole
    }

    /// The places that the first pass names, before confirmation; for tests and measurements.
    ///
    /// # Errors
    /// [`Overflow`] when it gave up.
    pub fn candidates(&mut self, haystack: &[u8]) -> Result<&[Candidate], Overflow> {
        self.candidates.clear();
        self.first.find(haystack, &|_| true, self.limit, &mut self.candidates)?;
        Ok(&self.candidates)
    }
}

impl Scanner<'_> {
    /// The second pass alone, for candidates that the first one named; for measurements.
    ///
    /// # Errors
    /// [`Overflow`] as [`Scanner::matches`].
    pub fn confirm(
        &mut self,
        haystack: &[u8],
        candidates: &mut [Candidate],
        wanted: impl Fn(u32) -> bool,
        out: &mut Vec<Match>,
    ) -> Result<(), Overflow> {
        out.clear();
        self.confirm.run(haystack, candidates, (wanted, |_| 0), out)
    }

    /// What the second pass does for these candidates, by spec; for measurements.
    #[must_use]
    pub fn work(&self, haystack: &[u8], candidates: &mut [Candidate]) -> Vec<Work> {
        self.confirm.work(haystack, candidates)
    }
}
