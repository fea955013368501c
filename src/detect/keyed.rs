//! A JSON key as the key of `key=value` rules: `{"password": "…"}`.
//!
//! Such a rule's expression names a key, a sign and then a group that is the finding. For
//! a value whose key may begin a match, `key=value` is scanned as a text of its own, and
//! only matches that begin in the key count. Which keys may do so is asked of the
//! expressions themselves: an automaton of all of them is walked from every place of the
//! key, and the key matters if one is still alive behind the `=`. Keys come again and
//! again, so the answer is remembered.

use std::collections::HashMap;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};

use super::context::split_key;
use super::scan::wanted;
use super::{SpecOf, bit};
use crate::engine::{Match, Overflow, Scanner};
use crate::event::{Event, Field, Place};
use crate::patterns::{Class, RuleSet};
use crate::text::View;

/// Longer names are no keys that a rule knows.
const KEY_MAX: usize = 64;
/// Remembered answers; all are forgotten when there are more.
const REMEMBERED_MAX: usize = 4096;

/// The expressions that may begin in a key.
pub(super) struct Keyed {
    dfa: Option<DFA>,
    rules: Vec<bool>,
    /// No match is longer.
    reach: usize,
}

/// A thread's memory of keys.
#[derive(Default)]
pub(super) struct Keys {
    cache: Option<Cache>,
    /// Key to the text that stands for it before the `=`, or none where the key says nothing.
    known: HashMap<String, Option<String>>,
    text: Vec<u8>,
}

/// The text that was scanned.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Where in it the value begins.
    pub(super) value_at: usize,
}

impl Keyed {
    /// Picks shapes with a group: what stands before the group may be the key.
    pub(super) fn compile(set: &RuleSet) -> Result<Self, (String, String)> {
        let mut regexes = Vec::new();
        let mut rules = Vec::new();
        let mut reach = 0;
        for rule in &set.rules {
            let exprs: Vec<_> = rule.exprs.iter().filter(|expr| expr.group > 0).collect();
            let keyed = rule.class == Class::Shape && !exprs.is_empty();
            rules.push(keyed);
            if keyed {
                regexes.extend(exprs.iter().map(|expr| expr.regex.as_str()));
                reach = exprs.iter().map(|expr| expr.max_len).fold(reach, usize::max);
            }
        }
        if regexes.is_empty() {
            return Ok(Self { dfa: None, rules, reach });
        }
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .skip_cache_capacity_check(true)
                    .cache_capacity(4 << 20),
            )
            .syntax(regex_automata::util::syntax::Config::new().unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build_many(&regexes)
            .map_err(|error| ("(keys)".to_owned(), error.to_string()))?;
        Ok(Self { dfa: Some(dfa), rules, reach })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dfa.is_none()
    }

    /// The text to stand before the `=`, if any expression could begin in it.
    fn text_of(&self, key: &str, keys: &mut Keys) -> Option<String> {
        let dfa = self.dfa.as_ref()?;
        if let Some(known) = keys.known.get(key) {
            return known.clone();
        }
        let cache = keys.cache.get_or_insert_with(|| dfa.create_cache());
        let mut words = String::new();
        split_key(key, &mut words);
        let found = [key.to_owned(), words].into_iter().find(|text| may_begin(dfa, cache, text));
        if keys.known.len() >= REMEMBERED_MAX {
            keys.known.clear();
        }
        keys.known.insert(key.to_owned(), found.clone());
        found
    }
}

/// Whether a match that begins in the key may go on behind the `=`.
fn may_begin(dfa: &DFA, cache: &mut Cache, key: &str) -> bool {
    let text = format!("{key}=");
    // When the automaton gives up, the key counts: that costs a scan, and loses nothing.
    let alive = |cache: &mut Cache, from: usize| {
        let input = Input::new(&text).range(from..).anchored(Anchored::Yes);
        let Ok(mut state) = dfa.start_state_forward(cache, &input) else { return true };
        for &byte in text.as_bytes().get(from..).unwrap_or_default() {
            match dfa.next_state(cache, state, byte) {
                Ok(next) if next.is_dead() => return false,
                Ok(next) => state = next,
                Err(_) => return true,
            }
        }
        true
    };
    (0..key.len()).any(|from| alive(cache, from))
}

/// Scans `key=value` for a field whose key matters; matches are left in `matches`.
pub(super) fn matches<'k>(
    keyed: &Keyed,
    keys: &'k mut Keys,
    scanner: &mut Scanner<'_>,
    specs: &[SpecOf],
    (event, field, view): (&Event<'_>, &Field<'_>, Option<&View>),
    matches: &mut Vec<Match>,
) -> Result<Option<Text<'k>>, Overflow> {
    if field.place == Place::Key || keyed.is_empty() {
        return Ok(None);
    }
    let Some(key) = event.context_keys(field.node).next().filter(|key| key.len() <= KEY_MAX) else {
        return Ok(None);
    };
    let Some(before) = keyed.text_of(key, keys) else { return Ok(None) };
    let value = view.map_or(field.text.as_bytes(), View::bytes);
    keys.text.clear();
    keys.text.extend_from_slice(before.as_bytes());
    keys.text.push(b'=');
    let value_at = keys.text.len();
    // One byte beyond the reach, so that a boundary at its end is seen.
    keys.text.extend_from_slice(value.get(..=keyed.reach).unwrap_or(value));
    let reads = |of: &SpecOf| keyed.rules.get(of.rule as usize).copied().unwrap_or_default();
    scanner.matches_where(&keys.text, wanted(specs, bit(field.carrier), reads), matches)?;
    Ok(Some(Text { bytes: &keys.text, value_at }))
}
