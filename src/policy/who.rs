//! Whom a line is about, and an index that finds a policy's lines for one agent without
//! asking them all: with a thousand agents most lines are about somebody else.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::event::Event;

/// Agent, type of agent and tenant; what is `None` is anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) agent: Option<String>,
    pub(super) agent_type: Option<String>,
    pub(super) tenant: Option<String>,
}

impl Who {
    pub(super) fn covers(&self, event: &Event<'_>) -> bool {
        let same =
            |asked: Option<&str>, is: Option<&str>| asked.is_none_or(|asked| is == Some(asked));
        same(self.agent.as_deref(), Some(event.agent.as_ref()))
            && same(self.agent_type.as_deref(), event.agent_type.as_deref())
            && same(self.tenant.as_deref(), Some(event.tenant.as_ref()))
    }

    /// Compared in the order agent, type, tenant.
    pub(super) fn rank(&self) -> [bool; 3] {
        [self.agent.is_some(), self.agent_type.is_some(), self.tenant.is_some()]
    }
}

/// FNV-1a with a last mix: a third of the time of the standard library's hash for names of
/// some ten bytes. Only a policy's own names are put in, so that whoever sends events cannot
/// make them collide with each other.
#[derive(Debug)]
struct NameHash(u64);

impl Default for NameHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // The table looks at the highest and the lowest bits, and FNV mixes upwards only.
        self.0 ^ (self.0 >> 32)
    }
}

type ByName = HashMap<String, Vec<u32>, BuildHasherDefault<NameHash>>;

/// Positions of lines in their list, by the narrowest thing that each asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    agents: ByName,
    types: ByName,
    tenants: ByName,
    everybody: Vec<u32>,
}

impl Index {
    pub(super) fn new<'w>(lines: impl Iterator<Item = &'w Who>) -> Self {
        let mut index = Self::default();
        for (at, who) in lines.enumerate() {
            let list = match who {
                Who { agent: Some(agent), .. } => index.agents.entry(agent.clone()).or_default(),
                Who { agent_type: Some(name), .. } => index.types.entry(name.clone()).or_default(),
                Who { tenant: Some(name), .. } => index.tenants.entry(name.clone()).or_default(),
                _ => &mut index.everybody,
            };
            list.push(at as u32);
        }
        index
    }

    /// Positions of all lines that may cover the event, in order; whether one does, is asked of it.
    pub(super) fn candidates(&self, event: &Event<'_>) -> impl Iterator<Item = usize> {
        fn of<'i>(map: &'i ByName, name: Option<&str>) -> &'i [u32] {
            match name {
                Some(name) if !map.is_empty() => map.get(name).map_or(&[], Vec::as_slice),
                _ => &[],
            }
        }
        let mut lists = [
            of(&self.agents, Some(&event.agent)),
            of(&self.types, event.agent_type.as_deref()),
            of(&self.tenants, Some(&event.tenant)),
            &self.everybody,
        ];
        std::iter::from_fn(move || {
            let next = lists
                .iter_mut()
                .filter(|list| !list.is_empty())
                .min_by_key(|list| list.first().copied())?;
            let (first, rest) = next.split_first()?;
            *next = rest;
            Some(*first as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, Millis};

    #[test]
    fn the_index_finds_every_line_that_covers_in_order() {
        let names = [None, Some("a"), Some("b")];
        let mut all = Vec::new();
        for agent in names {
            for agent_type in names {
                for tenant in names {
                    let own = |name: Option<&str>| name.map(str::to_owned);
                    all.push(Who {
                        agent: own(agent),
                        agent_type: own(agent_type),
                        tenant: own(tenant),
                    });
                }
            }
        }
        all.extend(all.clone());
        let index = Index::new(all.iter());
        for agent in ["a", "b", "c"] {
            for agent_type in names {
                for tenant in ["", "a", "b"] {
                    let mut event = Event::new(Kind::Prompt, "e".into(), agent.into(), Millis(0));
                    event.agent_type = agent_type.map(Into::into);
                    event.tenant = tenant.into();
                    let covers = |at: &usize| all[*at].covers(&event);
                    let found: Vec<_> = index.candidates(&event).filter(covers).collect();
                    let expected: Vec<_> = (0..all.len()).filter(covers).collect();
                    assert_eq!(found, expected);
                }
            }
        }
    }
}
