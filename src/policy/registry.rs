//! Which agents there are, where a policy says that it knows them all.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::Event;
use crate::finding::Source;
use crate::policy::Breach;
use crate::policy::glob::Glob;

/// One line about agents that may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) agent: Glob,
    pub(super) agent_type: Option<String>,
    pub(super) tenant: Option<String>,
}

impl Member {
    /// An agent that claims another type or tenant than its own is another agent.
    fn is(&self, event: &Event<'_>) -> bool {
        let same = |asked: Option<&str>, is: Option<&str>| asked.is_none() || asked == is;
        self.agent.matches(&event.agent)
            && same(self.agent_type.as_deref(), event.agent_type.as_deref())
            && same(self.tenant.as_deref(), Some(event.tenant.as_ref()))
    }
}

/// Every agent that may speak.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    named: HashMap<String, Vec<Member>>,
    /// Lines with a `*`.
    like: Vec<Member>,
    unknown: Arc<Source>,
}

impl Registry {
    /// `unknown` is told of agents that no line names.
    pub(super) fn new(members: Vec<(String, Member)>, unknown: Arc<Source>) -> Self {
        let mut registry = Self { named: HashMap::new(), like: Vec::new(), unknown };
        for (name, member) in members {
            if name.contains('*') {
                registry.like.push(member);
            } else {
                registry.named.entry(name).or_default().push(member);
            }
        }
        registry
    }

    /// What is told of the event's agent, unless a line names it.
    pub(super) fn breach(&self, event: &Event<'_>) -> Option<Breach> {
        let named = self.named.get(event.agent.as_ref()).into_iter().flatten();
        let known = named.chain(&self.like).any(|member| member.is(event));
        (!known).then(|| Breach::of(&self.unknown, None))
    }
}
