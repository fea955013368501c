//! Where in an expression stands what is looked for, and what its neighbours say of a hit.
//!
//! A first pass names a place in the text. The parts of the expression around it, cut to what can
//! be walked, say at once whether a match can be there at all and where it would start. They
//! say no to most hits for the price of a few bytes; the exact automata see the rest.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::confirm::Candidate;
use super::literal::Ends;
use super::node::{ByteSet, Node};

/// Ways to walk are followed so many bytes far.
const REACH: u32 = u64::BITS - 1;

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) node: Node,
    /// Whether the node is all of it, and not only how it begins.
    pub(super) whole: bool,
    /// What a match of it begins with.
    pub(super) first: Ends,
    /// Length in bytes of what the part matches; without end where there is no bound.
    pub(super) min: usize,
    max: Option<usize>,
}

impl Part {
    pub(super) fn of(hir: &Hir) -> Self {
        let (node, whole) = Node::cut(hir);
        let properties = hir.properties();
        let first = if whole { Ends::of(&node, false) } else { Ends::first_of(hir) };
        Self {
            node,
            whole,
            first,
            // Nothing matches an expression without a least length.
            min: properties.minimum_len().unwrap_or(usize::MAX),
            max: properties.maximum_len(),
        }
    }
}

/// The expression as a row of parts, groups opened.
pub(super) fn parts(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(children) => children.iter().flat_map(parts).collect(),
        HirKind::Capture(group) => parts(&group.sub),
        _ => vec![hir],
    }
}

/// One way through an expression, and the part of it at which a hit begins.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) spec: u32,
    /// From the hit on, as far as can be walked.
    ahead: Vec<Step>,
    /// From the hit back, as far as can be walked, and whether that is to the match's start.
    behind: Vec<Step>,
    to_start: bool,
    /// From the start of a match to the hit, in bytes.
    before_min: usize,
    before_max: Option<usize>,
}

impl Place {
    pub(super) fn new(spec: u32, row: &[Part], at: usize) -> Self {
        let (before, after) = row.split_at(at);
        let sum = |sum: usize, part: &Part| sum.saturating_add(part.min);
        let mut ahead = Vec::new();
        for part in after {
            push(&part.node, false, &mut ahead);
            if !part.whole {
                break;
            }
        }
        let mut behind = Vec::new();
        let walked = before.iter().rev().take_while(|part| part.whole);
        walked.for_each(|part| push(&part.node, true, &mut behind));
        Self {
            spec,
            ahead,
            behind,
            to_start: before.iter().all(|part| part.whole),
            before_min: before.iter().fold(0, sum),
            before_max: before.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.max?)),
        }
    }

    /// The same place of an expression that has another number.
    pub(super) fn of_spec(&self, spec: u32) -> Self {
        Self { spec, ..self.clone() }
    }

    /// Where a match may start of which the part begins at `start`; nothing if none can.
    pub(super) fn candidate(&self, text: &[u8], start: usize) -> Option<Candidate> {
        // What was found stands ahead, so what stands behind it says more.
        let starts = Walk::<true> { text, from: start }.row(&self.behind, 1);
        if starts == Some(0) {
            return None;
        }
        let ends = Walk::<false> { text, from: start }.row(&self.ahead, 1);
        if ends == Some(0) {
            return None;
        }
        let (from, to) = match starts {
            Some(starts) if self.to_start => {
                let farthest = (REACH - starts.leading_zeros()) as usize;
                let nearest = starts.trailing_zeros() as usize;
                (start.checked_sub(farthest)?, start.checked_sub(nearest)?)
            }
            _ => (
                self.before_max.map_or(0, |most| start.saturating_sub(most)),
                start.checked_sub(self.before_min)?,
            ),
        };
        Some(Candidate { spec: self.spec, from, to })
    }
}

/// A node, made to be walked in one direction.
#[derive(Clone, Debug)]
enum Step {
    /// One byte out of each, one after the other.
    Sets(Vec<ByteSet>),
    /// Between so many and so many bytes out of one set.
    Run(ByteSet, u32, u32),
    Edge(Look),
    Either(Branches),
    Copies(Vec<Step>, u32, u32),
}

