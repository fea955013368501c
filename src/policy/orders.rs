//! The standing orders of the control topic: who is killed, who runs in which mode.
//!
//! Orders stand above the policy file: they are the SOC's switch. How an order is read
//! from a record is `wire`'s business.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Millis};
use crate::policy::glob::Glob;

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Decisions are carried out.
    #[default]
    Enforce,
    /// Decisions are only told.
    Shadow,
}

impl Mode {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Enforce, Self::Shadow];

    /// The name on the wire and in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }

    /// The mode of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.name() == name)
    }
}

/// To whom an order of the control topic applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everyone.
    All,
    /// One tenant.
    Tenant(String),
    /// One type of agent.
    Type(String),
    /// One agent: tenant (or empty) and id.
    Agent(String, String),
    /// One session: tenant (or empty), agent, session.
    Session(String, String, String),
}

impl Scope {
    /// The agent that the scope lies within, if it is one agent's.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        match self {
            Self::Agent(_, agent) | Self::Session(_, agent, _) => Some(agent),
            Self::All | Self::Tenant(_) | Self::Type(_) => None,
        }
    }

    /// The scopes that an event falls into, narrowest first.
    fn of(event: &Event<'_>) -> impl Iterator<Item = Self> {
        let (tenant, agent) = (event.tenant.as_ref(), event.agent.as_ref());
        let session = event
            .session
            .as_ref()
            .map(|session| Self::Session(tenant.into(), agent.into(), session.as_ref().into()));
        let class = event.agent_type.as_ref().map(|class| Self::Type(class.as_ref().into()));
        [
            session,
            Some(Self::Agent(tenant.into(), agent.into())),
            class,
            Some(Self::Tenant(tenant.into())),
            Some(Self::All),
        ]
        .into_iter()
        .flatten()
    }
}

/// What an order of the control topic changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Blocks everything in the scope, or lets it flow again.
    Kill {
        /// Whom.
        scope: Scope,
        /// `false` resumes.
        on: bool,
    },
    /// Sets the mode of the scope; `None` gives it back to the policy file.
    Mode {
        /// Whom.
        scope: Scope,
        /// Which.
        mode: Option<Mode>,
    },
    /// Names the pack that is to serve the scope; `None` gives it back to the configuration.
    Pack {
        /// Whom.
        scope: Scope,
        /// SHA-256 of its files, hexadecimal.
        hash: Option<String>,
    },
    /// Once: lets the call of a hold pass.
    Approve {
        /// Id of the hold, from its verdict.
        hold: String,
    },
    /// Silences alerts in the scope; what is decided stays.
    Suppress {
        /// Whom.
        scope: Scope,
        /// What is silenced, and when.
        silence: Silence,
    },
    /// Lets an agent's calls of one tool pass where policy asks for an approval.
    Grant(Grant),
    /// Once: forgets what was learned about the scope: one agent, or all.
    Reset {
        /// Whom.
        scope: Scope,
    },
    /// Once: takes what one agent does now as usual.
    Accept {
        /// Whom.
        scope: Scope,
        /// Until when all that the agent does is learned and none of its behaviour is told.
        until: Option<Millis>,
    },
}

/// What a suppression silences, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Silence {
    /// Dotted signal, in which `*` stands for any letters; `None` is all of them.
    pub signal: Option<String>,
    /// Tool of the event; `None` is all, and events without one.
    pub tool: Option<String>,
    /// Begins then; `None` is at once.
    pub from: Option<Millis>,
    /// Alerts come again from then on.
    pub until: Millis,
}

/// Whose alerts of which signal and tool are silenced.
pub type Silenced = (Scope, Option<String>, Option<String>);

/// An approval that is given before anybody asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Whose calls: an agent.
    pub scope: Scope,
    /// Name of the tool.
    pub tool: String,
    /// SHA-256 of the parameters; `None` is any parameters.
    pub params: Option<[u8; 32]>,
    /// How often.
    pub uses: u32,
    /// Until when.
    pub expires: Millis,
}

