//! Literals that every match of an expression holds, and how rare they are in common text.
//!
//! Words are looked for in a text's [`Skeleton`], where a reader's confusions and all that stands
//! between two words are folded away, so that "act as" is one literal however it is written.
//! Shapes are looked for in the text itself, without regard to case.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::node::{ByteSet, CHANCES, Node, any_of};
use super::place::Part;
use super::trie::SHORTEST;

/// No more literals than this stand for one way through an expression.
const MAX_LITERALS: usize = 96;
/// A literal ends before a set of more bytes than this, upper and lower case counted once.
const MAX_VARIANTS: usize = 8;
/// A literal that is this rare need not be longer.
const ENOUGH_BITS: f64 = 20.0;
/// A repeat of more copies than this ends a literal where it is not exact.
const MAX_OPTIONAL: u32 = 1;

/// What literals are looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Style {
    /// The skeleton of the text.
    Words,
    /// The text in lower case.
    Bytes,
}

/// Literals of which every match holds one, at the beginning of one of its parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literals {
    pub(super) all: Vec<Literal>,
    /// How rare it is that one of them stands at a place.
    pub(super) bits: f64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) text: Vec<u8>,
    /// What stands before the part in it: a space of the skeleton, or nothing.
    pub(super) lead: usize,
    /// Whether it begins at one of the skeleton's [starts](Skeleton::starts) in every match. It is
    /// then one of a skeleton.
    pub(super) at_start: bool,
}

/// What might become [`Literals`]: texts as they grew from one part, and how rare they are.
pub(super) struct Grown {
    pub(super) texts: Vec<Vec<u8>>,
    pub(super) bits: f64,
}

impl Grown {
    /// Those of the part `at` and the parts behind it; nothing where they tell nothing.
    pub(super) fn at(style: Style, row: &[Part], at: usize) -> Option<Self> {
        let mut growth = Growth { style, growing: vec![Vec::new()], done: Vec::new() };
        for (at, part) in row.iter().enumerate().skip(at) {
            // What may be left out and is not known to its end ends every literal. A gap that
            // follows in any case still tells a word from the beginnings of others.
            if style == Style::Words && !part.whole && part.min == 0 && begins_with_gap(&row[at..])
            {
                growth.growing.iter_mut().for_each(|text| style.push(text, b' '));
                break;
            }
            growth.node(&part.node);
            if !part.whole || growth.growing.is_empty() {
                break;
            }
            // A longer literal costs nothing, but more of them do.
            let next = row.get(at + 1).map(|part| &part.node);
            if !next.is_some_and(
                |next| matches!(next, Node::Set(set) if style.variants(set).len() == 1),
            ) {
                growth.settle();
            }
        }
        growth.done.append(&mut growth.growing);
        let mut texts = growth.done;
        texts.sort_unstable();
        // Sorted, a text stands right behind one that it begins with, or behind others of those.
        texts.dedup_by(|text, before| text.starts_with(before));
        // Where in a gap a part begins cannot be told from a skeleton.
        let vague = |text: &Vec<u8>| {
            text.first().is_none_or(|&first| style == Style::Words && first == b' ')
        };
        if texts.iter().any(vague) {
            return None;
        }
        let bits = any_of(texts.iter().map(|text| style.bits(text)));
        Some(Self { texts, bits })
    }
}

impl Literals {
    /// What grew from the part `at`, as it is looked for.
    pub(super) fn new(style: Style, row: &[Part], at: usize, grown: Grown) -> Self {
        let free = stands_free(row, at);
        let behind_gap = at.checked_sub(1).is_some_and(|before| row[before].node.is_gap());
        let begins = |text: &[u8]| {
            let Some(&first) = text.first() else { return false };
            text.len() >= SHORTEST
                && match style {
                    // Every sign is a start.
                    Style::Words => first.is_ascii() && (free || !first.is_ascii_alphanumeric()),
                    Style::Bytes => free && is_of_word(first),
                }
        };
        let mut starting = Vec::new();
        let mut all = Vec::with_capacity(grown.texts.len());
        for mut text in grown.texts {
            if begins(&text) {
                starting.push(if style == Style::Bytes { skeleton_of(&text) } else { text });
                continue;
            }
            let has_lead = style == Style::Words && behind_gap;
            if has_lead {
                text.insert(0, b' ');
            }
            all.push(Literal { text, lead: usize::from(has_lead), at_start: false });
        }
        starting.sort_unstable();
        starting.dedup_by(|text, before| text.starts_with(before));
        all.extend(starting.into_iter().map(|text| Literal { text, lead: 0, at_start: true }));
        Self { all, bits: grown.bits }
    }
}

