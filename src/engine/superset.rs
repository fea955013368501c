//! What the first pass looks for: from an expression, a bounded piece that every match must hold.
//!
//! A [`Piece`] is a run of byte sets, alternatives and short repeats out of the expression's
//! middle, with the distance from a match's start to the piece's end. The promise is one-sided:
//! each match of the expression holds some piece at that distance, while most places where a
//! piece occurs are no match, and confirmation says so. Everything that could break the promise
//! is left out: assertions match always, and a run stops before the first unbounded or large
//! repeat, because Vectorscan 5.4.12 loses matches of those and reports their open tails at
//! every byte.

use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind};

/// A repeat with more copies than this ends a run, unless the count is exact.
const MAX_COPIES: u32 = 16;
/// Exact counts are cut to this many copies: the rest tells no more.
const MAX_EXACT: u32 = 24;
/// A repeat that would unroll to more byte sets than this ends a run.
const MAX_UNROLLED: usize = 96;
/// A run stops once it is this rare: a longer one costs memory and finds the same places.
const ENOUGH_BITS: f64 = 30.0;
/// A run this rare ends where all that follows makes it rarer by less than [`PLAIN_BITS`] a set.
const RARE_BITS: f64 = 14.0;
/// See [`RARE_BITS`]; a letter of either case has about a third of a bit.
const PLAIN_BITS: f64 = 0.5;
/// A run this rare is taken at once; otherwise a later, rarer one may win.
const GOOD_BITS: f64 = 22.0;
/// A later run must be rarer by this to be taken: an early one leaves fewer possible starts.
const RARER_BITS: f64 = 4.0;
/// A run that is more common than this (some two places in a KB) would flood the buffer.
const LEAST_BITS: f64 = 9.0;
/// A run begins with sets this rare, on average, where it can.
const START_BITS: f64 = 1.0;
/// Words more common than this are looked for together with what stands beside them.
const WORD_BITS: f64 = 13.0;
/// No more literals than this stand for one expression in the keyword pass.
const MAX_LITERALS: usize = 128;
/// A literal ends before a set of more bytes than this, upper and lower case counted once.
const MAX_VARIANTS: usize = 4;

/// Something every match holds, and how far before its end the match starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// What to look for.
    pub(super) text: String,
    /// The least distance from a match's start to the end of this piece.
    pub(super) lead_min: usize,
    /// The greatest; `None` where an unbounded part stands before the piece.
    pub(super) lead_max: Option<usize>,
    /// Whether it holds a row of digits: see [`Digits`].
    pub(super) digits: bool,
}

/// A literal that every match holds, as its [`skeleton`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) bytes: Vec<u8>,
    pub(super) lead_min: usize,
    pub(super) lead_max: Option<usize>,
}

/// Pieces such that each match holds one of them, printed for Vectorscan: explicit byte classes,
/// no flags. `None` where no part of the expression is rare enough.
pub(super) fn pieces(hir: &Hir) -> Option<Vec<Piece>> {
    per_branch(hir, false, &|run| {
        let (min, max) = run.node.width();
        let piece = Piece {
            text: run.node.printed(),
            lead_min: run.before_min + min,
            lead_max: run.before_max.map(|before| before + max),
            digits: Digits::all_hold(&run.node),
        };
        Some((run.bits, vec![piece]))
    })
}

/// Literals such that each match holds one of them in its [`skeleton`].
pub(super) fn keywords(hir: &Hir) -> Option<Vec<Keyword>> {
    keywords_of(hir, 0.0)
}

/// The same where every branch has literals of which one stands at few places of common text.
pub(super) fn rare_keywords(hir: &Hir) -> Option<Vec<Keyword>> {
    keywords_of(hir, WORD_BITS)
}

