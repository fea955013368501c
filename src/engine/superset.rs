//! What the first pass looks for: from an expression, things of which every match holds one.
//!
//! Best is a literal, of words in the text's skeleton, of shapes in the text itself. Where an
//! expression has none that is rare, it is a [`Piece`]: a run of byte sets out of the expression's
//! middle. The promise is one-sided: each match holds one of the things sought, while most hits
//! are no match, and the parts around them ([`Place`]) and then the exact automata say so.

use regex_syntax::hir::{Hir, HirKind};

use super::gate::Gate;
use super::literal::{Grown, Literals, Style, is_inside_word};
use super::node::Node;
use super::place::{Part, Place, parts};

/// A run stops once it is this rare: a longer one costs memory and finds the same places.
const ENOUGH_BITS: f64 = 30.0;
/// A run this rare is taken at once; otherwise a later, rarer one may win.
const GOOD_BITS: f64 = 22.0;
/// A later run must be rarer by this to be taken: an early one leaves fewer possible starts.
const RARER_BITS: f64 = 4.0;
/// A run that is more common than this (some two places in a KB) would flood the buffer.
const LEAST_BITS: f64 = 9.0;
/// A run begins with sets this rare, on average, where it can.
const START_BITS: f64 = 1.0;
/// Where there is nothing better, it may be more common: what stands beside it tells at once.
const LEAST_WEAK_BITS: f64 = 6.5;
/// A literal need not be rarer than this.
const RARE_BITS: f64 = 20.0;
/// What one more literal costs, against how rare they are.
const BITS_A_LITERAL: f64 = 0.15;
/// Alternatives are taken apart so deep, and into so many ways through an expression.
const MAX_DEPTH: usize = 2;
const MAX_WAYS: usize = 64;

/// Something to look for.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    pub(super) what: What,
    /// A text without this holds no match that holds it.
    pub(super) gate: Gate,
    pub(super) place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Literals(Literals),
    #[cfg_attr(
        not(feature = "vectorscan"),
        expect(dead_code, reason = "only Vectorscan looks for pieces")
    )]
    Piece(Piece),
}

/// A run of byte sets, printed for Vectorscan: explicit classes, no flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Least and greatest length in bytes.
    pub(super) width: (usize, usize),
}

/// Things of which each match of the expression holds one. `None` where no part of it is rare enough.
pub(super) fn sought(spec: u32, hir: &Hir, style: Style) -> Option<Vec<Sought>> {
    let mut ways = Ways { spec, style, found: Vec::new() };
    ways.through(&parts(hir)).then_some(ways.found)
}

/// The ways through one expression.
struct Ways {
    spec: u32,
    style: Style,
    found: Vec<Sought>,
}

impl Ways {
    /// Finds what to look for in a row of parts; says whether it did.
    fn through(&mut self, row: &[&Hir]) -> bool {
        if let [one] = row
            && let HirKind::Alternation(branches) = one.kind()
        {
            return branches.iter().all(|branch| self.through(&parts(branch)));
        }
        let cut: Vec<Part> = row.iter().copied().map(Part::of).collect();
        if self.by_literals(row, &cut, LEAST_BITS, 0) {
            return true;
        }
        let gate = Gate::of_piece(&cut);
        // Pieces are looked for at every byte of the texts that pass their gate.
        if gate == Gate::Open && self.by_literals(row, &cut, LEAST_WEAK_BITS, 0) {
            return true;
        }
        let Some((at, piece)) = piece(&cut) else { return false };
        let place = Place::new(self.spec, &cut, at);
        self.found.push(Sought { what: What::Piece(piece), gate, place });
        true
    }

    /// The same with literals that are as rare as `least` says.
    fn by_literals(&mut self, row: &[&Hir], cut: &[Part], least: f64, depth: usize) -> bool {
        let Some((at, literals)) = literals(self.style, cut, least) else {
            return depth < MAX_DEPTH && self.apart(row, least, depth + 1);
        };
        let gate = match self.style {
            Style::Words if Gate::Foreign.in_all(cut) => Gate::Foreign,
            Style::Words => Gate::Open,
            Style::Bytes => Gate::of(cut),
        };
        let place = Place::new(self.spec, cut, at);
        self.found.push(Sought { what: What::Literals(literals), gate, place });
        true
    }

    /// Takes alternatives in the row apart, where each of them then has a literal.
    fn apart(&mut self, row: &[&Hir], least: f64, depth: usize) -> bool {
        let before = self.found.len();
        for (at, part) in row.iter().enumerate() {
            let HirKind::Alternation(branches) = part.kind() else { continue };
            let each = |branch| {
                let way = [&row[..at], &parts(branch), &row[at + 1..]].concat();
                let cut: Vec<Part> = way.iter().copied().map(Part::of).collect();
                self.found.len() - before < MAX_WAYS && self.by_literals(&way, &cut, least, depth)
            };
            if branches.len() <= MAX_WAYS && branches.iter().all(each) {
                return true;
            }
            self.found.truncate(before);
        }
        false
    }
}

/// The best literals of a row, and the part at which they begin.
fn literals(style: Style, row: &[Part], least: f64) -> Option<(usize, Literals)> {
    let worth =
        |found: &Grown| found.bits.min(RARE_BITS) - BITS_A_LITERAL * found.texts.len() as f64;
    let mut best: Option<(usize, Grown)> = None;
    for at in 0..row.len() {
        // None can be better than one that is as rare as counts.
        if best.as_ref().is_some_and(|(_, best)| worth(best) >= RARE_BITS - BITS_A_LITERAL) {
            break;
        }
        // Behind an edge grows the same, and is known to begin there.
        if !matches!(row[at].node, Node::Edge(_))
            && !is_inside_word(style, row, at)
            && let Some(found) = Grown::at(style, row, at)
            && found.bits >= least
            && best.as_ref().is_none_or(|(_, best)| worth(&found) > worth(best))
        {
            best = Some((at, found));
        }
    }
    best.map(|(at, grown)| (at, Literals::new(style, row, at, grown)))
}

/// The best piece of a row, and the part at which it begins.
fn piece(row: &[Part]) -> Option<(usize, Piece)> {
    let bits: Vec<f64> = row.iter().map(|part| part.node.bits()).collect();
    // What begins with common letters makes the automata look twice everywhere.
    let best = |plain_starts: bool| {
        let mut best = None;
        let mut most = LEAST_BITS - RARER_BITS;
        for (at, part) in row.iter().enumerate() {
            if bits[at] > 0.0
                && (plain_starts || bits[at] >= START_BITS * part.node.sets() as f64)
                && let Some(node) = run(row, &bits, at)
                && node.bits() > most + RARER_BITS
            {
                most = node.bits();
                best = Some((at, node));
                if most >= GOOD_BITS {
                    break;
                }
            }
        }
        best
    };
    let (at, node) = best(false).or_else(|| best(true))?;
    Some((at, Piece { text: node.printed(), width: node.width() }))
}

/// The parts from one on, as many as make them rare, and no more of those than must be.
fn run(row: &[Part], bits: &[f64], at: usize) -> Option<Node> {
    let mut taken = Vec::new();
    let mut sum = 0.0;
    for (part, bits) in row.iter().zip(bits).skip(at) {
        taken.push(part.node.clone());
        if !part.whole || sum >= ENOUGH_BITS {
            break;
        }
        sum += bits;
    }
    Node::Row(taken).shortened(ENOUGH_BITS, true).0.trimmed()
}