/// Letters and digits, and the sign that is read as a letter.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'|'
}

/// Whether every match of these parts begins with what stands between two words.
fn begins_with_gap(row: &[Part]) -> bool {
    let mut first = Ends::default();
    for part in row {
        first = first.then(part.first);
        if !first.may_be_none {
            return first.bytes.bytes().all(|byte| SKELETON[usize::from(byte)] == b' ');
        }
    }
    false
}

/// Whether in no match a letter or digit stands right before the part at `at`.
fn stands_free(row: &[Part], at: usize) -> bool {
    let mut last = Ends::default();
    for part in row[..at].iter().rev() {
        if last.may_be_none {
            let any = Ends { bytes: ByteSet::all(), may_be_none: false };
            last = last.then(if part.whole { Ends::of(&part.node, true) } else { any });
        }
    }
    !last.may_be_none && !last.bytes.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

/// Whether the part at `at` goes on in the middle of a word in every match: it would look rarer
/// than the word is. Of a shape, a word begins with one letter and is not just any.
pub(super) fn is_inside_word(style: Style, row: &[Part], at: usize) -> bool {
    let of_word = |ends: Ends| {
        !ends.may_be_none && ends.bytes.len() > 0 && ends.bytes.bytes().all(is_of_word)
    };
    let of_one_word = |node: &Node| {
        style == Style::Words || matches!(node, Node::Set(set) if style.variants(set).len() == 1)
    };
    let before = at.checked_sub(1).and_then(|before| row.get(before));
    before.is_some_and(|before| {
        before.whole && of_one_word(&before.node) && of_word(Ends::of(&before.node, true))
    }) && of_word(Ends::of(&row[at].node, false))
}

/// What matches of a node begin or end with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    bytes: ByteSet,
    /// Whether one may be empty.
    may_be_none: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Self { bytes: ByteSet::default(), may_be_none: true }
    }
}

impl Ends {
    /// What matches of an expression begin with.
    pub(super) fn first_of(hir: &Hir) -> Self {
        let of_set = |bytes| Self { bytes, may_be_none: false };
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::default(),
            HirKind::Literal(literal) => {
                literal.0.first().map_or_else(Self::default, |&byte| of_set(ByteSet::of(byte)))
            }
            HirKind::Class(Class::Bytes(class)) => of_set(ByteSet::from(class)),
            HirKind::Class(Class::Unicode(class)) => {
                of_set(class.to_byte_class().map_or_else(ByteSet::all, |it| ByteSet::from(&it)))
            }
            HirKind::Capture(group) => Self::first_of(&group.sub),
            HirKind::Repetition(repeat) => {
                let ends = Self::first_of(&repeat.sub);
                Self { may_be_none: ends.may_be_none || repeat.min == 0, ..ends }
            }
            HirKind::Concat(children) => children.iter().fold(Self::default(), |ends, child| {
                if ends.may_be_none { ends.then(Self::first_of(child)) } else { ends }
            }),
            HirKind::Alternation(branches) => {
                branches.iter().map(Self::first_of).fold(of_set(ByteSet::default()), Self::or)
            }
        }
    }

    /// What a node's matches begin with, or end with.
    pub(super) fn of(node: &Node, backward: bool) -> Self {
        match node {
            Node::Set(set) => Self { bytes: *set, may_be_none: false },
            // Before a letter or digit these hold where neither stands before.
            Node::Edge(
                Look::WordAscii
                | Look::WordStartAscii
                | Look::Start
                | Look::StartLF
                | Look::StartCRLF,
            ) if backward => Self { bytes: ByteSet::default(), may_be_none: false },
            Node::Edge(_) => Self::default(),
            Node::Row(row) => {
                let each = |ends: Self, node: &Node| {
                    if ends.may_be_none { ends.then(Self::of(node, backward)) } else { ends }
                };
                if backward {
                    row.iter().rev().fold(Self::default(), each)
                } else {
                    row.iter().fold(Self::default(), each)
                }
            }
            Node::Either(branches) => {
                let never = Self { bytes: ByteSet::default(), may_be_none: false };
                branches.iter().map(|node| Self::of(node, backward)).fold(never, Self::or)
            }
            Node::Copies(node, least, _) => {
                let ends = Self::of(node, backward);
                Self { may_be_none: ends.may_be_none || *least == 0, ..ends }
            }
        }
    }

    /// The same of either.
    fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.or(other.bytes),
            may_be_none: self.may_be_none || other.may_be_none,
        }
    }

    /// The same of a row that goes on.
    fn then(self, next: Self) -> Self {
        Self { bytes: self.bytes.or(next.bytes), may_be_none: next.may_be_none }
    }
}