fn keywords_of(hir: &Hir, least: f64) -> Option<Vec<Keyword>> {
    per_branch(hir, true, &|mut run| {
        // Of what stands before the first word, the last is part of the literal.
        if let Some(Node::Copies(node, 1.., _)) = run.previous
            && matches!(*node, Node::Set(_))
        {
            run.before_min -= 1;
            run.before_max = run.before_max.map(|before| before - 1);
            run.row.insert(0, *node);
        }
        let literals = Node::Row(run.row).literals()?;
        let bits = any_of(literals.iter().map(|literal| literal_bits(literal)));
        let keyword = |bytes: Vec<u8>| Keyword {
            lead_min: run.before_min + bytes.len(),
            lead_max: run.before_max.map(|before| before + bytes.len()),
            bytes,
        };
        (bits >= least).then(|| (bits, literals.into_iter().map(keyword).collect()))
    })
}

/// A stretch of an expression, from one of its parts on.
struct Run {
    /// What stands before it, if anything does.
    previous: Option<Node>,
    /// Its parts, as many as make it rare, and the next.
    row: Vec<Node>,
    /// The same, no longer than it must be.
    node: Node,
    bits: f64,
    before_min: usize,
    before_max: Option<usize>,
}

/// Turns a run into what a first pass looks for, and says how rare that is.
type Take<'a, T> = &'a dyn Fn(Run) -> Option<(f64, Vec<T>)>;

/// The best run of each branch of the expression, or nothing when one branch has none. With
/// `whole_words` no run begins inside a word, where it would look rarer than the word is.
fn per_branch<T>(hir: &Hir, whole_words: bool, take: Take<'_, T>) -> Option<Vec<T>> {
    let parts = parts(hir);
    if let [one] = parts.as_slice()
        && let HirKind::Alternation(branches) = one.kind()
    {
        let mut all = Vec::new();
        for branch in branches {
            all.extend(per_branch(branch, whole_words, take)?);
        }
        return Some(all);
    }
    let cuts: Vec<(Node, bool, f64)> = parts
        .iter()
        .map(|part| {
            let (node, whole) = Node::cut(part);
            let bits = node.bits();
            (node, whole, bits)
        })
        .collect();
    // What begins with common letters makes the automata look twice everywhere.
    let best = |plain_starts: bool| {
        let mut best: Option<Vec<T>> = None;
        let mut most = LEAST_BITS - RARER_BITS;
        let (mut before_min, mut before_max) = (0, Some(0));
        for (at, part) in parts.iter().enumerate() {
            let (node, _, bits) = &cuts[at];
            // An optional beginning only widens the distance to the start.
            let inside = whole_words
                && node.edge_is_word(false)
                && at.checked_sub(1).is_some_and(|before| cuts[before].0.edge_is_word(true));
            if *bits > 0.0
                && !inside
                && (plain_starts || *bits >= START_BITS * node.sets() as f64)
                && let run = Run::starting(&cuts, at, before_min, before_max)
                && run.bits > most + RARER_BITS
                && let Some((bits, taken)) = take(run)
                && bits > most + RARER_BITS
            {
                (most, best) = (bits, Some(taken));
                if bits >= GOOD_BITS {
                    break;
                }
            }
            before_min += part.properties().minimum_len()?;
            before_max =
                before_max.zip(part.properties().maximum_len()).map(|(before, more)| before + more);
        }
        best
    };
    best(false).or_else(|| best(true))
}

/// The expression as a row of parts, groups opened.
fn parts(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(children) => children.iter().flat_map(parts).collect(),
        HirKind::Capture(group) => parts(&group.sub),
        _ => vec![hir],
    }
}

impl Run {
    /// The run from one of the parts on, which were cut already: each with whether it is whole,
    /// and its bits.
    fn starting(
        parts: &[(Node, bool, f64)],
        at: usize,
        before_min: usize,
        before_max: Option<usize>,
    ) -> Self {
        let mut row = Vec::new();
        let mut bits = 0.0;
        for (node, whole, more) in &parts[at..] {
            row.push(node.clone());
            if !whole || bits >= ENOUGH_BITS {
                break;
            }
            bits += more;
        }
        let node = Node::Row(row.clone()).shortened(ENOUGH_BITS, true).0;
        let node = node.trimmed().unwrap_or(Node::Row(Vec::new()));
        let previous = at.checked_sub(1).map(|before| parts[before].0.clone());
        Self { previous, row, bits: node.bits(), node, before_min, before_max }
    }
}

