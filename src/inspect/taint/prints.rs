//! What of an event is remembered and looked for, as keyed hashes: the half without state.
//!
//! Secrets and personal data are what the packs found. A passage is known by rows of eight
//! words, of which those with the least hash among sixteen in a row count (winnowing, Schleimer,
//! Wilkerson and Aiken 2003): any 23 words in common have a row in common, whatever stands
//! around them, and about two rows in seventeen are kept.

use crate::detect::Scan;
use crate::event::{Carrier, Event, Kind, Place, RawSpan};
use crate::finding::{Confidence, Family, Finding};
use crate::inspect::decide::covered;
use crate::inspect::{Chunk, Setup};
use crate::policy::Tainted;
use crate::redact::is_redacted;

use super::keyed::Keyed;

/// Secrets and personal data that are taken from one event.
const VALUES_MAX: usize = 128;
/// Rows of words that are looked for in one event; those with the least hashes.
const ROWS_MAX: usize = 256;
/// Words of a row.
const ROW: usize = 8;
/// Rows of which one counts.
const WINDOW: usize = 16;
/// Letters and digits of a value, at least: shorter ones are alike by chance.
const SECRET_MIN: usize = 8;
const PII_MIN: usize = 7;

/// Kinds of personal data that many people share, or that name a bank or a machine.
const SHARED_BY_MANY: [&str; 9] = [
    "pii.cvv",
    "pii.date_of_birth",
    "pii.ip_address",
    "pii.isin",
    "pii.lei",
    "pii.mac_address",
    "pii.swift_bic",
    "pii.uk_sort_code",
    "pii.us_bank_routing",
];

/// How a party came to a value; several at once are the sum.
pub(super) mod how {
    /// The user or the application's owner said it.
    pub(in crate::inspect) const SAID: u8 = 1;
    /// A tool or a document held it.
    pub(in crate::inspect) const READ: u8 = 2;
    /// A model wrote it: no proof that it may have it.
    pub(in crate::inspect) const WRITTEN: u8 = 4;
}

/// One value of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) hash: u64,
    pub(super) class: Tainted,
    pub(super) how: u8,
    /// Whether it is certain enough to be remembered. It is looked for in any case.
    pub(super) sure: bool,
    pub(super) field: u32,
    pub(super) span: RawSpan,
}

/// Whose event it is, by hashes; 0 where the sender does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) session: u64,
    pub(super) tenant: u32,
    pub(super) user: u32,
    pub(super) agent: u32,
}

/// What of an event may be known from elsewhere. Nothing where policy does not ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prints {
    pub(super) party: Party,
    pub(super) values: Vec<Print>,
}

impl Prints {
    /// Nothing.
    pub const NONE: &'static Self =
        &Self { party: Party { session: 0, tenant: 0, user: 0, agent: 0 }, values: Vec::new() };
}

/// Takes the values of an event that the policy wants remembered. What was found in a chunk's text
/// is read with its stream: without `chunk` nothing is taken from there, and rows of words never.
#[must_use]
pub fn prints(setup: &Setup, event: &Event<'_>, scan: &Scan, chunk: Option<&Chunk>) -> Prints {
    let (Some(taint), Some(key)) = (&setup.policy.taint, &setup.keys.fingerprint) else {
        return Prints::default();
    };
    let class = |found: &Finding| match found.source.family {
        Family::Secrets if taint.keeps(Tainted::Secrets) => Some(Tainted::Secrets),
        Family::Pii if taint.keeps(Tainted::Pii) => Some(Tainted::Pii),
        _ => None,
    };
    let mut found =
        scan.findings.iter().filter_map(|found| Some((found, class(found)?))).peekable();
    let text = taint.keeps(Tainted::Text);
    if found.peek().is_none() && !text {
        return Prints::default();
    }
    let keyed = Keyed::new(key);
    let mut values: Vec<Print> = Vec::new();
    for (found, class) in found {
        if values.len() == VALUES_MAX {
            break;
        }
        let Some(text) = covered(event, chunk, found) else { continue };
        let Some(print) = value(keyed, event, (found, text), class) else { continue };
        match values.iter_mut().find(|known| known.hash == print.hash) {
            Some(known) => {
                known.how |= print.how;
                known.sure |= print.sure;
            }
            None => values.push(print),
        }
    }
    if text {
        values.extend(rows(keyed, event));
    }
    let party = if values.is_empty() { Party::default() } else { party(keyed, event) };
    Prints { party, values }
}