impl Style {
    /// What a byte is looked for as.
    fn folded(self, byte: u8) -> u8 {
        match self {
            Self::Words => SKELETON[usize::from(byte)],
            Self::Bytes => byte.to_ascii_lowercase(),
        }
    }

    fn variants(self, set: &ByteSet) -> ByteSet {
        // What has more bytes than a few letters in either case has too many variants.
        if set.len() > 8 * MAX_VARIANTS {
            return *set;
        }
        let mut all = ByteSet::default();
        set.bytes().for_each(|byte| all.insert(self.folded(byte)));
        all
    }

    /// A literal with one more byte; a gap is one space of a skeleton, however long.
    fn push(self, literal: &mut Vec<u8>, byte: u8) {
        if self == Self::Bytes || byte != b' ' || literal.last() != Some(&b' ') {
            literal.push(byte);
        }
    }

    /// How rare a literal is.
    fn bits(self, literal: &[u8]) -> f64 {
        match self {
            Self::Words => word_bits(literal),
            Self::Bytes => byte_bits(literal),
        }
    }
}

impl Node {
    /// Whether it is what stands between two words, and nothing else.
    fn is_gap(&self) -> bool {
        match self {
            Self::Set(set) => set.bytes().all(|byte| SKELETON[usize::from(byte)] == b' '),
            Self::Copies(node, 1.., _) => node.is_gap(),
            _ => false,
        }
    }
}

struct Growth {
    style: Style,
    growing: Vec<Vec<u8>>,
    /// Those that grow no more.
    done: Vec<Vec<u8>>,
}

impl Growth {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Edge(_) => {}
            Node::Set(set) => self.set(set),
            Node::Row(row) => row.iter().for_each(|node| self.node(node)),
            Node::Either(branches) => {
                let start = std::mem::take(&mut self.growing);
                let mut all = Vec::new();
                for branch in branches {
                    self.growing.clone_from(&start);
                    self.node(branch);
                    all.append(&mut self.growing);
                }
                all.sort_unstable();
                all.dedup();
                self.growing = all;
                self.bound();
            }
            // One space of a skeleton stands for any number.
            Node::Copies(node, least, _) if self.style == Style::Words && node.is_gap() => {
                let without = if *least == 0 { self.growing.clone() } else { Vec::new() };
                self.node(node);
                self.also(without);
            }
            Node::Copies(node, least, most) => {
                for _ in 0..*least {
                    self.node(node);
                }
                if *most > *least {
                    let mut without = self.growing.clone();
                    if most - least <= MAX_OPTIONAL {
                        self.node(node);
                        self.also(without);
                    } else {
                        self.done.append(&mut without);
                        self.growing.clear();
                    }
                }
            }
        }
    }

    fn set(&mut self, set: &ByteSet) {
        let variants = self.style.variants(set);
        if variants.len() > MAX_VARIANTS || self.growing.len() * variants.len() > MAX_LITERALS {
            self.done.append(&mut self.growing);
            return;
        }
        let mut bytes = variants.bytes();
        let first = bytes.next();
        let starts = self.growing.len();
        for byte in bytes {
            for at in 0..starts {
                let mut copy = self.growing[at].clone();
                self.style.push(&mut copy, byte);
                self.growing.push(copy);
            }
        }
        match first {
            Some(byte) => {
                for text in &mut self.growing[..starts] {
                    self.style.push(text, byte);
                }
            }
            None => self.growing.clear(),
        }
    }

    fn also(&mut self, mut without: Vec<Vec<u8>>) {
        self.growing.append(&mut without);
        self.growing.sort_unstable();
        self.growing.dedup();
        self.bound();
    }

    fn bound(&mut self) {
        if self.growing.len() > MAX_LITERALS {
            self.done.append(&mut self.growing);
        }
    }

    /// What is rare enough grows no more.
    fn settle(&mut self) {
        let style = self.style;
        let (done, growing): (Vec<_>, Vec<_>) = std::mem::take(&mut self.growing)
            .into_iter()
            .partition(|text| style.bits(text) >= ENOUGH_BITS);
        self.done.extend(done);
        self.growing = growing;
    }
}