/// What a reader takes a sign for: letters of either case, i, l, 1 and |, o and 0, and all that
/// stands between words are one each. It changes no offset, and phrases that match those as one
/// class become plain literals.
pub(super) fn skeleton(byte: u8) -> u8 {
    SKELETON[usize::from(byte)]
}

const SKELETON: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = (at as u8).to_ascii_lowercase();
        table[at] = match byte {
            b'l' | b'1' | b'|' => b'i',
            b'0' => b'o',
            b'\t'..=b'\r'
            | b'.'
            | b','
            | b';'
            | b':'
            | b'!'
            | b'?'
            | b'-'
            | b'_'
            | b'\''
            | b'"'
            | b'*'
            | b'`' => b' ',
            byte => byte,
        };
        at += 1;
    }
    table
};

/// How far a row of digits has come: four of them, each at most one other byte behind the last.
/// Most shapes of numbers hold such a row, and most texts do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digits {
    count: u8,
    gap: bool,
}

impl Digits {
    const ENOUGH: u8 = 4;

    fn holds(self) -> bool {
        self.count >= Self::ENOUGH
    }

    fn then(self, digit: bool) -> Self {
        match self {
            held if held.holds() => held,
            Self { count, .. } if digit => Self { count: count + 1, gap: false },
            Self { count, gap: false } if count > 0 => Self { count, gap: true },
            _ => Self::default(),
        }
    }

    /// Whether a text holds such a row.
    pub(super) fn in_text(text: &[u8]) -> bool {
        // A count without early exit runs many bytes at a time.
        let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
        let mut state = Self::default();
        digits >= usize::from(Self::ENOUGH)
            && text.iter().any(|byte| {
                state = state.then(byte.is_ascii_digit());
                state.holds()
            })
    }

    /// Whether every match of the node holds such a row, wherever it stands: text before it can
    /// only help.
    fn all_hold(node: &Node) -> bool {
        let mut states = vec![Self::default()];
        Self::through(node, &mut states);
        states.iter().all(|state| state.holds())
    }

    /// All states that the node may lead to.
    fn through(node: &Node, states: &mut Vec<Self>) {
        let settle = |states: &mut Vec<Self>| {
            states.sort_unstable_by_key(|state| (state.count, state.gap));
            states.dedup();
        };
        match node {
            Node::Set(set) => {
                let digit = (b'0'..=b'9').any(|byte| set.has(byte));
                let other = set.bytes().any(|byte| !byte.is_ascii_digit());
                let next = |state: Self| {
                    let ways = [digit.then(|| state.then(true)), other.then(|| state.then(false))];
                    ways.into_iter().flatten()
                };
                *states = states.iter().flat_map(|state| next(*state)).collect();
            }
            Node::Row(row) => row.iter().for_each(|node| Self::through(node, states)),
            Node::Either(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    let mut of_branch = states.clone();
                    Self::through(branch, &mut of_branch);
                    all.append(&mut of_branch);
                }
                *states = all;
            }
            Node::Copies(node, least, most) => {
                for _ in 0..*least {
                    Self::through(node, states);
                }
                let mut all = states.clone();
                for _ in *least..*most {
                    Self::through(node, states);
                    all.extend_from_slice(states);
                }
                *states = all;
            }
        }
        settle(states);
    }
}

/// An expression without assertions, flags, groups or open ends.
#[derive(Clone, Debug)]
enum Node {
    /// One byte out of these.
    Set(ByteSet),
    /// One after the other.
    Row(Vec<Node>),
    /// One of these.
    Either(Vec<Node>),
    /// Between so many and so many copies.
    Copies(Box<Node>, u32, u32),
}

