//! What a text must hold for a shape without a literal to be in it.
//!
//! Numbers, keys of random characters and codes in capitals have no byte of their own to look
//! for, and automata for them run over every byte. Most texts hold no row of digits, no word of
//! sixteen letters and no six capitals in a row, and are then not searched for any of these.

use super::node::Node;
use super::place::Part;

/// A property of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gate {
    /// None: every text must be searched.
    Open,
    /// A row of digits: four of them, each at most one other byte behind the last.
    Digits,
    /// So many letters, digits and signs of keys and addresses in a row as hardly a word has.
    Long,
    /// Capitals and digits in a row.
    Capitals,
    /// Two letters and two digits, as a country's accounts begin.
    Coded,
    /// A byte that is not ASCII.
    Foreign,
    /// A number and, a word apart from it, a capital or another number, as addresses begin.
    Numbered,
}

/// What a byte is to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Other,
    Counts,
    /// The digits of [`Gate::Coded`] and [`Gate::Numbered`].
    Digit,
    /// The spaces of [`Gate::Numbered`].
    Space,
}

/// Digits that make a row.
const DIGITS: u8 = 4;
const LONG: usize = 16;
const CAPITALS: usize = 6;
/// A row of [`Gate::Numbered`]: digits, up to two other bytes, one space or two, and what follows.
const NUMBERED: u8 = 6;

impl Gate {
    pub(super) const ALL: [Self; 7] = [
        Self::Open,
        Self::Digits,
        Self::Long,
        Self::Capitals,
        Self::Coded,
        Self::Foreign,
        Self::Numbered,
    ];
    /// Those of literals; the rarest first. One more literal of every text costs next to nothing.
    const OF_LITERALS: [Self; 4] = [Self::Long, Self::Capitals, Self::Coded, Self::Digits];
    /// Those that are worth their own automata only for what has no literal.
    const OF_PIECES: [Self; 2] = [Self::Foreign, Self::Numbered];

    /// The rarest property of the texts that hold a match of all these parts, for literals.
    pub(super) fn of(row: &[Part]) -> Self {
        Self::OF_LITERALS.into_iter().find(|gate| gate.in_all(row)).unwrap_or(Self::Open)
    }

    /// The same where there is no literal.
    pub(super) fn of_piece(row: &[Part]) -> Self {
        match Self::of(row) {
            Self::Open => {
                Self::OF_PIECES.into_iter().find(|gate| gate.in_all(row)).unwrap_or(Self::Open)
            }
            gate => gate,
        }
    }

    /// Whether every match of all these parts has the property.
    pub(super) fn in_all(self, row: &[Part]) -> bool {
        let mut states = States::of(State::default());
        for part in row {
            states = self.through(&part.node, states);
            if !part.whole {
                // Anything may follow.
                let after = |state: State| if state.holds(self) { state } else { State::default() };
                states = states.each().map(after).collect();
            }
        }
        states.each().all(|state| state.holds(self))
    }

    /// Whether a text has the property.
    pub(super) fn in_text(self, text: &[u8]) -> bool {
        match self {
            Self::Open => true,
            Self::Digits => digits_in(text),
            Self::Long => self.row_in(text, LONG),
            Self::Capitals => self.row_in(text, CAPITALS),
            Self::Coded => coded_in(text),
            Self::Foreign => !text.is_ascii(),
            Self::Numbered => numbered_in(text),
        }
    }

    /// Whether so many bytes that count stand in a row.
    fn row_in(self, text: &[u8], least: usize) -> bool {
        let counts = |byte: &u8| SORTS[usize::from(*byte)] >> self as u8 & 1 == 1;
        let mut start = 0;
        // No row begins before the last byte of a stretch that does not count.
        while let Some(stretch) = text.get(start..start + least) {
            match stretch.iter().rposition(|byte| !counts(byte)) {
                Some(at) => start += at + 1,
                None => return true,
            }
        }
        false
    }

