//! Values across sessions: which are remembered, and over which lines none may go.

use std::sync::Arc;

use crate::finding::{Action, Family, Severity, Source, standard_tags};

/// What is remembered of what passes, as keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tainted {
    /// Keys, tokens, passwords that a rule of family `secrets` found.
    Secrets,
    /// What a rule of family `pii` found.
    Pii,
    /// Rows of words.
    Text,
}

impl Tainted {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Secrets, Self::Pii, Self::Text];

    /// The name in policies and at the end of rule names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Pii => "pii",
            Self::Text => "text",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Secrets => "a secret",
            Self::Pii => "personal data",
            Self::Text => "a passage",
        }
    }
}

/// A line between two conversations, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Boundary {
    /// Another session of the same agent; of whom, is not known.
    Session,
    /// Another agent of the tenant; whom it serves, is not known.
    Agent,
    /// Another user of the tenant.
    User,
    /// Another tenant.
    Tenant,
}

impl Boundary {
    /// All of them, nearest first.
    pub const ALL: &'static [Self] = &[Self::Session, Self::Agent, Self::User, Self::Tenant];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tenant => "tenant",
        }
    }

    /// What is done about it where nothing else is said.
    fn action(self, class: Tainted) -> Action {
        match (self, class) {
            (_, Tainted::Text) | (Self::Session | Self::Agent, _) => Action::Alert,
            (Self::User | Self::Tenant, Tainted::Secrets | Tainted::Pii) => Action::Block,
        }
    }

    fn severity(self, class: Tainted) -> Severity {
        match (self, class) {
            (Self::User | Self::Tenant, Tainted::Secrets) => Severity::Critical,
            (Self::User | Self::Tenant, _) | (_, Tainted::Secrets) => Severity::High,
            (Self::Session | Self::Agent, _) => Severity::Medium,
        }
    }
}

/// What a policy asks about values across sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    of: Vec<Tainted>,
    common: usize,
    sources: Vec<(Boundary, Tainted, Arc<Source>)>,
}

impl Taint {
    /// Parties who know a value, from which on it is common, if nothing else is said.
    pub(super) const COMMON: u64 = 5;
    /// A value remembers no more parties.
    pub(super) const COMMON_MAX: u64 = 16;

    pub(super) fn new(of: Vec<Tainted>, across: &[Boundary], common: usize) -> Self {
        let pairs =
            across.iter().flat_map(|&line| Tainted::ALL.iter().map(move |&class| (line, class)));
        let sources =
            pairs.map(|(line, class)| (line, class, Arc::new(source(line, class)))).collect();
        Self { of, common, sources }
    }

    /// Whether such values are remembered.
    #[must_use]
    pub fn keeps(&self, class: Tainted) -> bool {
        self.of.contains(&class)
    }

    /// A value that so many parties know is nobody's own.
    #[must_use]
    pub fn common(&self) -> usize {
        self.common
    }

    /// What a value that went over this line is reported as; `None` where the policy does not ask.
    #[must_use]
    pub fn source(&self, line: Boundary, class: Tainted) -> Option<&Arc<Source>> {
        let asked = |(known, of, _): &&(Boundary, Tainted, _)| (*known, *of) == (line, class);
        self.sources.iter().find(asked).map(|(_, _, source)| source)
    }
}

fn source(line: Boundary, class: Tainted) -> Source {
    let kind = format!("flow.cross_{}", line.name());
    Source {
        rule: format!("{kind}.{}", class.name()),
        family: Family::Flow,
        severity: line.severity(class),
        // Who it was, is told to the SOC and not to whoever reads verdicts.
        message: format!("{} of another {} turned up here", class.what(), line.name()),
        action: Some(line.action(class)),
        tags: standard_tags(&kind),
        kind,
    }
}