impl Node {
    /// The longest beginning of an expression that can be searched for, and whether that is all of it.
    /// Each match of the expression begins with a match of the node.
    fn cut(hir: &Hir) -> (Self, bool) {
        let nothing = || Self::Row(Vec::new());
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => (nothing(), true),
            HirKind::Literal(literal) => (
                Self::Row(literal.0.iter().map(|byte| Self::Set(ByteSet::of(*byte))).collect()),
                true,
            ),
            HirKind::Class(Class::Bytes(class)) => (Self::Set(ByteSet::from(class)), true),
            HirKind::Class(Class::Unicode(class)) => match class.to_byte_class() {
                Some(class) => (Self::Set(ByteSet::from(&class)), true),
                None => (nothing(), false),
            },
            HirKind::Capture(group) => Self::cut(&group.sub),
            HirKind::Concat(children) => {
                let mut row = Vec::new();
                for child in children {
                    let (node, whole) = Self::cut(child);
                    row.push(node);
                    if !whole {
                        return (Self::Row(row), false);
                    }
                }
                (Self::Row(row), true)
            }
            HirKind::Alternation(branches) => {
                let (nodes, whole): (Vec<_>, Vec<_>) = branches.iter().map(Self::cut).unzip();
                (Self::Either(nodes), whole.into_iter().all(|whole| whole))
            }
            HirKind::Repetition(repeat) => {
                let (inner, whole) = Self::cut(&repeat.sub);
                let fits =
                    |copies: u32| inner.sets().saturating_mul(copies as usize) <= MAX_UNROLLED;
                let exact = repeat.max == Some(repeat.min) && repeat.min <= MAX_EXACT;
                if let Some(max) = repeat.max
                    && whole
                    && (max <= MAX_COPIES || exact)
                    && fits(max)
                {
                    return (Self::Copies(Box::new(inner), repeat.min, max), true);
                }
                let copies = if whole { repeat.min.min(MAX_EXACT) } else { repeat.min.min(1) };
                match copies {
                    0 => (nothing(), false),
                    copies if fits(copies) => {
                        (Self::Copies(Box::new(inner), copies, copies), false)
                    }
                    _ => (inner, false),
                }
            }
        }
    }

    /// The same, cut where it is rare enough or where more would hardly make it rarer, and whether
    /// nothing was cut. Alternatives are cut only where all of them are, or where nothing follows
    /// (`last`): what stands behind them would be lost for the common ones too.
    fn shortened(self, enough: f64, last: bool) -> (Self, bool) {
        match self {
            Self::Set(_) => (self, true),
            Self::Row(mut row) => {
                let ends = row.iter().rposition(|node| node.bits() > 0.0).map_or(0, |at| at + 1);
                let mut left = enough;
                let mut kept = Vec::with_capacity(ends);
                let mut rest: Vec<(f64, usize)> =
                    row[..ends].iter().map(|node| (node.bits(), node.sets())).collect();
                for at in (1..rest.len()).rev() {
                    rest[at - 1].0 += rest[at].0;
                    rest[at - 1].1 += rest[at].1;
                }
                for (at, node) in row.drain(..ends).enumerate() {
                    let (bits, sets) = rest[at];
                    let plain = bits < PLAIN_BITS * sets as f64;
                    if left <= 0.0 || (plain && enough - left >= RARE_BITS) {
                        return (Self::Row(kept), false);
                    }
                    let (node, whole) = node.shortened(left, last && at + 1 == ends);
                    left -= node.bits();
                    kept.push(node);
                    if !whole {
                        return (Self::Row(kept), false);
                    }
                }
                (Self::Row(kept), true)
            }
            Self::Either(_) if self.bits() < enough && !last => (self, true),
            Self::Either(branches) => {
                let cut = |branch: Self| branch.shortened(enough, last);
                let (branches, whole): (Vec<_>, Vec<_>) = branches.into_iter().map(cut).unzip();
                (Self::Either(branches), whole.into_iter().all(|whole| whole))
            }
            Self::Copies(node, min, max) => {
                let copies = (enough / node.bits()).ceil();
                if copies < f64::from(min) {
                    (Self::Copies(node, copies as u32, copies as u32), false)
                } else {
                    (Self::Copies(node, min, max), true)
                }
            }
        }
    }

    /// The same without what its end need not hold: a run may stop anywhere.
    fn trimmed(self) -> Option<Self> {
        match self {
            Self::Set(_) => Some(self),
            Self::Row(mut row) => loop {
                let last = row.pop()?;
                if let Some(last) = last.trimmed() {
                    row.push(last);
                    return Some(Self::Row(row));
                }
            },
            Self::Either(branches) => {
                branches.into_iter().map(Self::trimmed).collect::<Option<_>>().map(Self::Either)
            }
            Self::Copies(_, 0, _) => None,
            Self::Copies(node, 1, _) => node.trimmed(),
            Self::Copies(node, min, _) => {
                (node.width().0 > 0).then_some(Self::Copies(node, min, min))
            }
        }
    }

    /// Least and greatest length in bytes.
    fn width(&self) -> (usize, usize) {
        match self {
            Self::Set(_) => (1, 1),
            Self::Row(row) => {
                row.iter().map(Self::width).fold((0, 0), |(min, max), (a, b)| (min + a, max + b))
            }
            Self::Either(branches) => {
                let widths = || branches.iter().map(Self::width);
                (widths().map(|w| w.0).min().unwrap_or(0), widths().map(|w| w.1).max().unwrap_or(0))
            }
            Self::Copies(node, least, most) => {
                let (min, max) = node.width();
                (min * *least as usize, max * *most as usize)
            }
        }
    }

    /// Whether its first or last byte is a letter or digit, as far as one look tells.
    fn edge_is_word(&self, last: bool) -> bool {
        match self {
            Self::Set(set) => set.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::Row(row) => {
                let edge = if last { row.last() } else { row.first() };
                edge.is_some_and(|node| node.edge_is_word(last))
            }
            Self::Either(_) | Self::Copies(..) => false,
        }
    }

    /// Byte sets after unrolling: what it costs to compile.
    fn sets(&self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Row(nodes) | Self::Either(nodes) => nodes.iter().map(Self::sets).sum(),
            Self::Copies(node, _, most) => node.sets().saturating_mul(*most as usize),
        }
    }

    /// How rare it is: minus the binary logarithm of its chance at a place in common text.
    fn bits(&self) -> f64 {
        match self {
            Self::Set(set) => -set.chance().log2(),
            Self::Row(row) => row.iter().map(Self::bits).sum(),
            Self::Either(branches) => any_of(branches.iter().map(Self::bits)),
            Self::Copies(node, least, _) => node.bits() * f64::from(*least),
        }
    }

    /// Vectorscan's syntax, with every byte written out.
    fn printed(&self) -> String {
        let mut text = String::new();
        self.print(&mut text);
        text
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Set(set) => set.print(out),
            Self::Row(row) => row.iter().for_each(|node| node.print(out)),
            Self::Either(branches) => {
                out.push_str("(?:");
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        out.push('|');
                    }
                    branch.print(out);
                }
                out.push(')');
            }
            Self::Copies(node, least, most) => {
                out.push_str("(?:");
                node.print(out);
                let count = if least == most {
                    format!("){{{least}}}")
                } else {
                    format!("){{{least},{most}}}")
                };
                out.push_str(&count);
            }
        }
    }

    /// Skeletons of all strings that it may begin with, each as long as can be told.
    fn literals(&self) -> Option<Vec<Vec<u8>>> {
        let mut growing = Vec::from([Vec::new()]);
        let mut done = Vec::new();
        self.grow(&mut growing, &mut done);
        done.append(&mut growing);
        done.sort();
        done.dedup();
        (done.len() <= MAX_LITERALS).then_some(done)
    }

    /// Appends to each growing string; those that can grow no more are done.
    fn grow(&self, growing: &mut Vec<Vec<u8>>, done: &mut Vec<Vec<u8>>) {
        match self {
            Self::Set(set) => {
                let bytes = set.skeletons();
                if bytes.len() > MAX_VARIANTS || growing.len() * bytes.len() > MAX_LITERALS {
                    done.append(growing);
                    return;
                }
                *growing = growing
                    .iter()
                    .flat_map(|start| {
                        bytes.iter().map(move |byte| [start.as_slice(), &[*byte]].concat())
                    })
                    .collect();
            }
            Self::Row(row) => row.iter().for_each(|node| node.grow(growing, done)),
            Self::Either(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    let mut of_branch = growing.clone();
                    branch.grow(&mut of_branch, done);
                    all.append(&mut of_branch);
                }
                all.sort();
                all.dedup();
                if all.len() > MAX_LITERALS {
                    done.append(&mut all);
                }
                *growing = all;
            }
            Self::Copies(node, least, most) => {
                for _ in 0..*least {
                    node.grow(growing, done);
                    if growing.is_empty() {
                        return;
                    }
                }
                if least != most {
                    done.append(growing);
                }
            }
        }
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn of(byte: u8) -> Self {
        let mut set = Self([0; 4]);
        set.insert(byte);
        set
    }

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().zip([0_u8, 64, 128, 192]).flat_map(|(word, base)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as u8;
                left &= left.checked_sub(1)?;
                Some(base + bit)
            })
        })
    }

    fn skeletons(&self) -> Vec<u8> {
        let mut all: Vec<u8> = self.bytes().map(skeleton).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Its share of the bytes of common text.
    fn chance(&self) -> f64 {
        self.bytes().map(|byte| CHANCES[usize::from(byte)]).sum::<f64>().min(1.0)
    }

    fn print(&self, out: &mut String) {
        let bytes: Vec<u8> = self.bytes().collect();
        let alone = bytes.len() == 1;
        if !alone {
            out.push('[');
        }
        for run in bytes.chunk_by(|a, b| a + 1 == *b) {
            let shown = match run {
                [one] => format!("\\x{one:02x}"),
                _ => format!("\\x{:02x}-\\x{:02x}", run[0], run[run.len() - 1]),
            };
            out.push_str(&shown);
        }
        if !alone {
            out.push(']');
        }
    }
}