    fn sort(self, byte: u8) -> Sort {
        match self {
            Self::Coded | Self::Numbered if byte.is_ascii_digit() => Sort::Digit,
            Self::Numbered if byte == b' ' => Sort::Space,
            _ if SORTS[usize::from(byte)] >> self as u8 & 1 == 1 => Sort::Counts,
            _ => Sort::Other,
        }
    }

    /// All states that a node may lead to.
    fn through(self, node: &Node, states: States) -> States {
        match node {
            Node::Edge(_) => states,
            Node::Set(set) => {
                let mut held = [false; 4];
                for byte in set.bytes() {
                    held[self.sort(byte) as usize] = true;
                }
                let sorts = [Sort::Other, Sort::Counts, Sort::Digit, Sort::Space];
                let next = |state: State| {
                    let ways = sorts.into_iter().filter(|&sort| held[sort as usize]);
                    ways.map(move |sort| state.then(self, sort))
                };
                states.each().flat_map(next).collect()
            }
            Node::Row(row) => row.iter().fold(states, |states, node| self.through(node, states)),
            Node::Either(branches) => {
                let ways = branches.iter().map(|branch| self.through(branch, states));
                ways.fold(States::default(), States::or)
            }
            Node::Copies(node, least, most) => {
                let mut states = states;
                for _ in 0..*least {
                    let after = self.through(node, states);
                    if after == states {
                        break;
                    }
                    states = after;
                }
                let mut all = states;
                for _ in *least..*most {
                    states = self.through(node, states);
                    // What has led nowhere new leads nowhere new again.
                    if all.or(states) == all {
                        break;
                    }
                    all = all.or(states);
                }
                all
            }
        }
    }
}

/// For each byte the gates to which it counts, one bit each.
static SORTS: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let letter_or_digit = byte.is_ascii_alphanumeric();
        let sign = matches!(
            byte,
            b'-' | b'_'
                | b'.'
                | b'/'
                | b'+'
                | b'='
                | b'~'
                | b':'
                | b'@'
                | b'%'
                | b'$'
                | b'&'
                | b'#'
                | b'!'
                | b'*'
                | b'^'
        );
        table[at] = (byte.is_ascii_digit() as u8) << Gate::Digits as u8
            | ((letter_or_digit || sign) as u8) << Gate::Long as u8
            | ((byte.is_ascii_uppercase() || byte.is_ascii_digit()) as u8) << Gate::Capitals as u8
            | (byte.is_ascii_alphabetic() as u8) << Gate::Coded as u8
            | (!byte.is_ascii() as u8) << Gate::Foreign as u8
            | (byte.is_ascii_uppercase() as u8) << Gate::Numbered as u8;
        at += 1;
    }
    table
};

/// So many bytes are looked through for digits at a time.
const BLOCK: usize = 32;

/// The blocks of a text that hold a digit, with where each begins.
fn blocks(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let blocks = text.chunks(BLOCK).enumerate();
    // Counting without an early exit takes a block in a few instructions.
    let digits =
        |block: &[u8]| block.iter().map(|byte| u8::from(byte.is_ascii_digit())).sum::<u8>();
    blocks.filter(move |(_, block)| digits(block) > 0).map(|(at, block)| (at * BLOCK, block))
}

fn digits_in(text: &[u8]) -> bool {
    let mut state = State::default();
    let mut end = 0;
    blocks(text).any(|(at, block)| {
        if at != end {
            state = State::default();
        }
        end = at + block.len();
        block.iter().any(|&byte| {
            state = state.then(Gate::Digits, Gate::Digits.sort(byte));
            state.holds(Gate::Digits)
        })
    })
}

fn numbered_in(text: &[u8]) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let space = |at: usize| text.get(at) == Some(&b' ');
    let follows = |at: usize| digit(at) || text.get(at).is_some_and(u8::is_ascii_uppercase);
    blocks(text).any(|(start, block)| {
        let ends = (start..start + block.len()).filter(|&at| digit(at) && !digit(at + 1));
        // The first space no more than three places behind a number.
        let mut gaps = ends.filter_map(|at| {
            let gap = (at + 1..at + 4).find(|&at| digit(at) || space(at));
            gap.filter(|&at| space(at))
        });
        gaps.any(|at| follows(at + 1) || space(at + 1) && follows(at + 2))
    })
}

