//! Calls that wait for a person's approval.
//!
//! Weir never stores an event for later: a hold is a verdict with an id. The id is made of
//! the agent, the tool and the parameters, so the same call, sent again, is the same hold;
//! an approval lets it pass once. Approvals come as orders of the control topic, and take
//! effect in the partition that knows the hold, in that partition's transaction.

use crate::audit::{from_hex, hex};
use crate::digest::Parts;
use crate::event::{Event, Millis, ParamValue, Params};
use crate::inspect::{Hold, Limits};
use crate::policy::{Grant, Scope};
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Staged, owner};

const VERSION: u8 = 1;

/// How a call stands with its approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    /// Nobody was asked yet.
    Unasked,
    /// It waits, until then.
    Waiting(Millis),
    /// It may pass so many times, until then.
    Granted(u64, Millis),
}

/// The key of the hold that an event's call would be.
pub(super) fn key(event: &Event<'_>) -> Key {
    let call =
        event.tool.as_ref().map(|tool| (tool.name.as_ref(), Some(params_hash(&tool.params))));
    key_of(&event.tenant, &event.agent, call)
}

/// The key of an approval for any parameters of the event's tool.
pub(super) fn any_key(event: &Event<'_>) -> Key {
    let call = event.tool.as_ref().map(|tool| (tool.name.as_ref(), None));
    key_of(&event.tenant, &event.agent, call)
}

fn key_of(tenant: &str, agent: &str, call: Option<(&str, Option<[u8; 32]>)>) -> Key {
    let mut hash = Parts::of([tenant, agent]);
    if let Some((tool, params)) = call {
        hash.add(tool);
        match &params {
            Some(params) => hash.add(params),
            // No hash is so short.
            None => hash.add(b"*"),
        }
    }
    Key { owner: owner::HOLD, id: hash.id().into() }
}

/// SHA-256 of the parameters of an event's call, as grants name them.
#[must_use]
pub fn call_hash(event: &Event<'_>) -> Option<[u8; 32]> {
    event.tool.as_ref().map(|tool| params_hash(&tool.params))
}

/// SHA-256 of parameters: the same whatever the order of members and the white space.
fn params_hash(params: &Params<'_>) -> [u8; 32] {
    let mut values: Vec<_> = params.values.iter().collect();
    values.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Parts::default();
    let mut part = |tag: u8, bytes: &[u8]| {
        hash.bare([tag]);
        hash.add(bytes);
    };
    for param in values {
        part(0, param.path.as_bytes());
        match &param.value {
            ParamValue::Text(text) => part(1, text.as_bytes()),
            ParamValue::Number(number) => part(2, number.as_bytes()),
            ParamValue::Bool(is) => part(3, &[u8::from(*is)]),
            ParamValue::Null => part(4, &[]),
            ParamValue::List(len) => part(5, &(*len as u64).to_be_bytes()),
            ParamValue::Object => part(6, &[]),
        }
    }
    hash.whole()
}

pub(super) fn standing(staged: &Staged<'_>, key: &Key) -> Approval {
    let read = || {
        let mut from = Unpack::new(VERSION, staged.get(key)?)?;
        Some((from.number()?, from.millis()?))
    };
    match read() {
        None => Approval::Unasked,
        Some((_, until)) if until <= staged.now() => Approval::Unasked,
        Some((0, until)) => Approval::Waiting(until),
        Some((uses, until)) => Approval::Granted(uses, until),
    }
}

/// Asks for an approval. `None` for the state's answer where the call only repeats another.
pub(super) fn ask(staged: &mut Staged<'_>, key: &Key, limits: &Limits, keep: bool) -> Hold {
    let expires = match standing(staged, key) {
        Approval::Waiting(until) => until,
        Approval::Unasked | Approval::Granted(..) => {
            let until = staged.now().plus(limits.hold_ms);
            if keep {
                staged.make_room(owner::HOLD, limits.holds);
                write(staged, key.clone(), 0, until);
            }
            until
        }
    };
    Hold { id: hex(&key.id), expires }
}

/// Takes one use of an approval.
pub(super) fn spend(staged: &mut Staged<'_>, key: Key) {
    match standing(staged, &key) {
        Approval::Granted(uses, until) if uses > 1 => write(staged, key, uses - 1, until),
        _ => staged.remove(key),
    }
}

/// Approves a hold by its id, for one call; `false` where this partition knows no such hold.
pub fn approve(staged: &mut Staged<'_>, id: &str, limits: &Limits) -> bool {
    let Some(id) = from_hex(id) else { return false };
    let key = Key { owner: owner::HOLD, id };
    let waits = matches!(standing(staged, &key), Approval::Waiting(_));
    if waits {
        let until = staged.now().plus(limits.hold_ms);
        write(staged, key, 1, until);
    }
    waits
}

/// Approves calls before anybody asks; no uses take the approval back. Nothing for a scope
/// that is not one agent.
pub fn grant(staged: &mut Staged<'_>, grant: &Grant, limits: &Limits) {
    let Scope::Agent(tenant, agent) = &grant.scope else { return };
    let key = key_of(tenant, agent, Some((&grant.tool, grant.params)));
    if grant.uses == 0 || grant.expires <= staged.now() {
        staged.remove(key);
        return;
    }
    if staged.get(&key).is_none() {
        staged.make_room(owner::HOLD, limits.holds);
    }
    write(staged, key, u64::from(grant.uses), grant.expires);
}

fn write(staged: &mut Staged<'_>, key: Key, uses: u64, until: Millis) {
    staged.put(key, Pack::new(VERSION).number(uses).millis(until).done(), Some(until));
}