fn value(
    keyed: Keyed,
    event: &Event<'_>,
    (found, value): (&Finding, &str),
    class: Tainted,
) -> Option<Print> {
    let index = found.field?;
    let field = event.fields.get(index as usize)?;
    if is_redacted(value) || SHARED_BY_MANY.contains(&found.source.kind.as_str()) {
        return None;
    }
    let (value, least) = match class {
        Tainted::Pii => (plain(value), PII_MIN),
        Tainted::Secrets | Tainted::Text => {
            let mark = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
            (value.trim_matches(mark).to_owned(), SECRET_MIN)
        }
    };
    let long = value.chars().filter(|c| c.is_alphanumeric()).take(least).count() == least;
    long.then(|| Print {
        hash: keyed.of(value.as_bytes()),
        class,
        how: how_of(event.kind, field.carrier),
        sure: found.confidence > Confidence::Low,
        field: index,
        span: found.span,
    })
}

/// Personal data however it is written: addresses in small letters, numbers without what stands
/// between their digits.
fn plain(value: &str) -> String {
    let address = value.contains('@');
    let kept = |c: &char| c.is_alphanumeric() || (address && !c.is_whitespace());
    value.chars().filter(kept).flat_map(char::to_lowercase).collect()
}

fn how_of(kind: Kind, carrier: Carrier) -> u8 {
    if !matches!(kind, Kind::Prompt | Kind::ToolResult) {
        return how::WRITTEN;
    }
    match carrier {
        Carrier::User | Carrier::System => how::SAID,
        Carrier::ToolResult | Carrier::Retrieved => how::READ,
        Carrier::Assistant | Carrier::ToolCall => how::WRITTEN,
    }
}

/// Whose event it is. A session with a name is one, whichever of a tenant's agents speaks in it;
/// without a name each user of an agent has one.
fn party(keyed: Keyed, event: &Event<'_>) -> Party {
    let short = |parts: &[&str]| (keyed.of_all(parts) as u32).max(1);
    let user = event.user.as_deref();
    let session = match (&event.session, user) {
        (Some(session), _) => keyed.of_all(&["session", &event.tenant, session]),
        (None, Some(user)) => keyed.of_all(&["user", &event.tenant, &event.agent, user]),
        (None, None) => keyed.of_all(&["agent", &event.tenant, &event.agent]),
    };
    Party {
        session,
        tenant: short(&["tenant", &event.tenant]),
        user: user.map_or(0, |user| short(&["user", &event.tenant, user])),
        agent: short(&["agent", &event.tenant, &event.agent]),
    }
}

/// The rows of words of an event, each once.
fn rows(keyed: Keyed, event: &Event<'_>) -> Vec<Print> {
    let mut out: Vec<Print> = Vec::new();
    let streamed = event.stream.as_ref().filter(|_| event.kind == Kind::OutputChunk);
    let streamed = streamed.and_then(|stream| stream.text);
    for (index, field) in event.fields.iter().enumerate() {
        if field.place == Place::Value && streamed != Some(index as u32) {
            let how = how_of(event.kind, field.carrier);
            winnow(keyed, &field.text, &mut |hash, span| {
                let (class, sure) = (Tainted::Text, true);
                out.push(Print { hash, class, how, sure, field: index as u32, span });
            });
        }
    }
    out.sort_by_key(|print| print.hash);
    out.dedup_by(|later, kept| {
        let same = later.hash == kept.hash;
        kept.how |= if same { later.how } else { 0 };
        same
    });
    out.truncate(ROWS_MAX);
    out
}