impl From<&ClassBytes> for ByteSet {
    fn from(class: &ClassBytes) -> Self {
        let mut set = Self([0; 4]);
        for range in class.ranges() {
            (range.start()..=range.end()).for_each(|byte| set.insert(byte));
        }
        set
    }
}

/// How rare it is that one of several things stands at a place.
fn any_of(bits: impl Iterator<Item = f64>) -> f64 {
    // The sum of nothing is 0: what has no branch is infinitely rare.
    -bits.map(|bits| (-bits).exp2()).sum::<f64>().min(1.0).log2()
}

/// How rare a skeleton is: by its letters, but a common word is as common as it is.
fn literal_bits(skeleton: &[u8]) -> f64 {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    skeleton
        .chunk_by(|a, b| letter(a) == letter(b))
        .map(|row| {
            let by_signs: f64 = row.iter().map(|&byte| -skeleton_chance(byte).log2()).sum();
            if COMMON.contains(&row) { by_signs.min(COMMON_BITS) } else { by_signs }
        })
        .sum()
}

/// Share of all bytes that become this one.
fn skeleton_chance(byte: u8) -> f64 {
    match byte {
        // What sets a word apart is no part of how rare the word is.
        b' ' => 1.0,
        b'i' => 0.11,
        b'a'..=b'z' => CHANCES[usize::from(byte)] + CHANCES[usize::from(byte.to_ascii_uppercase())],
        _ => CHANCES[usize::from(byte)],
    }
}