/// Steps of which one row is taken. Lists of words are long, and at most places few of them or none
/// can begin.
#[derive(Clone, Debug)]
struct Branches {
    rows: Vec<Vec<Step>>,
    /// Bytes that rows begin with in the direction of the walk, each with the row's number; sorted.
    by_byte: Vec<(u8, u32)>,
    /// Rows that begin with many bytes, or may with none, and with which where that is known.
    others: Vec<(Option<ByteSet>, u32)>,
    /// All bytes that rows are known to begin with.
    known: ByteSet,
    /// Whether of some row that is not empty this is not known.
    is_vague: bool,
}

/// Rows that begin with more bytes than this are not sorted by them.
const MAX_FIRST: usize = 8;

impl Branches {
    fn new(rows: Vec<Vec<Step>>) -> Self {
        let mut all = Self {
            by_byte: Vec::new(),
            others: Vec::new(),
            known: ByteSet::default(),
            is_vague: false,
            rows: Vec::new(),
        };
        for (at, row) in (0..).zip(&rows) {
            let first = first(row);
            match first {
                Some(set) if set.len() <= MAX_FIRST => {
                    all.by_byte.extend(set.bytes().map(|byte| (byte, at)));
                }
                _ => all.others.push((first, at)),
            }
            all.known = all.known.or(first.unwrap_or_default());
            all.is_vague |= first.is_none() && !row.is_empty();
        }
        all.by_byte.sort_unstable();
        Self { rows, ..all }
    }

    /// What they begin with; nothing where one of them may be empty, or is not known.
    fn first(&self) -> Option<ByteSet> {
        let may_be_empty = self.is_vague || self.rows.iter().any(Vec::is_empty);
        (!may_be_empty).then_some(self.known)
    }

    /// The rows that may begin with a byte, or at the text's end.
    fn at(&self, byte: Option<u8>) -> impl Iterator<Item = &[Step]> {
        let of_byte = byte.map_or(&[][..], |byte| {
            let from = self.by_byte.partition_point(|(first, _)| *first < byte);
            let rest = &self.by_byte[from..];
            &rest[..rest.iter().take_while(|(first, _)| *first == byte).count()]
        });
        let fits = move |first: &Option<ByteSet>| match first {
            Some(first) => byte.is_some_and(|byte| first.has(byte)),
            None => true,
        };
        let others = self.others.iter().filter(move |(first, _)| fits(first));
        let rows = of_byte.iter().map(|(_, row)| row).chain(others.map(|(_, row)| row));
        rows.map(|row| self.rows[*row as usize].as_slice())
    }
}

/// Appends the steps of a node.
fn push(node: &Node, back: bool, out: &mut Vec<Step>) {
    match node {
        Node::Set(set) => match out.last_mut() {
            Some(Step::Sets(sets)) => sets.push(*set),
            _ => out.push(Step::Sets(vec![*set])),
        },
        Node::Edge(look) => out.push(Step::Edge(*look)),
        Node::Row(row) if back => row.iter().rev().for_each(|node| push(node, back, out)),
        Node::Row(row) => row.iter().for_each(|node| push(node, back, out)),
        Node::Either(branches) => {
            let rows = branches.iter().map(|node| steps(node, back)).collect();
            out.push(Step::Either(Branches::new(rows)));
        }
        Node::Copies(node, least, most) => match &**node {
            Node::Set(set) => out.push(Step::Run(*set, *least, *most)),
            node => out.push(Step::Copies(steps(node, back), *least, *most)),
        },
    }
}

fn steps(node: &Node, back: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    push(node, back, &mut steps);
    steps
}