/// Odd, with bits spread evenly: the weight of a word by its place in a row.
const WEIGHT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Tells the rows of a text that count.
fn winnow(keyed: Keyed, text: &str, tell: &mut impl FnMut(u64, RawSpan)) {
    let words = words(keyed, text);
    let rows: Vec<(u64, RawSpan)> = words
        .windows(ROW)
        .map(|row| {
            let sum = row
                .iter()
                .fold(0u64, |sum, (hash, _)| sum.wrapping_mul(WEIGHT).wrapping_add(*hash));
            let ends =
                [row.first(), row.last()].map(|word| word.map_or(RawSpan::default(), |w| w.1));
            (spread(sum), RawSpan { start: ends[0].start, end: ends[1].end })
        })
        .collect();
    let mut told = None;
    for at in 0..rows.len().saturating_sub(WINDOW - 1).max(usize::from(!rows.is_empty())) {
        let window = rows.get(at..rows.len().min(at + WINDOW)).unwrap_or_default();
        // Of equals the last one: it stays the least for longest.
        let least = window.iter().enumerate().min_by_key(|(i, (hash, _))| (*hash, WINDOW - i));
        if let Some((i, (hash, span))) = least
            && told != Some(at + i)
        {
            told = Some(at + i);
            tell(*hash, *span);
        }
    }
}

/// The words of a text: letters and digits in a row, in small letters.
fn words(keyed: Keyed, text: &str) -> Vec<(u64, RawSpan)> {
    let mut out = Vec::new();
    let mut small = String::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_alphanumeric() {
            start.get_or_insert(at);
            small.extend(c.to_lowercase());
        } else if let Some(start) = start.take() {
            out.push((keyed.of(small.as_bytes()), RawSpan { start, end: at }));
            small.clear();
        }
    }
    out
}

/// A bijection that spreads the bits of a sum.
fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::Key32;

    fn rows_of(text: &str) -> Vec<u64> {
        let mut out = Vec::new();
        winnow(Keyed::new(&Key32([3; 32])), text, &mut |hash, _| out.push(hash));
        out
    }

    #[test]
    fn values_are_known_however_they_are_written() {
        for (one, other) in [
            ("+49 (171) 123-4567", "+491711234567"),
            ("Ann@Example.ORG", "ann@example.org"),
            ("DE02 1203 0000 0000 2020 51", "de02120300000000202051"),
        ] {
            assert_eq!(plain(one), plain(other));
        }
        assert_ne!(plain("a.b@x.org"), plain("ab@x.org"));
    }

    #[test]
    fn rows_lie_where_their_words_are() {
        let text = "One two, three; four five SIX seven eight";
        let mut spans = Vec::new();
        winnow(Keyed::new(&Key32([3; 32])), text, &mut |_, span| spans.push(span));
        assert_eq!(spans, [RawSpan { start: 0, end: text.len() }]);
        assert_eq!(rows_of(text), rows_of("one two three four five six seven eight"));
        assert!(rows_of("one two three four five six seven").is_empty());
    }

    #[test]
    fn two_rows_in_seventeen_are_kept() {
        let word = |n: u64| format!("word{}", (n * n % 10_007 * 7919) % 10_007);
        let text = (0..20_000).map(word).collect::<Vec<_>>().join(" ");
        let share = rows_of(&text).len() as f64 / 20_000.0;
        assert!((0.10..0.14).contains(&share), "{share}");
    }

    proptest! {
        /// The guarantee of winnowing: 23 words in common are enough.
        #[test]
        fn what_two_texts_share_is_found(
            shared in proptest::collection::vec("[a-z]{1,6}", 23..40),
            around in proptest::collection::vec(proptest::collection::vec("[A-Z]{1,6}[0-9]", 0..30), 4),
        ) {
            let join = |a: &[String], b: &[String]| [a, &shared, b].concat().join(" ");
            let one = rows_of(&join(&around[0], &around[1]));
            let other = rows_of(&join(&around[2], &around[3]));
            prop_assert!(one.iter().any(|hash| other.contains(hash)));
        }
    }
}