impl Command {
    /// Whom it is about; an approval is about a call that only its partition knows.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        match self {
            Self::Kill { scope, .. }
            | Self::Mode { scope, .. }
            | Self::Pack { scope, .. }
            | Self::Suppress { scope, .. }
            | Self::Reset { scope }
            | Self::Accept { scope, .. }
            | Self::Grant(Grant { scope, .. }) => scope,
            Self::Approve { .. } => &Scope::All,
        }
    }
}

/// One order, as it stands in the control topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its offset there.
    pub offset: i64,
    /// What it changes.
    pub command: Command,
    /// Who gave it, as signed or claimed.
    pub by: String,
    /// Why, in the giver's words.
    pub reason: String,
}

/// The standing orders, pinned for a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Killed scopes.
    pub kills: BTreeSet<Scope>,
    /// Modes set by scope; the narrowest wins.
    pub modes: BTreeMap<Scope, Mode>,
    /// Packs named by scope.
    pub packs: BTreeMap<Scope, String>,
    /// Silenced signals and tools by scope, with when it begins and ends.
    pub silences: BTreeMap<Silenced, (Option<Millis>, Millis)>,
    /// Offset of the control topic up to which this is true (next offset to read).
    pub offset: i64,
}

impl Orders {
    /// Takes one more order, in offset order.
    pub fn apply(&mut self, order: &Order) {
        match &order.command {
            Command::Kill { scope, on: true } => {
                self.kills.insert(scope.clone());
            }
            Command::Kill { scope, on: false } => {
                self.kills.remove(scope);
            }
            Command::Mode { scope, mode: Some(mode) } => {
                self.modes.insert(scope.clone(), *mode);
            }
            Command::Mode { scope, mode: None } => {
                self.modes.remove(scope);
            }
            Command::Pack { scope, hash: Some(hash) } => {
                self.packs.insert(scope.clone(), hash.clone());
            }
            Command::Pack { scope, hash: None } => {
                self.packs.remove(scope);
            }
            Command::Suppress { scope, silence } => {
                let Silence { signal, tool, from, until } = silence.clone();
                self.silences.insert((scope.clone(), signal, tool), (from, until));
            }
            // Take effect in the state of the partition that they are about.
            Command::Approve { .. }
            | Command::Grant(_)
            | Command::Reset { .. }
            | Command::Accept { .. } => {}
        }
        self.offset = self.offset.max(order.offset + 1);
    }

    /// Whether anything that the event belongs to is killed.
    #[must_use]
    pub fn killed(&self, event: &Event<'_>) -> bool {
        !self.kills.is_empty() && Scope::of(event).any(|scope| self.kills.contains(&scope))
    }

    /// Whether an event's alerts of that signal are silenced at `now`.
    #[must_use]
    pub fn silenced(&self, event: &Event<'_>, signal: &str, now: Millis) -> bool {
        if self.silences.is_empty() {
            return false;
        }
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        let covers = |scope: &Scope| {
            let all = (scope.clone(), None, None)..;
            let of_scope = self.silences.range(all).take_while(|((of, ..), _)| of == scope);
            of_scope.into_iter().any(|((_, quiet, quiet_tool), (from, until))| {
                from.is_none_or(|from| now >= from)
                    && now < *until
                    && quiet.as_deref().is_none_or(|quiet| Glob::new(quiet).matches(signal))
                    && quiet_tool.as_deref().is_none_or(|quiet| tool == Some(quiet))
            })
        };
        Scope::of(event).any(|scope| covers(&scope))
    }

    /// The pack that is to serve everybody, where an order names one.
    #[must_use]
    pub fn pack(&self) -> Option<&str> {
        self.packs.get(&Scope::All).map(String::as_str)
    }