/// Vectorscan reads whole vectors, up to 15 bytes past the end of what it is given: there must be
/// memory on either side of it that is ours.
pub(super) const SLACK: usize = 64;

/// A text as a reader takes it: letters of either case, i, l, 1 and |, o and 0 are one each, and
/// so is all that stands between words, however long. It remembers where each byte stood.
#[derive(Debug, Default)]
pub(super) struct Skeleton {
    /// As long as the longest text so far, with [`SLACK`] on either side.
    bytes: Vec<u8>,
    len: usize,
    /// Where bytes were left out, and how many of them up to there: in a gap of several bytes.
    cuts: Vec<(u32, u32)>,
    starts: Vec<u32>,
}

impl Skeleton {
    /// Reads a text of less than 4 GiB.
    pub(super) fn read(&mut self, text: &[u8]) {
        if self.bytes.len() < text.len() + 2 * SLACK {
            self.bytes.resize(text.len() + 2 * SLACK, 0);
        }
        self.cuts.clear();
        let bytes = &mut self.bytes[SLACK..];
        let (whole, rest) = text.as_chunks::<8>();
        let mut len = 0;
        // Whether the byte before is of a gap, in the lowest bit.
        let mut before = 0;
        for eight in whole {
            let mut folded = [0; 8];
            for (to, byte) in folded.iter_mut().zip(eight) {
                *to = SKELETON[usize::from(*byte)];
            }
            let gaps = spaces(u64::from_le_bytes(folded));
            if gaps & (gaps << 8 | before << 7) == 0 {
                // No gap goes on, as mostly.
                bytes[len..len + 8].copy_from_slice(&folded);
                len += 8;
            } else {
                len = push(bytes, len, before, &folded, &mut self.cuts);
            }
            before = gaps >> 63;
        }
        let mut folded = [0; 8];
        folded.iter_mut().zip(rest).for_each(|(to, byte)| *to = SKELETON[usize::from(*byte)]);
        self.len = push(bytes, len, before, &folded[..rest.len()], &mut self.cuts);
        self.starts.clear();
        if text.contains(&b'|') {
            self.starts_of_raw(text);
        } else {
            starts_of(&self.bytes[SLACK..][..self.len], &mut self.starts);
        }
    }

