//! The features that are judged, each with its name and family.

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $signal:literal, $group:ident, $rule:literal;)+) => {
        /// What is judged of an agent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $($(#[$doc])* $name),+ }

        impl Feature {
            /// Every feature.
            pub const ALL: [Self; FEATURES] = [$(Self::$name),+];

            /// The signal in alerts.
            #[must_use]
            pub fn signal(self) -> &'static str {
                match self { $(Self::$name => $signal),+ }
            }

            /// What an alert says.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $rule),+ }
            }

            /// Features of one group tell of the same thing and are counted once.
            #[must_use]
            pub fn group(self) -> Group {
                match self { $(Self::$name => Group::$group),+ }
            }
        }
    };
}

/// How many features there are.
pub const FEATURES: usize = 16;

/// Features that rise together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Calls, bytes, tokens, cost.
    Amount,
    /// Hours.
    Timing,
    /// Errors and latency.
    Failure,
    /// Tools, data, destinations.
    Novelty,
    /// Sessions.
    Session,
    /// Slow change.
    Drift,
    /// All of them.
    Joint,
}

impl Group {
    /// Those that are added up.
    pub(super) const ALL: [Self; 6] =
        [Self::Amount, Self::Timing, Self::Failure, Self::Novelty, Self::Session, Self::Drift];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Timing => "timing",
            Self::Failure => "failure",
            Self::Novelty => "novelty",
            Self::Session => "session",
            Self::Drift => "drift",
            Self::Joint => "joint",
        }
    }
}

features! {
    /// Tool calls in an hour.
    Frequency = "behavior.frequency", Amount, "more tool calls in an hour than this agent makes at such a time";
    /// Active when it hardly ever is.
    Hours = "behavior.hours", Timing, "active at an hour at which this agent is hardly ever active";
    /// Bytes in an hour.
    Volume = "behavior.volume", Amount, "more data in an hour than this agent moves";
    /// Bytes of each result, or tokens of each call, by the mean of their logarithms in an hour.
    Payload = "behavior.payload", Amount, "more data or tokens in each call than this agent moves";
    /// Tokens in five minutes.
    Tokens = "behavior.tokens", Amount, "more tokens in five minutes than this agent uses";
    /// Cost of an hour.
    Cost = "behavior.cost", Amount, "costs more in an hour than this agent does";
    /// Mean latency of an hour.
    Latency = "behavior.latency", Failure, "slower than this agent is";
    /// Errors of tools in an hour.
    Errors = "behavior.errors", Failure, "more tool errors than this agent and its peers have";
    /// Calls of one session.
    SessionSize = "behavior.session_size", Session, "more calls in one session than this agent makes";
    /// Calls of one tool in one session.
    Repeats = "behavior.loop", Session, "one tool called over and over in one session";
    /// A tool not used in thirty days.
    NewTool = "behavior.new_tool", Novelty, "a tool that neither this agent nor its peers use";
    /// A class of data not touched in thirty days, or private data read and something sent in one session.
    NewData = "behavior.new_data", Novelty, "a class of data, or private data and a send together, that is new for this agent";
    /// A destination not written to in thirty days.
    NewDestination = "behavior.new_destination", Novelty, "a destination that neither this agent nor its peers write to";
    /// Hours in a row that are all somewhat busier than expected.
    Sustained = "behavior.sustained", Amount, "busier than expected for hours";
    /// Slow change of the daily amount.
    Drift = "behavior.drift", Drift, "has been doing steadily more for days";
    /// All groups together.
    Joint = "behavior.joint", Joint, "several things unusual at once";
}

impl Feature {
    /// The part of the budget of false alerts that the feature may spend: most goes to where a
    /// weaker threshold finds more, on simulated traffic of seeds that are kept for that. The
    /// parts come to more than one, since signals that have one cause fold into one alert.
    pub(super) fn share(self) -> f64 {
        match self {
            Self::SessionSize => 0.24,
            Self::Payload | Self::Errors => 0.20,
            Self::NewDestination => 0.18,
            Self::Frequency => 0.16,
            Self::Hours | Self::Joint => 0.12,
            Self::Drift => 0.08,
            Self::Sustained => 0.06,
            Self::Cost => 0.05,
            Self::NewTool | Self::NewData | Self::Repeats => 0.04,
            Self::Tokens => 0.03,
            Self::Volume => 0.02,
            Self::Latency => 0.005,
        }
    }

    /// Where the feature's logarithm stands among those of the class and the profile.
    pub(super) fn log(self) -> Option<usize> {
        match self {
            Self::Volume => Some(0),
            Self::Tokens => Some(1),
            Self::Cost => Some(2),
            Self::Latency => Some(3),
            Self::SessionSize => Some(4),
            Self::Repeats => Some(5),
            Self::Payload => Some(6),
            _ => None,
        }
    }
}
