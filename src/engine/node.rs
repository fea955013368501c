//! An expression without groups and open ends, as a first pass can look for it.
//!
//! A [`Node`] is cut from an expression's HIR before the first unbounded or large repeat: each
//! match of the expression begins with a match of the node. Vectorscan 5.4.12 loses matches of
//! such repeats and reports their open tails at every byte, and it is given nothing but nodes.

use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind, Look};

/// A repeat with more copies than this ends a run, unless the count is exact.
const MAX_COPIES: u32 = 16;
/// Exact counts are cut to this many copies: the rest tells no more.
const MAX_EXACT: u32 = 24;
/// A repeat that would unroll to more byte sets than this ends a run.
const MAX_UNROLLED: usize = 96;
/// A run this rare ends where all that follows makes it rarer by less than [`PLAIN_BITS`] a set.
const RARE_BITS: f64 = 14.0;
/// See [`RARE_BITS`]; a letter of either case has about a third of a bit.
const PLAIN_BITS: f64 = 0.5;

/// An expression without flags, groups or open ends.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One byte out of these.
    Set(ByteSet),
    /// One after the other.
    Row(Vec<Node>),
    /// One of these.
    Either(Vec<Node>),
    /// Between so many and so many copies.
    Copies(Box<Node>, u32, u32),
    /// Nothing, where an assertion holds. A first pass takes it to hold everywhere.
    Edge(Look),
}

impl Node {
    /// The longest beginning of an expression that can be searched for, and whether that is all of it.
    /// Each match of the expression begins with a match of the node.
    pub(super) fn cut(hir: &Hir) -> (Self, bool) {
        let nothing = || Self::Row(Vec::new());
        match hir.kind() {
            HirKind::Empty => (nothing(), true),
            HirKind::Look(look) => (Self::Edge(*look), true),
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
                // A word does not end inside a word: some rules leave an alternative empty that way.
                let word = |node: &Self| node.edge_is_word(false) && matches!(node, Self::Set(_));
                let never = |three: &[Self]| matches!(three, [a, Self::Edge(Look::WordAscii), b] if word(a) && word(b));
                if row.windows(3).any(never) {
                    return (Self::Set(ByteSet::default()), true);
                }
                (Self::Row(row), true)
            }
            HirKind::Alternation(branches) => {
                let possible = branches.iter().map(Self::cut).filter(|(node, _)| !node.is_never());
                let (nodes, whole): (Vec<_>, Vec<_>) = possible.unzip();
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

    /// Whether nothing can match it, as far as one look tells.
    fn is_never(&self) -> bool {
        match self {
            Self::Set(set) => *set == ByteSet::default(),
            Self::Row(row) => row.iter().any(Self::is_never),
            _ => false,
        }
    }

    /// The same, cut where it is rare enough or where more would hardly make it rarer, and whether
    /// nothing was cut. Alternatives are cut only where all of them are, or where nothing follows
    /// (`last`): what stands behind them would be lost for the common ones too.
    pub(super) fn shortened(self, enough: f64, last: bool) -> (Self, bool) {
        match self {
            Self::Set(_) | Self::Edge(_) => (self, true),
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
    pub(super) fn trimmed(self) -> Option<Self> {
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
            Self::Edge(_) | Self::Copies(_, 0, _) => None,
            Self::Copies(node, 1, _) => node.trimmed(),
            Self::Copies(node, min, _) => {
                (node.width().0 > 0).then_some(Self::Copies(node, min, min))
            }
        }
    }

    /// Least and greatest length in bytes.
    pub(super) fn width(&self) -> (usize, usize) {
        match self {
            Self::Set(_) => (1, 1),
            Self::Edge(_) => (0, 0),
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
    pub(super) fn edge_is_word(&self, last: bool) -> bool {
        match self {
            Self::Set(set) => set.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::Row(row) => {
                let edge = if last { row.last() } else { row.first() };
                edge.is_some_and(|node| node.edge_is_word(last))
            }
            Self::Either(_) | Self::Copies(..) | Self::Edge(_) => false,
        }
    }

    /// Byte sets after unrolling: what it costs to compile.
    pub(super) fn sets(&self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Edge(_) => 0,
            Self::Row(nodes) | Self::Either(nodes) => nodes.iter().map(Self::sets).sum(),
            Self::Copies(node, _, most) => node.sets().saturating_mul(*most as usize),
        }
    }

    /// How rare it is: minus the binary logarithm of its chance at a place in common text.
    pub(super) fn bits(&self) -> f64 {
        match self {
            Self::Set(set) => -set.chance().log2(),
            Self::Edge(_) => 0.0,
            Self::Row(row) => row.iter().map(Self::bits).sum(),
            Self::Either(branches) => any_of(branches.iter().map(Self::bits)),
            Self::Copies(node, least, _) => node.bits() * f64::from(*least),
        }
    }

    /// Vectorscan's syntax, with every byte written out.
    pub(super) fn printed(&self) -> String {
        let mut text = String::new();
        self.print(&mut text);
        text
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Set(set) => set.print(out),
            Self::Edge(_) => {}
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
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn of(byte: u8) -> Self {
        let mut set = Self([0; 4]);
        set.insert(byte);
        set
    }

    pub(super) fn all() -> Self {
        Self([u64::MAX; 4])
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn or(self, other: Self) -> Self {
        let mut both = self;
        for (word, more) in both.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        both
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().zip([0_u8, 64, 128, 192]).flat_map(|(word, base)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as u8;
                left &= left.checked_sub(1)?;
                Some(base + bit)
            })
        })
    }

    /// Its share of the bytes of common text.
    pub(super) fn chance(&self) -> f64 {
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
pub(super) fn any_of(bits: impl Iterator<Item = f64>) -> f64 {
    // The sum of nothing is 0: what has no branch is infinitely rare.
    -bits.map(|bits| (-bits).exp2()).sum::<f64>().min(1.0).log2()
}
/// [`byte_chance`] of every byte.
pub(super) static CHANCES: [f64; 256] = {
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