fn coded_in(text: &[u8]) -> bool {
    let letter = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphabetic);
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    blocks(text).any(|(start, block)| {
        (start.max(2)..start + block.len())
            .any(|at| digit(at) && digit(at + 1) && letter(at - 1) && letter(at - 2))
    })
}

/// How far a row has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// No more than make the row.
    count: u8,
    gap: bool,
}

/// Some states, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct States(u64);

impl States {
    fn of(state: State) -> Self {
        Self(1 << (2 * state.count + u8::from(state.gap)))
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn each(self) -> impl Iterator<Item = State> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros() as u8;
            left &= left.checked_sub(1)?;
            Some(State { count: bit / 2, gap: bit % 2 == 1 })
        })
    }
}

impl FromIterator<State> for States {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states.into_iter().map(Self::of).fold(Self::default(), Self::or)
    }
}

impl State {
    fn holds(self, gate: Gate) -> bool {
        match gate {
            Gate::Open => true,
            Gate::Digits | Gate::Coded => self.count >= DIGITS,
            Gate::Long => usize::from(self.count) >= LONG,
            Gate::Capitals => usize::from(self.count) >= CAPITALS,
            Gate::Foreign => self.count > 0,
            Gate::Numbered => self.count >= NUMBERED,
        }
    }