/// A common English word begins at one place in some five hundred.
const COMMON_BITS: f64 = 9.0;

/// Words that most chat messages hold, as skeletons: those of common lists of English that a
/// phrase may name, and verbs of request.
const COMMON: &[&[u8]] = &[
    b"a",
    b"about",
    b"above",
    b"aii",
    b"an",
    b"and",
    b"any",
    b"are",
    b"as",
    b"at",
    b"be",
    b"been",
    b"before",
    b"but",
    b"by",
    b"can",
    b"ciear",
    b"couid",
    b"do",
    b"does",
    b"each",
    b"everything",
    b"first",
    b"foiiow",
    b"foiiowing",
    b"for",
    b"from",
    b"get",
    b"give",
    b"go",
    b"had",
    b"has",
    b"have",
    b"he",
    b"heip",
    b"her",
    b"here",
    b"him",
    b"his",
    b"how",
    b"i",
    b"if",
    b"in",
    b"into",
    b"is",
    b"it",
    b"its",
    b"just",
    b"know",
    b"iast",
    b"iet",
    b"iike",
    b"iist",
    b"iook",
    b"make",
    b"may",
    b"me",
    b"message",
    b"more",
    b"my",
    b"name",
    b"need",
    b"new",
    b"no",
    b"not",
    b"now",
    b"of",
    b"on",
    b"one",
    b"oniy",
    b"or",
    b"other",
    b"our",
    b"out",
    b"over",
    b"piease",
    b"provide",
    b"put",
    b"question",
    b"repiy",
    b"said",
    b"say",
    b"see",
    b"send",
    b"shouid",
    b"show",
    b"so",
    b"some",
    b"start",
    b"take",
    b"teii",
    b"text",
    b"than",
    b"that",
    b"the",
    b"their",
    b"them",
    b"then",
    b"there",
    b"these",
    b"they",
    b"this",
    b"those",
    b"time",
    b"to",
    b"up",
    b"us",
    b"use",
    b"user",
    b"want",
    b"was",
    b"we",
    b"weii",
    b"were",
    b"what",
    b"when",
    b"where",
    b"which",
    b"who",
    b"wiii",
    b"with",
    b"word",
    b"words",
    b"work",
    b"wouid",
    b"write",
    b"you",
    b"your",
];

