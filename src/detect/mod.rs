//! From an event to its findings: views, engine, confirmation, context.
//!
//! [`Rules`] is a compiled pack; [`Scratch`] is the memory of one thread that scans with
//! it. A scan reads every string of the event in the views that it needs, takes the
//! engine's matches as they are and lets `confirm` say what each is worth. What follows
//! from a finding is `policy`'s business.
//!
//! One design choice matters: the strings of an event are scanned as one text, set apart
//! so that a match across them is noticed, and then each is scanned alone. Tool calls are
//! made of short strings, and a call of the engine for each would cost more than the scan.

mod confirm;
mod context;
mod cost;
mod decoded;
mod keyed;
mod limits;
mod mention;
mod scan;
mod selftest;
mod stream;

use std::sync::OnceLock;

use crate::engine::{self, Engine, Spec};
use crate::event::{Carrier, Event};
use crate::finding::{Coverage, Finding};
use crate::patterns::{Class, RuleSet};

pub use cost::{Cost, costs};
pub use limits::ScanLimits;
pub use selftest::{Failure, Trial, selftest, selftest_after};
pub use stream::{Since, Stream, Streamer};

use confirm::Confirm;
use keyed::Keyed;
use scan::Memory;

/// Which automata decide which expressions are worth confirming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Vectorscan where it is compiled in, else Rust.
    #[default]
    Auto,
    /// aho-corasick and regex-automata.
    Rust,
    /// Vectorscan.
    Vectorscan,
}

/// A compiled pack; shared by all lanes, swapped whole.
pub struct Rules {
    /// Where it came from.
    pub set: RuleSet,
    /// What a scan may cost.
    pub limits: ScanLimits,
    /// Every expression, for every view.
    all: Engine,
    all_specs: Vec<SpecOf>,
    /// One for each carrier.
    walkers: [OnceLock<Result<engine::Walker, CompileError>>; Carrier::ALL.len()],
    /// One for each rule, in the order of the set.
    confirm: Vec<Confirm>,
    keyed: Keyed,
    cues: mention::Cues,
    builtin: limits::Sources,
}

/// What the scan needs to know of an expression without its rule at hand.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a view")]
struct SpecOf {
    rule: u32,
    carriers: u8,
    raw: bool,
    clean: bool,
    folded: bool,
    decoded: bool,
}

/// A pack that does not compile.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot compile rule `{rule}`: {reason}")]
pub struct CompileError {
    /// The rule's id.
    pub rule: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Working memory of one scanning thread; borrows the automata of its [`Rules`].
pub struct Scratch<'a> {
    rules: &'a Rules,
    all: engine::Scanner<'a>,
    memory: Memory,
}

/// What one event holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Sorted by field, start, end, rule.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub coverage: Coverage,
}

impl Rules {
    /// Compiles a pack.
    ///
    /// # Errors
    /// [`CompileError`] names the rule.
    pub fn compile(
        set: RuleSet,
        limits: ScanLimits,
        engine: EngineKind,
    ) -> Result<Self, CompileError> {
        Self::compile_after(set, limits, engine, None)
    }

    /// The same, with what an earlier pack's compilation has of the same expressions: only what
    /// changed is compiled.
    ///
    /// # Errors
    /// As [`Rules::compile`].
    pub fn compile_after(
        set: RuleSet,
        limits: ScanLimits,
        engine: EngineKind,
        earlier: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let (mut specs, mut all_specs) = (Vec::new(), Vec::new());
        let mut confirm = Vec::with_capacity(set.rules.len());
        let mut lists = context::Lists::default();
        for (at, rule) in set.rules.iter().enumerate() {
            let failed = |reason: String| CompileError { rule: rule.source.rule.clone(), reason };
            confirm.push(Confirm::compile(rule, &mut lists).map_err(failed)?);
            let of = SpecOf {
                rule: at as u32,
                carriers: rule.carriers.iter().fold(0, |mask, &carrier| mask | bit(carrier)),
                raw: rule.views.raw,
                clean: rule.views.clean,
                folded: rule.views.folded,
                decoded: rule.views.decoded,
            };
            // ASCII text is folded by reading it without case.
            let caseless = rule.class == Class::Shape && of.folded && !of.raw && !of.clean;
            for expr in &rule.exprs {
                specs.push(Spec {
                    regex: if caseless {
                        format!("(?i:{})", expr.regex)
                    } else {
                        expr.regex.clone()
                    },
                    max_len: expr.max_len,
                    group: expr.group,
                    words: rule.class == Class::Phrase,
                });
                all_specs.push(of);
            }
        }
        for (regex, of) in decoded::anchors() {
            specs.push(Spec { regex, max_len: 64, group: 0, words: true });
            all_specs.push(of);
        }
        let all = Engine::compile_after(specs, kind(engine), earlier.map(|earlier| &earlier.all))
            .map_err(|error| of_rule(&set, &all_specs, error))?;
        let cues = mention::Cues::compile()
            .map_err(|reason| CompileError { rule: "(mention)".to_owned(), reason })?;
        let keyed = Keyed::compile(&set).map_err(|(rule, reason)| CompileError { rule, reason })?;
        Ok(Self {
            all,
            all_specs,
            walkers: Default::default(),
            confirm,
            keyed,
            cues,
            builtin: limits::Sources::default(),
            limits,
            set,
        })
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn scratch(&self) -> Scratch<'_> {
        Scratch {
            rules: self,
            all: self.all.scanner().with_limit(self.limits.candidates),
            memory: Memory::default(),
        }
    }

