//! Values across sessions: whose they are, and whether they turn up with somebody else.
//!
//! A partition keeps a ledger of keyed hashes of secrets, personal data and rows of words, each
//! with the parties that were seen with it and how: said by the user, read from a tool or a
//! document, or written by the model. What a model writes is then looked up. It is explained
//! where its own session was given the value, or its user had it before; where many parties
//! know it, it is common; else it came over a line, and the nearest party that has it says
//! which. A tool's result explains a value within its tenant only: one that hands out another
//! tenant's secrets is what a leak looks like.
//!
//! What other partitions know comes in a [`Table`]. Looking there is the one thing that a
//! decision depends on and that a run of one partition cannot know, so every entry that was
//! looked at is named in the decision and in audit: whoever has those entries can decide again
//! and comes to the same.

mod entry;
mod keyed;
mod prints;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Event, Kind, Millis};
use crate::finding::{Confidence, Finding, Seen, ViewName};
use crate::inspect::shared::{Matter, Share, USED_MAX, make_room};
use crate::inspect::{Incoming, Limits, Setup};
use crate::policy::{Boundary, Taint, Tainted};
use crate::state::{Key, Staged};

use entry::{Entry, SIGHTINGS_MAX, Sighting, is_common};
use prints::{Party, Print, how};

pub use entry::ENTRY_BYTES;
pub use prints::{Prints, prints};

/// Rows of words that one party must have in common with what a model writes.
const ROWS_ALIKE: usize = 3;
/// Rows of words that are remembered of one event; those with the least hashes.
const ROWS_LEARNED: usize = 64;

/// Values of an event that are another party's.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) findings: Vec<(Finding, Arc<Seen>)>,
    pub(super) used: Vec<(i32, i64)>,
}

/// The line that rows of words came over, how sure that is, and who had them first.
type Line = (Boundary, Confidence, String);

/// All that is known of one value.
struct Known {
    common: bool,
    first: Seen,
    sightings: Vec<Sighting>,
}

/// Looks what a model wrote up in the ledgers.
pub(super) fn judge(setup: &Setup, staged: &Staged<'_>, incoming: &Incoming<'_, '_>) -> Judged {
    let mut out = Judged::default();
    let Prints { party, values } = incoming.prints;
    let (Some(taint), false) = (&setup.policy.taint, values.is_empty()) else { return out };
    if !matches!(incoming.event.kind, Kind::Output | Kind::OutputChunk | Kind::ToolCall) {
        return out;
    }
    // Rows by the line they came over and who had them first: a passage is many of them.
    let mut passages: BTreeMap<Line, Vec<(&Print, Seen)>> = BTreeMap::new();
    for print in values {
        let Some(known) = look_up(taint, staged, incoming, print, &mut out.used) else { continue };
        let Some((line, confidence)) = crossed(taint, *party, print.class, &known) else {
            continue;
        };
        let seen = known.first;
        if print.class == Tainted::Text {
            let who = format!("{:?}", (&seen.tenant, &seen.agent, &seen.session, &seen.user));
            passages.entry((line, confidence, who)).or_default().push((print, seen));
        } else {
            out.tell(taint, line, confidence, print, seen);
        }
    }
    for ((line, confidence, _), mut rows) in passages {
        if rows.len() < ROWS_ALIKE {
            continue;
        }
        rows.sort_by_key(|(print, _)| (print.field, print.span));
        let same =
            |(print, _): &&(&Print, Seen)| Some(print.field) == rows.first().map(|r| r.0.field);
        let end = rows.iter().filter(same).map(|(print, _)| print.span.end).max();
        if let Some((print, seen)) = rows.first() {
            let mut whole = **print;
            whole.span.end = end.unwrap_or(whole.span.end);
            out.tell(taint, line, confidence, &whole, seen.clone());
        }
    }
    out.findings.sort_by(|a, b| a.0.by_place(&b.0));
    out
}

impl Judged {
    fn tell(
        &mut self,
        taint: &Taint,
        line: Boundary,
        confidence: Confidence,
        print: &Print,
        seen: Seen,
    ) {
        let Some(source) = taint.source(line, print.class) else { return };
        let finding = Finding {
            confidence,
            field: Some(print.field),
            span: print.span,
            view: ViewName::RAW,
            ..Finding::whole(Arc::clone(source), confidence)
        };
        self.findings.push((finding, Arc::new(seen)));
    }
}

/// Asks this partition's ledger, and those of others where that does not settle it.
fn look_up(
    taint: &Taint,
    staged: &Staged<'_>,
    incoming: &Incoming<'_, '_>,
    print: &Print,
    used: &mut Vec<(i32, i64)>,
) -> Option<Known> {
    let own = staged.get(&state_key(print)).and_then(Entry::decode).filter(|own| fits(own, print));
    let mut known = own.map(|own| Known {
        common: own.common || is_common(print.class, &own.sightings, taint.common()),
        first: own.first,
        sightings: own.sightings,
    });
    let party = incoming.prints.party;
    if known.as_ref().is_some_and(|known| known.common || is_given(party, &known.sightings)) {
        return None;
    }
    for told in incoming.shared.of(print.hash, incoming.at.partition) {
        if used.len() == USED_MAX {
            break;
        }
        used.push((told.partition, told.offset));
        let entry = Entry::decode(&told.bytes).filter(|entry| fits(entry, print));
        let Some(Entry { common, mut first, sightings, .. }) = entry else { continue };
        first.entry = Some((told.partition, told.offset));
        let known = match &mut known {
            None => known.insert(Known { common, first, sightings }),
            Some(known) => {
                known.common |= common;
                if first.at < known.first.at {
                    known.first = first;
                }
                known.sightings.extend(sightings);
                known
            }
        };
        known.common |= is_common(print.class, &known.sightings, taint.common());
        if known.common || known.sightings.len() > 2 * SIGHTINGS_MAX {
            break;
        }
    }
    known.filter(|known| !known.common)
}

