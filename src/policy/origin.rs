//! Where a value in a tool's parameters came from: what may not come from where.

use std::sync::Arc;

use crate::event::{Param, ParamValue, Params};
use crate::finding::Source;
use crate::policy::params::Path;

/// Who a session first had a value from. The more trusted stands first, and keeps its word:
/// what the user named stays the user's, wherever else it turns up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The person whom the agent serves.
    User,
    /// The application's owner.
    System,
    /// A tool that the policy trusts.
    Trusted,
    /// Content that the user pointed at: the result of a call made of the user's own words.
    Named,
    /// Content that carries orders: an injection was found in it, or it speaks in
    /// imperatives and nobody asked for it by name.
    Suspect,
    /// Other content: results of tools, fetched documents.
    Content,
    /// Nobody: the model made it up, or it was seen longer ago than the session remembers.
    Nowhere,
}

impl Origin {
    /// All of them, most trusted first.
    pub const ALL: &'static [Self] = &[
        Self::User,
        Self::System,
        Self::Trusted,
        Self::Named,
        Self::Suspect,
        Self::Content,
        Self::Nowhere,
    ];

    /// The name in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
            Self::Trusted => "trusted",
            Self::Named => "named",
            Self::Suspect => "suspect",
            Self::Content => "content",
            Self::Nowhere => "nowhere",
        }
    }
}

/// A demand on where values come from.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginRule {
    /// Which parameters; all where there is none.
    pub(super) of: Vec<Path>,
    deny: Vec<Origin>,
    pub(super) source: Arc<Source>,
}

impl OriginRule {
    pub(super) fn new(of: Vec<Path>, deny: Vec<Origin>, source: Arc<Source>) -> Self {
        Self { of, deny, source }
    }

    /// Whether a value from there is refused.
    #[must_use]
    pub fn denies(&self, origin: Origin) -> bool {
        self.deny.contains(&origin)
    }

    /// The texts and numbers that the rule is about.
    pub fn values<'p, 'r>(
        &'p self,
        params: &'p Params<'r>,
    ) -> impl Iterator<Item = (&'p Param<'r>, &'p str)> {
        params.values.iter().filter_map(|param| {
            let asked = self.of.is_empty() || self.of.iter().any(|path| path.covers(&param.path));
            match &param.value {
                ParamValue::Text(text) | ParamValue::Number(text) if asked => {
                    Some((param, &**text))
                }
                _ => None,
            }
        })
    }
}
