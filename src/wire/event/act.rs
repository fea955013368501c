//! Reads an RFC 8693 `act` claim: who acts, and for whom, from the current actor inwards.
//!
//! An actor is an object with `sub`, perhaps `iss`, and in `act` the one that acted before
//! it. These are who somebody is, and are not scanned; any other member is text of the
//! sender's like the rest of the record. A chain that is longer than the limit is no event:
//! cut short it would name somebody else as the first who delegated.

use std::borrow::Cow;

use super::{OURS, Place, Reason, Result, Taker, Unreadable};
use crate::event::{ACTORS_MAX, Actor};
use crate::wire::event::places::Found;
use crate::wire::json::What;

/// The actors of an event, the current one first.
pub(super) fn actors<'r>(fields: &mut Taker<'_, 'r>) -> Result<Vec<Actor<'r>>> {
    let Found::Token(mut token) = fields.places.get(Place::Act) else { return Ok(Vec::new()) };
    let mut chain = Vec::new();
    let mut bytes = 0;
    // `null` ends a chain as absence does, like everywhere in an event.
    while fields.tape.what(token) != Some(What::Null) {
        if fields.tape.what(token) != Some(What::Object) {
            return Err(at(chain.len(), "", Reason::WrongType, "must be an object"));
        }
        if chain.len() == ACTORS_MAX {
            let message = format!("`act` nests more than {ACTORS_MAX} actors");
            return Err(Unreadable::new(Reason::TooDeep, message));
        }
        let (actor, before) = one(fields, token, chain.len())?;
        bytes += actor.sub.len() + actor.iss.as_ref().map_or(0, |iss| iss.len());
        chain.push(actor);
        let Some(before) = before else { break };
        token = before;
    }
    if bytes > fields.limits.id_bytes * 8 {
        let message = "the names in `act` are longer than eight ids of the longest kind";
        return Err(Unreadable::new(Reason::IdTooLong, message));
    }
    Ok(chain)
}

/// One actor, and the token of the one before it. Of a member that stands there twice the
/// last is taken, and the others are scanned.
fn one<'r>(
    fields: &mut Taker<'_, 'r>,
    object: u32,
    depth: usize,
) -> Result<(Actor<'r>, Option<u32>)> {
    let (mut sub, mut iss, mut before) = (None, None, None);
    let members: Vec<(u32, u32)> = fields.tape.members(object).collect();
    for (key, value) in members {
        let slot = match fields.tape.string(key).as_ref() {
            "sub" => &mut sub,
            "iss" => &mut iss,
            "act" => &mut before,
            _ => continue,
        };
        *slot = Some(value);
        fields.tape.tag(key, OURS);
    }
    let sub = name(fields, sub, depth, "sub")?
        .ok_or_else(|| at(depth, ".sub", Reason::MissingField, "is missing"))?;
    let iss = name(fields, iss, depth, "iss")?;
    Ok((Actor { sub, iss }, before))
}

/// A string that says who somebody is; empty and `null` are the same as absent.
fn name<'r>(
    fields: &mut Taker<'_, 'r>,
    token: Option<u32>,
    depth: usize,
    member: &str,
) -> Result<Option<Cow<'r, str>>> {
    let Some(token) = token else { return Ok(None) };
    let member = format!(".{member}");
    match fields.tape.what(token) {
        Some(What::Null) => return Ok(None),
        Some(What::String) => {}
        _ => return Err(at(depth, &member, Reason::WrongType, "must be a string")),
    }
    let text = fields.tape.string(token);
    if text.len() > fields.limits.id_bytes {
        let problem = format!("has {} bytes; the limit is {}", text.len(), fields.limits.id_bytes);
        return Err(at(depth, &member, Reason::IdTooLong, &problem));
    }
    fields.tape.tag(token, OURS);
    Ok((!text.is_empty()).then_some(text))
}

/// What is wrong with the actor at a depth, named as a path: `act.act.sub`.
fn at(depth: usize, member: &str, reason: Reason, problem: &str) -> Unreadable {
    let path = "act.".repeat(depth) + "act" + member;
    Unreadable::new(reason, format!("`{path}` {problem}"))
}