    fn then(self, gate: Gate, sort: Sort) -> Self {
        let count = |count| Self { count, gap: false };
        match (self, sort) {
            (held, _) if held.holds(gate) => held,
            (Self { count: so_far, .. }, _) if gate == Gate::Numbered => {
                count(match (so_far, sort) {
                    (4 | 5, Sort::Digit | Sort::Counts) => NUMBERED,
                    (_, Sort::Digit) => 1,
                    (1..=3, Sort::Space) => 4,
                    (4, Sort::Space) => 5,
                    (1 | 2, _) => so_far + 1,
                    _ => 0,
                })
            }
            (Self { count: letters, .. }, Sort::Counts) if gate == Gate::Coded => {
                count(if letters == 0 || letters == 3 { 1 } else { 2 })
            }
            (Self { count: before @ 2.., .. }, Sort::Digit)
            | (Self { count: before, .. }, Sort::Counts) => count(before + 1),
            (Self { count: before, gap: false }, _) if before > 0 && gate == Gate::Digits => {
                Self { count: before, gap: true }
            }
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::place::parts;
    use super::*;

    fn row(regex: &str) -> Vec<Part> {
        parts(&parse(regex).unwrap()).into_iter().map(Part::of).collect()
    }

    fn gate(regex: &str) -> Gate {
        Gate::of(&row(regex))
    }

    #[test]
    fn properties_of_expressions_are_known() {
        assert_eq!(gate(r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}\b"), Gate::Digits);
        assert_eq!(gate(r"\b[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}\b"), Gate::Open);
        assert_eq!(gate(r"[a-z]+[0-9]{4,}x"), Gate::Digits);
        assert_eq!(gate(r"q-[0-9]{3}"), Gate::Open);
        assert_eq!(gate(r"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}"), Gate::Long);
        assert_eq!(gate(r"[a-z]{15}"), Gate::Open);
        assert_eq!(gate(r"(?i)i-[0-9]{2} (?:[0-9]{5}|[a-z]\b[a-z])"), Gate::Digits);
        assert_eq!(gate(r"(?:[a-z]{16}|[a-z]{40,})"), Gate::Long);
        assert_eq!(gate(r"\b[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b"), Gate::Capitals);
        assert_eq!(gate(r"[A-Z]{3} [A-Z]{3}"), Gate::Open);
        assert_eq!(gate(r"(?i)(?:de|fr)[0-9]{2}[ a-z0-9]{9}"), Gate::Coded);
        assert_eq!(gate(r"(?i)(?:de|fr)[0-9][ a-z0-9]{9}"), Gate::Open);
        let piece = |regex: &str| Gate::of_piece(&row(regex));
        assert_eq!(
            piece(r"\b[0-9]{1,5}[a-z]?,? (?:N\.?)? ?(?:[A-Z][a-z]{1,9} )+x"),
            Gate::Numbered
        );
        assert_eq!(piece(r"\b[0-9]{1,5}[a-z]{0,3},? [A-Z]"), Gate::Open);
        assert_eq!(piece(r"[a-z]{1,3}é"), Gate::Foreign);
        assert_eq!(gate(r"[a-z]{1,3}é"), Gate::Open);
        let foreign = |regex: &str| Gate::Foreign.in_all(&row(regex));
        assert!(foreign("a*aéx") && foreign("[a-z]{1,3}é"));
        assert!(!foreign("a*é?x") && !foreign("(?:é|e)"));
    }

    #[test]
    fn properties_of_texts_are_seen() {
        let digits = |text: &str| Gate::Digits.in_text(text.as_bytes());
        assert!(digits("call 4-1 5-5") && digits("a1b2c3d4"));
        assert!(!digits("on 14, 15, 16, 17") && !digits("123"));
        let coded = |text: &str| Gate::Coded.in_text(text.as_bytes());
        assert!(coded("x GB33 B") && coded("abcde12") && coded("a1bc34"));
        assert!(!coded("the 14th of 2024") && !coded("a1b2c3d4") && !coded("ab 12"));
        let numbered = |text: &str| Gate::Numbered.in_text(text.as_bytes());
        assert!(!numbered("on the 14th of May 2024, at 5 p.m. In all 3.5 kg") && !numbered("x1"));
        for before in 0..40 {
            let at = " ".repeat(before);
            assert!(
                numbered(&format!("{at}12b,  Baker Street")) && numbered(&format!("{at}5 5th"))
            );
            let text = |inner: &str| format!("{} {inner} x", ",".repeat(before));
            assert!(Gate::Long.in_text(text("abcdefgh-1234567").as_bytes()));
            assert!(!Gate::Long.in_text(text("abcdefgh 1234567").as_bytes()));
            assert!(!Gate::Long.in_text("abcdefgh-123456".as_bytes()));
            assert!(Gate::Capitals.in_text(text("ABCDE7").as_bytes()));
            assert!(!Gate::Capitals.in_text(text("ABCDE ABCDE").as_bytes()));
        }
    }

    proptest::proptest! {
        /// What is looked for in texts is what is asked of expressions.
        #[test]
        fn a_text_has_a_property_where_its_bytes_lead_to_it(text in "[0-9a-cA-C .,]{0,80}") {
            for gate in [Gate::Digits, Gate::Numbered] {
                let mut state = State::default();
                text.bytes().for_each(|byte| state = state.then(gate, gate.sort(byte)));
                proptest::prop_assert_eq!(gate.in_text(text.as_bytes()), state.holds(gate));
            }
        }

        /// What is said of all matches holds for each of them.
        #[test]
        fn a_text_with_a_match_has_the_property(text in "[0-9aA ./-]{0,40}") {
            for regex in [
                r"[0-9]{1,3}[a.]{0,2} {1,2}[0-9A]",
                r"[0-9]+A? (?:A|[0-9] )[a/]*",
                r"[0-9]{3}[ -]?[0-9]{3}",
                r"(?:[0-9]{2}\.?){3}|a[0-9]{5}",
                r"[0-9][a-z]?[0-9]{3}",
                r"[aA0-9-]{16}",
                r"[0-9]{2}[A0-9]+[A-Z]{4,}",
                r"[aA]{2}[0-9]{2}|[aA0]{3}[a-z]{2}[0-9]{3}",
            ] {
                let found = regex::bytes::Regex::new(regex).unwrap().is_match(text.as_bytes());
                proptest::prop_assert!(!found || Gate::of_piece(&row(regex)).in_text(text.as_bytes()));
            }
        }
    }
}