    /// Where in the skeleton a letter or digit stands behind neither, and where a sign does that is
    /// no gap.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The starts of a text that may hold a `|`, which a skeleton does not tell from a letter.
    fn starts_of_raw(&mut self, text: &[u8]) {
        let is_in_word = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
        let mut cuts = self.cuts.iter().peekable();
        let mut out = 0;
        for at in 0..self.len as u32 {
            if let Some((_, more)) = cuts.next_if(|(cut, _)| *cut == at) {
                out = *more;
            }
            let place = (at + out) as usize;
            let begins = is_in_word(place) && !place.checked_sub(1).is_some_and(is_in_word);
            if begins || text.get(place).is_some_and(|byte| is_sign(*byte)) {
                self.starts.push(at);
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(SLACK..SLACK + self.len).unwrap_or_default()
    }

    /// Where in the text the byte stands; of a gap, its last byte.
    pub(super) fn place(&self, at: usize) -> Option<usize> {
        if at >= self.len {
            return None;
        }
        let behind = self.cuts.partition_point(|(cut, _)| *cut as usize <= at);
        let out = behind.checked_sub(1).map_or(0, |last| self.cuts[last].1);
        Some(at + out as usize)
    }
}

/// Appends bytes of a skeleton, a gap that goes on written over by what follows; gives the new
/// length. `before` says whether a gap stands before them.
fn push(
    bytes: &mut [u8],
    mut len: usize,
    mut before: u64,
    folded: &[u8],
    cuts: &mut Vec<(u32, u32)>,
) -> usize {
    for &byte in folded {
        let gap = u64::from(byte == b' ');
        if before & gap == 1 {
            len -= 1;
            match cuts.last_mut() {
                Some((at, out)) if *at as usize == len => *out += 1,
                last => {
                    let out = last.map_or(0, |(_, out)| *out);
                    cuts.push((len as u32, out + 1));
                }
            }
        }
        bytes[len] = byte;
        len += 1;
        before = gap;
    }
    len
}

/// A sign in the highest bit of each of eight bytes that is a space.
fn spaces(eight: u64) -> u64 {
    const LOW: u64 = u64::MAX / 255 * 0x7f;
    let other = eight ^ (u64::MAX / 255 * 0x20);
    // Below 128 a sum does not carry into the next byte, and is 128 or more unless it is of none.
    !(((other & LOW) + LOW) | other | LOW)
}

/// What a literal is in a skeleton. It stands in the skeleton of each text that holds it.
fn skeleton_of(literal: &[u8]) -> Vec<u8> {
    let mut skeleton = Vec::with_capacity(literal.len());
    for &byte in literal {
        Style::Words.push(&mut skeleton, Style::Words.folded(byte));
    }
    skeleton
}

/// Whether a byte is ASCII and neither a letter nor a digit nor of a gap.
fn is_sign(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && SKELETON[usize::from(byte)] != b' '
}

/// Where letters and digits of a skeleton stand behind neither, and signs; eight bytes at a time,
/// an answer for each in its highest bit.
fn starts_of(skeleton: &[u8], out: &mut Vec<u32>) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let mut before = 0;
    let (whole, rest) = skeleton.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    for (at, eight) in (0..).step_by(8).zip(whole.iter().chain([&last])) {
        let eight = u64::from_le_bytes(*eight);
        // Sums of two numbers below 128 do not carry into the next byte.
        let low = eight & !HIGH;
        let from = |first: u8| low + u64::from(0x80 - first) * EACH;
        let letters = from(b'a') & !from(b'z' + 1);
        let digits = from(b'0') & !from(b'9' + 1);
        let ascii = !eight & HIGH;
        let words = (letters | digits) & ascii;
        let signs = ascii & !words & !spaces(eight);
        let mut starts = words & !(words << 8 | before) | signs;
        before = words >> 56;
        while starts != 0 {
            out.push(at + starts.trailing_zeros() / 8);
            starts &= starts - 1;
        }
    }
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

/// How rare a skeleton is: by its letters, but a common word is as common as it is.
fn word_bits(literal: &[u8]) -> f64 {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let mut common = 0;
    literal
        .chunk_by(|a, b| letter(a) == letter(b))
        .map(|row| {
            let by_signs: f64 = row.iter().map(|&byte| SKELETON_BITS[usize::from(byte)]).sum();
            if is_common(row) {
                common += 1;
                by_signs.min(if common == 1 { COMMON_BITS } else { NEXT_COMMON_BITS })
            } else {
                by_signs
            }
        })
        .sum()
}

/// How rare a literal of a text in lower case is. Letters follow each other as they do in words:
/// three in a row stand in some word of most texts, wherever they stand in it.
fn byte_bits(literal: &[u8]) -> f64 {
    let letter = |byte: &u8| byte.is_ascii_lowercase();
    literal
        .chunk_by(|a, b| letter(a) && letter(b))
        .map(|row| {
            let by_signs: f64 = row.iter().map(|&byte| LOWER_BITS[usize::from(byte)]).sum();
            match row.len() {
                1 => by_signs,
                2..=4 => by_signs.min(FEW_LETTERS_BITS * (row.len() - 1) as f64),
                _ if is_common(row) => COMMON_BITS,
                _ => by_signs,
            }
        })
        .sum()
}

/// What a byte of a skeleton, and of a text in lower case, adds to how rare a literal is.
static SKELETON_BITS: LazyLock<[f64; 256]> = LazyLock::new(|| bits_of(skeleton_chance));
static LOWER_BITS: LazyLock<[f64; 256]> = LazyLock::new(|| bits_of(lower_chance));

fn bits_of(chance: fn(u8) -> f64) -> [f64; 256] {
    std::array::from_fn(|byte| -chance(byte as u8).log2())
}

/// Two letters in a row stand at one place in some fifty, three at one in three thousand.
const FEW_LETTERS_BITS: f64 = 5.5;

fn lower_chance(byte: u8) -> f64 {
    if byte.is_ascii_lowercase() {
        CHANCES[usize::from(byte)] + CHANCES[usize::from(byte.to_ascii_uppercase())]
    } else {
        CHANCES[usize::from(byte)]
    }
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

fn is_common(word: &[u8]) -> bool {
    packed(word).is_some_and(|word| COMMON_PACKED.binary_search(&word).is_ok())
}

/// Words as numbers, in the order of [`COMMON`]: it is asked for millions of words when rules load.
static COMMON_PACKED: LazyLock<Vec<u128>> =
    LazyLock::new(|| COMMON.iter().filter_map(|word| packed(word)).collect());

/// A word of at most sixteen bytes, none of them zero, as a number; in the order of the words.
fn packed(word: &[u8]) -> Option<u128> {
    let mut bytes = [0; 16];
    bytes.get_mut(..word.len())?.copy_from_slice(word);
    Some(u128::from_be_bytes(bytes))
}

/// A common English word begins at one place in some five hundred.
const COMMON_BITS: f64 = 9.0;
/// Common words stand beside each other more often than by chance.
const NEXT_COMMON_BITS: f64 = 5.0;

/// Words that most chat messages hold, as skeletons: those of common lists of English that a
/// phrase may name, and verbs of request. Sorted.
const COMMON: &[&[u8]] = &[
    b"a",
    b"about",
    b"above",
    b"accept",
    b"access",
    b"account",
    b"add",
    b"address",
    b"addresses",
    b"advice",
    b"after",
    b"agent",
    b"aii",
    b"aiso",
    b"an",
    b"and",
    b"answer",
    b"any",
    b"api",
    b"are",
    b"argument",
    b"as",
    b"assist",
    b"assistant",
    b"at",
    b"avaiiabie",
    b"bank",
    b"base",
    b"based",
    b"be",
    b"been",
    b"before",
    b"biock",
    b"book",
    b"but",
    b"by",
    b"caii",
    b"can",
    b"cannot",
    b"card",
    b"change",
    b"changes",
    b"checks",
    b"ciear",
    b"code",
    b"command",
    b"configuration",
    b"confirm",
    b"contact",
    b"content",
    b"copy",
    b"couid",
    b"create",
    b"credit",
    b"current",
    b"customer",
    b"customers",
    b"data",
    b"date",
    b"day",
    b"days",
    b"detaiis",
    b"did",
    b"do",
    b"document",
    b"documents",
    b"does",
    b"don",
    b"drop",
    b"each",
    b"emaii",
    b"emaiis",
    b"enabied",
    b"even",
    b"everything",
    b"faise",
    b"fiie",
    b"first",
    b"foiiow",
    b"foiiowing",
    b"for",
    b"free",
    b"from",
    b"function",
    b"get",
    b"give",
    b"given",
    b"go",
    b"going",
    b"had",
    b"has",
    b"have",
    b"he",
    b"heiio",
    b"heip",
    b"her",
    b"here",
    b"him",
    b"his",
    b"how",
    b"human",
    b"i",
    b"ianguage",
    b"iast",
    b"iet",
    b"if",
    b"iike",
    b"iine",
    b"iist",
    b"imagine",
    b"in",
    b"inciude",
    b"information",
    b"instead",
    b"instruction",
    b"instructions",
    b"internai",
    b"into",
    b"iook",
    b"is",
    b"it",
    b"its",
    b"just",
    b"key",
    b"know",
    b"make",
    b"may",
    b"me",
    b"member",
    b"mention",
    b"message",
    b"money",
    b"month",
    b"more",
    b"must",
    b"my",
    b"name",
    b"need",
    b"never",
    b"new",
    b"next",
    b"no",
    b"none",
    b"not",
    b"now",
    b"number",
    b"numbers",
    b"object",
    b"of",
    b"on",
    b"one",
    b"oniy",
    b"or",
    b"order",
    b"originai",
    b"other",
    b"our",
    b"out",
    b"output",
    b"over",
    b"owner",
    b"page",
    b"pages",
    b"parameter",
    b"parameters",
    b"paste",
    b"pay",
    b"payment",
    b"piease",
    b"point",
    b"points",
    b"present",
    b"print",
    b"process",
    b"prompt",
    b"provide",
    b"pubiic",
    b"put",
    b"question",
    b"rate",
    b"record",
    b"records",
    b"red",
    b"repiy",
    b"report",
    b"request",
    b"required",
    b"response",
    b"resuit",
    b"return",
    b"roie",
    b"ruie",
    b"ruies",
    b"said",
    b"say",
    b"security",
    b"see",
    b"send",
    b"set",
    b"share",
    b"sheii",
    b"shouid",
    b"show",
    b"so",
    b"some",
    b"start",
    b"string",
    b"support",
    b"sure",
    b"system",
    b"tabie",
    b"take",
    b"takes",
    b"team",
    b"teii",
    b"test",
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
    b"through",
    b"time",
    b"to",
    b"tooi",
    b"totai",
    b"transfer",
    b"txt",
    b"understand",
    b"up",
    b"update",
    b"us",
    b"use",
    b"user",
    b"users",
    b"want",
    b"was",
    b"way",
    b"we",
    b"week",
    b"weii",
    b"were",
    b"what",
    b"when",
    b"where",
    b"which",
    b"who",
    b"wiii",
    b"with",
    b"without",
    b"word",
    b"words",
    b"worid",
    b"work",
    b"wouid",
    b"write",
    b"wrong",
    b"year",
    b"yes",
    b"you",
    b"your",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_are_sorted_skeletons() {
        assert!(COMMON.is_sorted_by(|a, b| a < b));
        for word in COMMON {
            let skeleton: Vec<u8> = word.iter().map(|&byte| Style::Words.folded(byte)).collect();
            assert_eq!(*word, skeleton);
            assert!(is_common(word));
            assert!(!is_common(&[word, &b"q"[..]].concat()));
        }
        assert!(!is_common(b"oniyx"));
    }

    fn literals(style: Style, regex: &str) -> Vec<Literals> {
        let hir = super::super::parse(regex).unwrap();
        let row: Vec<Part> = super::super::place::parts(&hir).into_iter().map(Part::of).collect();
        (0..row.len())
            .filter_map(|at| Some(Literals::new(style, &row, at, Grown::at(style, &row, at)?)))
            .collect()
    }

    #[test]
    fn what_begins_a_word_in_every_match_is_known() {
        let starts = |regex: &str| {
            literals(Style::Bytes, regex).iter().flat_map(|of| &of.all).any(|one| one.at_start)
        };
        for begins in [
            r"\bkey",
            r"(?:\b|_)(?:key|api)",
            r"(?:^|[^0-9A-Za-z])key",
            r"[a-z]*[ .]{1,3}(?:key|kin)",
            r"\b[|k]ey",
            r"(?:-|\b)_?key",
            r"\b(?:key|-key)",
        ] {
            assert!(starts(begins), "{begins}");
        }
        for not in [
            "key",
            r"\Bkey",
            r"_?key",
            r"\b-key",
            r"(?:\b|x)key",
            r"[a-z]*[ .]{0,3}key",
            r"[^a-z]key",
            r"\bke",
            r"(?:\b|\B)key",
            "é+key",
        ] {
            assert!(!starts(not), "{not}");
        }
    }

    #[test]
    fn shapes_at_starts_are_looked_for_in_skeletons() {
        let all = literals(Style::Bytes, r"\b(?:AB_l|AB-1-|ab i)");
        let texts = all.iter().flat_map(|of| &of.all).filter(|one| one.at_start);
        assert_eq!(texts.map(|one| &one.text).collect::<Vec<_>>(), [b"ab i"]);
    }

    #[test]
    fn a_word_before_what_may_be_left_out_is_looked_for_whole() {
        let first = |regex: &str| literals(Style::Words, regex).swap_remove(0).all[0].text.clone();
        let long = "[a-z]{1,99}";
        assert_eq!(first(&format!(r"\byour(?:[ .]{{1,99}}{long})?[ .]{{1,8}}rule")), b"your ");
        assert_eq!(first(&format!(r"\byour(?:[ .]{{1,99}}{long})?s")), b"your");
        assert_eq!(first(&format!(r"\byour(?:[ .]{{0,99}}{long})?[ .]{{1,8}}rule")), b"your");
        assert_eq!(first(&format!(r"\byour(?:(?:x|{long})?[ .])?[ .]{{1,8}}rule")), b"your");
    }

    #[test]
    fn the_starts_of_a_skeleton_are_those_of_the_text() {
        let starts = |text: &str| {
            let mut skeleton = Skeleton::default();
            skeleton.read(text.as_bytes());
            let place = |at: &u32| skeleton.place(*at as usize).unwrap();
            skeleton.starts().iter().map(place).collect::<Vec<_>>()
        };
        assert_eq!(starts("Act as_if,  (x1) 9-é7"), [0, 4, 7, 12, 13, 15, 17, 21]);
        assert_eq!(starts("a|b ||"), [0, 1, 2, 4, 5]);
        assert!(starts("").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn starts_are_letters_and_digits_behind_neither(text in "[ -~éz{@0/9:`\\[A-Z]{0,60}") {
            let text = text.as_bytes();
            let mut skeleton = Skeleton::default();
            skeleton.read(b"what stood here before");
            skeleton.read(text);
            let is_in_word = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
            let wanted: Vec<usize> = (0..text.len())
                .filter(|&at| is_sign(text[at]) || is_in_word(at) && (at == 0 || !is_in_word(at - 1)))
                .collect();
            let places: Vec<usize> =
                skeleton.starts().iter().map(|&at| skeleton.place(at as usize).unwrap()).collect();
            proptest::prop_assert_eq!(places, wanted);
        }

        #[test]
        fn a_gap_is_one_space_and_stands_where_it_ends(text in "[a-z .,]{0,20}|([aL1 ]{1,9}[ -.]{0,12}){0,9}") {
            let text = text.as_bytes();
            let mut skeleton = Skeleton::default();
            skeleton.read(b"what, stood... here   before");
            skeleton.read(text);
            let mut wanted: Vec<(u8, usize)> = Vec::new();
            for (at, byte) in text.iter().enumerate() {
                let folded = SKELETON[usize::from(*byte)];
                wanted.pop_if(|(last, _)| (*last, folded) == (b' ', b' '));
                wanted.push((folded, at));
            }
            let read = skeleton.bytes().iter().enumerate();
            let read: Vec<_> = read.map(|(at, byte)| (*byte, skeleton.place(at).unwrap())).collect();
            proptest::prop_assert_eq!(read, wanted);
            proptest::prop_assert_eq!(skeleton.place(skeleton.bytes().len()), None);
        }
    }

    #[test]
    fn a_common_word_is_as_common_as_it_is() {
        assert!(word_bits(b"instructions") < word_bits(b"instruction5"));
        assert!(word_bits(b" the system ") < word_bits(b" the systen "));
        assert!((word_bits(b"system") - COMMON_BITS).abs() < f64::EPSILON);
    }
}