    /// Makes what has been left until a text asks for it, so that none waits for it; `go_on` is
    /// asked between expressions.
    ///
    /// # Errors
    /// [`CompileError`] names the rule whose expression cannot be made.
    pub fn warm(&self, mut go_on: impl FnMut() -> bool) -> Result<(), CompileError> {
        self.all.warm(&mut go_on).map_err(|error| of_rule(&self.set, &self.all_specs, error))?;
        let rules = self.confirm.iter().zip(&self.set.rules);
        for (confirm, rule) in rules.take_while(|_| go_on()) {
            let failed = |reason| CompileError { rule: rule.source.rule.clone(), reason };
            confirm.warm().map_err(failed)?;
        }
        let of_mention = |reason| CompileError { rule: "(mention)".to_owned(), reason };
        self.cues.warm().map_err(of_mention)
    }

    /// How the expressions of a rule are looked for in raw and clean text, in the rule's order.
    pub fn plans(&self, rule: usize) -> impl Iterator<Item = &engine::Plan> {
        let of_rule = move |(of, plan): (&SpecOf, _)| (of.rule as usize == rule).then_some(plan);
        self.all_specs.iter().zip(self.all.plans()).filter_map(of_rule)
    }

    /// A scanner of the pack's expressions alone, for measurements.
    #[must_use]
    pub fn scanner(&self) -> engine::Scanner<'_> {
        self.all.scanner()
    }

    /// The rule that an expression belongs to; none for those that no rule brought along.
    #[must_use]
    pub fn rule_of(&self, spec: u32) -> Option<usize> {
        let rule = self.all_specs.get(spec as usize)?.rule as usize;
        (rule < self.set.rules.len()).then_some(rule)
    }

    /// The automaton that says what a stream must hold back; made when it is first asked for.
    ///
    /// # Errors
    /// [`CompileError`] where the expressions together are too large for one automaton.
    pub fn walker(&self, carrier: Carrier) -> Result<&engine::Walker, CompileError> {
        let wanted = scan::wanted(&self.all_specs, bit(carrier), |_| true);
        let walker = self.walkers[carrier as usize].get_or_init(|| {
            engine::Walker::compile(self.all.specs(), wanted)
                .map_err(|error| CompileError { rule: "(all)".to_owned(), reason: error.reason })
        });
        walker.as_ref().map_err(Clone::clone)
    }

    /// The automata in use, by name.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        self.all.name()
    }
}

impl Scratch<'_> {
    /// Finds all that the pack knows in every string of the event. Pure: the same event gives the same scan.
    pub fn scan(&mut self, event: &Event<'_>) -> Scan {
        scan::scan(self, event)
    }
}

/// Names the rule that an expression belongs to.
fn of_rule(set: &RuleSet, specs: &[SpecOf], error: engine::CompileError) -> CompileError {
    let rule = error.spec.and_then(|spec| set.rules.get(specs.get(spec)?.rule as usize));
    CompileError {
        rule: rule.map_or_else(|| "(all)".to_owned(), |rule| rule.source.rule.clone()),
        reason: error.reason,
    }
}

fn kind(kind: EngineKind) -> engine::Kind {
    match kind {
        EngineKind::Auto => engine::Kind::Auto,
        EngineKind::Rust => engine::Kind::Rust,
        EngineKind::Vectorscan => engine::Kind::Vectorscan,
    }
}

fn bit(carrier: Carrier) -> u8 {
    1 << carrier as u8
}