/// [`byte_chance`] of every byte.
static CHANCES: [f64; 256] = {
    let mut table = [0.0; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = byte_chance(at as u8);
        at += 1;
    }
    table
};

/// Share of a byte in chat text, roughly: English letters, some code and some numbers.
const fn byte_chance(byte: u8) -> f64 {
    /// Letters a to z, in thousandths.
    const LETTERS: [f64; 26] = [
        64.0, 12.0, 22.0, 32.0, 100.0, 17.0, 16.0, 42.0, 56.0, 1.2, 6.0, 32.0, 19.0, 55.0, 60.0,
        15.0, 0.8, 48.0, 51.0, 72.0, 22.0, 8.0, 16.0, 1.3, 16.0, 0.7,
    ];
    let thousandths = match byte {
        b' ' => 165.0,
        b'a'..=b'z' => LETTERS[(byte - b'a') as usize],
        b'A'..=b'Z' => LETTERS[(byte - b'A') as usize] * 0.04 + 0.2,
        b'.' | b',' | b'\n' => 9.0,
        b'0'..=b'9' | b'-' | b'\'' | b'"' | b':' | b'/' | b'_' | b'(' | b')' | b'?' | b'!' => 3.0,
        b'\t' | b'\r' | 0x21..=0x7e => 0.8,
        0x80.. => 0.5,
        _ => 0.01,
    };
    thousandths / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hir(regex: &str) -> Hir {
        super::super::parse(regex).unwrap()
    }

    /// What is printed for an expression, with `\xNN` of printable ASCII shown as it is.
    fn printed(regex: &str) -> Option<Vec<(String, usize, Option<usize>)>> {
        let plain = |text: &str| {
            let mut out = String::new();
            let mut rest = text;
            while let Some((before, after)) = rest.split_once("\\x") {
                out.push_str(before);
                let (digits, more) = after.split_at(2);
                out.push(char::from(u8::from_str_radix(digits, 16).unwrap()));
                rest = more;
            }
            out.push_str(rest);
            out
        };
        pieces(&hir(regex)).map(|pieces| {
            pieces
                .iter()
                .map(|piece| (plain(&piece.text), piece.lead_min, piece.lead_max))
                .collect()
        })
    }

    #[track_caller]
    fn check(regex: &str, expected: &[(&str, usize, Option<usize>)]) {
        let expected: Vec<_> =
            expected.iter().map(|(text, min, max)| ((*text).to_owned(), *min, *max)).collect();
        assert_eq!(printed(regex), (!expected.is_empty()).then_some(expected), "{regex}");
    }

    #[test]
    fn runs_stop_before_open_repeats_and_trim_their_tails() {
        check("then=[^\n]*;q", &[("then=", 5, Some(5))]);
        check("no[0-9]{4,}", &[("no(?:[0-9]){4}", 6, Some(6))]);
        check("no[0-9]{4,9}", &[("no(?:[0-9]){4}", 6, Some(6))]);
        check("now(?:jk|x?)", &[("now", 3, Some(3))]);
        check(r"\bnow(?:[0-9]{2}){2}\b", &[("now(?:(?:[0-9]){2}){2}", 7, Some(7))]);
    }

    #[test]
    fn runs_stop_where_they_are_rare_enough() {
        check("qqqzzz[0-9]{9}", &[("qqq", 3, Some(3))]);
        check("(?:qx|jz)[a-z0-9]{30}", &[("(?:qx|jz)", 2, Some(2))]);
        // Alternatives with something behind them stay whole.
        check("(?:bz|qzq)=[0-9]", &[("(?:bz|qzq)=[0-9]", 4, Some(5))]);
    }

    #[test]
    fn branches_are_looked_for_each_on_its_own() {
        check("(qqx|zzkj)", &[("qqx", 3, Some(3)), ("zzkj", 4, Some(4))]);
    }

    #[test]
    fn a_common_beginning_gives_way_to_a_rare_middle() {
        check("[a-z]{1,40}@[0-9]{2}", &[("@(?:[0-9]){2}", 4, Some(43))]);
        check("[a-z]+@[0-9]{2}", &[("@(?:[0-9]){2}", 4, None)]);
    }

    #[test]
    fn nothing_rare_gives_nothing() {
        check("[a-z]+", &[]);
        check("a*", &[]);
        check("", &[]);
        check("zzkj|[a-z]{2}", &[]);
    }

    #[test]
    fn rows_of_digits_are_known() {
        let holds = |regex: &str| pieces(&hir(regex)).unwrap().iter().all(|piece| piece.digits);
        assert!(holds(r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}\b"));
        assert!(holds(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b|\b[0-9]{9}\b"));
        assert!(!holds(r"\b[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}\b"));
        assert!(!holds(r"qz[0-9]{3}"));
        assert!(Digits::in_text(b"call 4-1 5-5"[..].as_ref()) && Digits::in_text(b"a1b2c3d4"));
        assert!(
            !Digits::in_text(b"on 14, 15, 16, 17") && !Digits::in_text(b"123 45"[..3].as_ref())
        );
    }

    proptest::proptest! {
        /// What the automaton says of all matches holds for each of them.
        #[test]
        fn a_match_of_a_piece_with_digits_has_them(text in "[0-9a ./-]{0,24}") {
            for regex in [r"[0-9]{3}[ -]?[0-9]{3}", r"(?:[0-9]{2}\.?){3}|a[0-9]{5}", r"[0-9][a-z]?[0-9]{3}"] {
                let all = pieces(&hir(regex)).unwrap().iter().all(|piece| piece.digits);
                let found = regex::bytes::Regex::new(regex).unwrap().is_match(text.as_bytes());
                proptest::prop_assert!(!(all && found) || Digits::in_text(text.as_bytes()));
            }
        }
    }

    #[test]
    fn a_keyword_takes_what_sets_it_apart() {
        let keywords =
            keywords(&hir(r"(?i)the[ \t.]{1,8}(?:qua[il1|]ity|zebra)[ \t]{1,8}of")).unwrap();
        let found: Vec<_> = keywords
            .iter()
            .map(|word| {
                (String::from_utf8_lossy(&word.bytes).into_owned(), word.lead_min, word.lead_max)
            })
            .collect();
        let expected =
            [(" quaiity ".to_owned(), 12, Some(19)), (" zebra ".to_owned(), 10, Some(17))];
        assert_eq!(found, expected);
    }

    #[test]
    fn common_words_are_no_rare_ones() {
        assert!(literal_bits(b"were") < 10.0 && literal_bits(b"the text") < 19.0);
        assert!(literal_bits(b"ignore") > 20.0);
        assert!(COMMON.iter().all(|word| word.iter().all(|&byte| skeleton(byte) == byte)));
    }

    #[test]
    fn keywords_take_every_case_once() {
        let keywords = keywords(&hir("(?i)ig[nm]ore[ \t]+all")).unwrap();
        let words: Vec<_> = keywords
            .iter()
            .map(|keyword| String::from_utf8_lossy(&keyword.bytes).into_owned())
            .collect();
        assert_eq!(words, ["igmore ", "ignore "]);
    }
}