    /// The mode of the narrowest order that covers the event.
    #[must_use]
    pub fn mode(&self, event: &Event<'_>) -> Option<Mode> {
        if self.modes.is_empty() {
            return None;
        }
        Scope::of(event).find_map(|scope| self.modes.get(&scope).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    fn order(offset: i64, command: Command) -> Order {
        Order { offset, command, by: "soc".into(), reason: String::new() }
    }

    fn event<'r>(agent: &'r str, session: &'r str) -> Event<'r> {
        let mut event = Event::new(Kind::Prompt, "e".into(), agent.into(), Millis(0));
        event.session = Some(session.into());
        event.agent_type = Some("support".into());
        event
    }

    #[test]
    fn kills_cover_their_scope_until_resumed() {
        let mut orders = Orders::default();
        assert!(!orders.killed(&event("a", "s")));
        for scope in [
            Scope::All,
            Scope::Tenant(String::new()),
            Scope::Type("support".into()),
            Scope::Agent(String::new(), "a".into()),
            Scope::Session(String::new(), "a".into(), "s".into()),
        ] {
            orders.apply(&order(4, Command::Kill { scope: scope.clone(), on: true }));
            assert!(orders.killed(&event("a", "s")), "{scope:?}");
            orders.apply(&order(5, Command::Kill { scope, on: false }));
            assert!(!orders.killed(&event("a", "s")));
        }
        orders.apply(&order(
            6,
            Command::Kill { scope: Scope::Agent("other".into(), "a".into()), on: true },
        ));
        assert!(!orders.killed(&event("a", "s")), "an agent of another tenant is another agent");
        assert_eq!(orders.offset, 7);
    }

    #[test]
    fn the_narrowest_mode_wins() {
        let mut orders = Orders::default();
        let set = |scope, mode| Command::Mode { scope, mode: Some(mode) };
        orders.apply(&order(0, set(Scope::All, Mode::Shadow)));
        orders.apply(&order(1, set(Scope::Agent(String::new(), "a".into()), Mode::Enforce)));
        assert_eq!(orders.mode(&event("a", "s")), Some(Mode::Enforce));
        assert_eq!(orders.mode(&event("b", "s")), Some(Mode::Shadow));
        orders.apply(&order(2, Command::Mode { scope: Scope::All, mode: None }));
        assert_eq!(orders.mode(&event("b", "s")), None);
    }

    #[test]
    fn a_silence_covers_its_scope_signal_tool_and_time() {
        let mut event = event("a", "s");
        event.tool = Some(crate::event::Tool { name: "mail.send".into(), ..Default::default() });
        let agent = || Scope::Agent(String::new(), "a".into());
        let behavior = Some("behavior.*".to_owned());
        let cases: [(Scope, Silence, bool); 8] = [
            (Scope::All, Silence::default(), true),
            (agent(), Silence { signal: behavior.clone(), ..Silence::default() }, true),
            (agent(), Silence { signal: Some("pii.*".into()), ..Silence::default() }, false),
            (agent(), Silence { tool: Some("mail.send".into()), ..Silence::default() }, true),
            (agent(), Silence { tool: Some("mail.read".into()), ..Silence::default() }, false),
            (Scope::Type("support".into()), Silence::default(), true),
            (Scope::Agent("t".into(), "a".into()), Silence::default(), false),
            (agent(), Silence { from: Some(Millis(60)), ..Silence::default() }, false),
        ];
        for (scope, silence, silent) in cases {
            let mut orders = Orders::default();
            let silence = Silence { until: Millis(100), ..silence };
            let command = Command::Suppress { scope, silence };
            orders.apply(&order(0, command.clone()));
            assert_eq!(
                orders.silenced(&event, "behavior.volume", Millis(50)),
                silent,
                "{command:?}"
            );
            assert!(!orders.silenced(&event, "behavior.volume", Millis(100)), "it is over");
            if let Command::Suppress { scope, silence } = command {
                let lifted = Silence { until: Millis(0), ..silence };
                orders.apply(&order(1, Command::Suppress { scope, silence: lifted }));
            }
            assert!(!orders.silenced(&event, "behavior.volume", Millis(70)), "it was lifted");
        }
    }
}