/// The bytes with which steps begin; nothing where they may end without one.
fn first(steps: &[Step]) -> Option<ByteSet> {
    let mut all = ByteSet::default();
    for step in steps {
        let of_step = match step {
            Step::Sets(sets) => sets.first().copied(),
            Step::Run(set, least, _) => {
                all = all.or(*set);
                (*least > 0).then_some(*set)
            }
            Step::Edge(_) => None,
            Step::Either(branches) => {
                all = all.or(branches.known);
                branches.first()
            }
            Step::Copies(steps, least, _) => {
                let of_copy = first(steps)?;
                all = all.or(of_copy);
                (*least > 0).then_some(of_copy)
            }
        };
        if let Some(of_step) = of_step {
            return Some(all.or(of_step));
        }
        // What a branch that may be empty begins with is not known.
        if matches!(step, Step::Either(branches) if branches.is_vague) {
            return None;
        }
    }
    None
}

/// Follows steps through a text, from a place on or back from it. Distances from there are
/// bits; `None` is farther than can be told.
struct Walk<'t, const BACK: bool> {
    text: &'t [u8],
    from: usize,
}

impl<const BACK: bool> Walk<'_, BACK> {
    /// Where a row of steps may end that begins at one of some distances.
    fn row(&self, steps: &[Step], mut starts: u64) -> Option<u64> {
        for step in steps {
            starts = self.step(step, starts)?;
            if starts == 0 {
                break;
            }
        }
        Some(starts)
    }

    fn step(&self, step: &Step, starts: u64) -> Option<u64> {
        let mut ends = 0;
        match step {
            Step::Sets(sets) => {
                for start in each(starts) {
                    let fits = |(at, set): (u32, &ByteSet)| {
                        self.byte(start + at).is_some_and(|byte| set.has(byte))
                    };
                    if (0..).zip(sets).all(fits) {
                        ends |= bit(start + sets.len() as u32)?;
                    }
                }
            }
            Step::Run(set, least, most) => {
                for start in each(starts) {
                    let mut count = 0;
                    while count < *most
                        && self.byte(start + count).is_some_and(|byte| set.has(byte))
                    {
                        count += 1;
                    }
                    if count >= *least {
                        // One bit for each count from the least on.
                        let farthest = bit(start + count)?;
                        ends |= (farthest | (farthest - 1)) & !((1 << (start + least)) - 1);
                    }
                }
            }
            Step::Edge(look) => {
                for start in each(starts) {
                    if holds(*look, self.text, self.place(start)?) {
                        ends |= 1 << start;
                    }
                }
            }
            Step::Either(branches) => {
                for start in each(starts) {
                    for row in branches.at(self.byte(start)) {
                        ends |= self.row(row, 1 << start)?;
                    }
                }
            }
            Step::Copies(steps, least, most) => {
                let mut after = starts;
                ends = if *least == 0 { starts } else { 0 };
                for copy in 1..=*most {
                    after = self.row(steps, after)?;
                    if after == 0 {
                        break;
                    }
                    if copy >= *least {
                        ends |= after;
                    }
                }
            }
        }
        Some(ends)
    }

    fn byte(&self, step: u32) -> Option<u8> {
        let step = step as usize;
        let at = if BACK { self.from.checked_sub(step + 1)? } else { self.from + step };
        self.text.get(at).copied()
    }

    fn place(&self, step: u32) -> Option<usize> {
        let step = step as usize;
        if BACK { self.from.checked_sub(step) } else { self.from.checked_add(step) }
    }
}

/// The bit of a distance; nothing where it is farther than can be told.
fn bit(distance: u32) -> Option<u64> {
    (distance <= REACH).then(|| 1 << distance)
}

/// The distances that bits stand for.
fn each(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let first = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(first)
    })
}

/// Whether an assertion holds at a place. Those that are not looked into are taken to hold.
fn holds(look: Look, text: &[u8], at: usize) -> bool {
    let word = |at: Option<usize>| {
        let byte = at.and_then(|at| text.get(at));
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let edge = || word(at.checked_sub(1)) != word(Some(at));
    match look {
        Look::Start => at == 0,
        Look::End => at == text.len(),
        Look::StartLF => at == 0 || text.get(at - 1) == Some(&b'\n'),
        Look::EndLF => at == text.len() || text.get(at) == Some(&b'\n'),
        Look::WordAscii => edge(),
        Look::WordAsciiNegate => !edge(),
        _ => true,
    }
}