/// Whether an entry is about such a value: rows and values share one space of hashes.
fn fits(entry: &Entry, print: &Print) -> bool {
    (entry.class == Tainted::Text) == (print.class == Tainted::Text)
}

fn is_own(party: Party, known: &Sighting) -> bool {
    let user = known.party.user;
    known.party.session == party.session && (user == party.user || user == 0 || party.user == 0)
}

/// Whether the value was said to this session by those who may, or its user has it from elsewhere.
fn is_given(party: Party, sightings: &[Sighting]) -> bool {
    let own = |known: &&Sighting| is_own(party, known);
    if sightings.iter().filter(own).any(|known| known.how & how::SAID != 0) {
        return true;
    }
    let user = match party.user {
        // The session's other events may have named him.
        0 => sightings.iter().filter(own).map(|known| known.party.user).max().unwrap_or(0),
        user => user,
    };
    let his = |known: &&Sighting| {
        known.party.user == user && known.party.session != party.session && known.is_given()
    };
    user != 0 && sightings.iter().any(|known| his(&known))
}

/// Which line a value came over, and how sure that is; `None` where it is explained.
fn crossed(
    taint: &Taint,
    party: Party,
    class: Tainted,
    known: &Known,
) -> Option<(Boundary, Confidence)> {
    let sightings = &known.sightings;
    if known.common || is_given(party, sightings) {
        return None;
    }
    let read = sightings.iter().any(|known| is_own(party, known) && known.how & how::READ != 0);
    let others = || sightings.iter().filter(|known| !is_own(party, known));
    // Where anybody was given it, those who only wrote it are no source.
    let given = others().any(Sighting::is_given);
    let line = |known: &Sighting| match () {
        () if known.party.tenant != party.tenant => Boundary::Tenant,
        () if known.party.user != 0 && party.user != 0 && known.party.user != party.user => {
            Boundary::User
        }
        () if known.party.agent != party.agent => Boundary::Agent,
        () => Boundary::Session,
    };
    let nearest = others().filter(|known| !given || known.is_given()).map(line).min()?;
    // Its own tools may hold what others of the tenant hold.
    if read && (nearest != Boundary::Tenant || !given) {
        return None;
    }
    let confidence = match (read, given, class) {
        (false, true, _) => Confidence::High,
        // A tool that holds another tenant's value, or a model that repeats another's: told,
        // and acted upon where it is a secret.
        (_, _, Tainted::Secrets) => Confidence::Medium,
        _ => Confidence::Low,
    };
    taint.source(nearest, class).map(|_| (nearest, confidence))
}

/// What other partitions are told of a class of values.
fn matter(class: Tainted) -> Matter {
    if class == Tainted::Text { Matter::Row } else { Matter::Value }
}

/// Whether an entry of another partition is one of a ledger.
pub(super) fn is_entry(value: &[u8]) -> bool {
    Entry::decode(value).is_some()
}

fn state_key(print: &Print) -> Key {
    Key { owner: matter(print.class).owner(), id: print.hash.to_be_bytes().to_vec() }
}

/// Remembers an event that goes on; tells what other partitions must know of it.
pub(super) fn learn(
    setup: &Setup,
    staged: &mut Staged<'_>,
    event: &Event<'_>,
    prints: &Prints,
) -> Vec<Share> {
    let mut out = Vec::new();
    let Some(taint) = &setup.policy.taint else { return out };
    let (limits, now) = (&setup.limits, staged.now());
    let mut rows = 0;
    for print in prints.values.iter().filter(|print| print.sure) {
        if print.class == Tainted::Text {
            rows += 1;
            if rows > ROWS_LEARNED {
                break;
            }
        }
        let key = state_key(print);
        let known = staged.entry(&key);
        let fresh = known.is_some_and(|entry| is_fresh(limits, now, entry.deadline));
        let known = known.and_then(|entry| Entry::decode(&entry.value));
        let is_new = known.is_none();
        let mut entry = known.unwrap_or_else(|| Entry::new(print.class, event, now));
        let changed = entry.add(prints.party, print.how, taint.common());
        if fresh && !changed {
            continue;
        }
        if is_new {
            let most = match print.class {
                Tainted::Text => limits.taint_rows,
                Tainted::Secrets | Tainted::Pii => limits.taint_values,
            };
            make_room(staged, matter(print.class), most, &mut out);
        }
        let bytes = entry.encode();
        if changed {
            out.push(Share::of(matter(print.class), print.hash, bytes.clone()));
        }
        staged.put(key, bytes, Some(now.plus(limits.taint_keep_ms)));
    }
    out
}

/// Whether a deadline lies far enough ahead that it need not be moved for one more sighting.
fn is_fresh(limits: &Limits, now: Millis, deadline: Option<Millis>) -> bool {
    deadline.is_some_and(|end| end >= now.plus(limits.taint_keep_ms - limits.taint_keep_ms / 8))
}
