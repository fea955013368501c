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
/// A run this rare ends before sets that make it rarer by less than [`PLAIN_BITS`] each.
const RARE_BITS: f64 = 14.0;
/// See [`RARE_BITS`]; a letter of either case has about a third of a bit.
const PLAIN_BITS: f64 = 0.5;
/// A run this rare is taken at once; otherwise a later, rarer one may win.
const GOOD_BITS: f64 = 22.0;
/// A later run must be rarer by this to be taken: an early one leaves fewer possible starts.
const RARER_BITS: f64 = 4.0;
/// A run that is more common than this (some two places in a KB) would flood the buffer.
const LEAST_BITS: f64 = 9.0;
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
}

/// A literal that every match holds, in ASCII lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) bytes: Vec<u8>,
    pub(super) lead_min: usize,
    pub(super) lead_max: Option<usize>,
}

/// Pieces such that each match holds one of them, printed for Vectorscan: explicit byte classes,
/// no flags. `None` where no part of the expression is rare enough.
pub(super) fn pieces(hir: &Hir) -> Option<Vec<Piece>> {
    per_branch(hir, &|run| {
        let (min, max) = run.node.width();
        let piece = Piece {
            text: run.node.printed(),
            lead_min: run.before_min + min,
            lead_max: run.before_max.map(|before| before + max),
        };
        Some((run.bits, vec![piece]))
    })
}

/// Literals such that each match holds one of them, whatever its case.
pub(super) fn keywords(hir: &Hir) -> Option<Vec<Keyword>> {
    per_branch(hir, &|run| {
        let literals = run.node.literals()?;
        let bits = any_of(literals.iter().map(|literal| literal_bits(literal)));
        let keyword = |bytes: Vec<u8>| Keyword {
            lead_min: run.before_min + bytes.len(),
            lead_max: run.before_max.map(|before| before + bytes.len()),
            bytes,
        };
        Some((bits, literals.into_iter().map(keyword).collect()))
    })
}

/// A stretch of an expression, from one of its parts on.
struct Run {
    node: Node,
    bits: f64,
    before_min: usize,
    before_max: Option<usize>,
}

/// Turns a run into what a first pass looks for, and says how rare that is.
type Take<'a, T> = &'a dyn Fn(Run) -> Option<(f64, Vec<T>)>;

/// The best run of each branch of the expression, or nothing when one branch has none.
fn per_branch<T>(hir: &Hir, take: Take<'_, T>) -> Option<Vec<T>> {
    let parts = parts(hir);
    if let [one] = parts.as_slice()
        && let HirKind::Alternation(branches) = one.kind()
    {
        let mut all = Vec::new();
        for branch in branches {
            all.extend(per_branch(branch, take)?);
        }
        return Some(all);
    }
    let mut best: Option<Vec<T>> = None;
    let mut most = LEAST_BITS - RARER_BITS;
    let (mut before_min, mut before_max) = (0, Some(0));
    for (at, part) in parts.iter().enumerate() {
        // An optional beginning only widens the distance to the start.
        if Node::cut(part).0.bits() > 0.0
            && let run = Run::starting(&parts[at..], before_min, before_max)
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
    fn starting(parts: &[&Hir], before_min: usize, before_max: Option<usize>) -> Self {
        let mut row = Vec::new();
        let mut bits = 0.0;
        for part in parts {
            let (node, whole) = Node::cut(part);
            bits += node.bits();
            row.push(node);
            if !whole || bits >= ENOUGH_BITS {
                break;
            }
        }
        let node = Node::Row(row).shortened(ENOUGH_BITS, true).0;
        let node = node.trimmed().unwrap_or(Node::Row(Vec::new()));
        Self { bits: node.bits(), node, before_min, before_max }
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
                for (at, node) in row.drain(..ends).enumerate() {
                    let plain = node.bits() < PLAIN_BITS * node.sets() as f64;
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
            Self::Copies(node, least, most) => {
                let copies = (enough / node.bits()).ceil();
                if copies < f64::from(least) {
                    (Self::Copies(node, copies as u32, copies as u32), false)
                } else {
                    (Self::Copies(node, least, most), true)
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

    /// All strings that it may begin with, in lower case, each as long as can be told.
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
                let bytes = set.lower_case();
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
        (0..=u8::MAX).filter(|byte| self.has(*byte))
    }

    fn lower_case(&self) -> Vec<u8> {
        let mut lower: Vec<u8> = self.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        lower.sort_unstable();
        lower.dedup();
        lower
    }

    /// Its share of the bytes of common text.
    fn chance(&self) -> f64 {
        self.bytes().map(byte_chance).sum::<f64>().min(1.0)
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

fn literal_bits(bytes: &[u8]) -> f64 {
    bytes
        .iter()
        .map(|byte| -(byte_chance(*byte) + byte_chance(byte.to_ascii_uppercase())).min(1.0).log2())
        .sum()
}

/// Share of a byte in chat text, roughly: English letters, some code and some numbers.
fn byte_chance(byte: u8) -> f64 {
    /// Letters a to z, in thousandths.
    const LETTERS: [f64; 26] = [
        64.0, 12.0, 22.0, 32.0, 100.0, 17.0, 16.0, 42.0, 56.0, 1.2, 6.0, 32.0, 19.0, 55.0, 60.0,
        15.0, 0.8, 48.0, 51.0, 72.0, 22.0, 8.0, 16.0, 1.3, 16.0, 0.7,
    ];
    let thousandths = match byte {
        b' ' => 165.0,
        b'a'..=b'z' => LETTERS[usize::from(byte - b'a')],
        b'A'..=b'Z' => LETTERS[usize::from(byte - b'A')] * 0.04 + 0.2,
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
        check("(?:e|qqqzzz)=[0-9]", &[("(?:e|qqqzzz)=[0-9]", 3, Some(8))]);
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
    fn keywords_take_every_case_once() {
        let keywords = keywords(&hir("(?i)ig[nm]ore[ \t]+all")).unwrap();
        let words: Vec<_> = keywords
            .iter()
            .map(|keyword| String::from_utf8_lossy(&keyword.bytes).into_owned())
            .collect();
        assert_eq!(words, ["igmore\t", "igmore ", "ignore\t", "ignore "]);
    }
}
