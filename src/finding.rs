//! What was found in an event, and what may be done about it.
//!
//! A [`Finding`] points into raw text; which rule made it, how sure that rule is, and
//! why, travel with it so that a verdict explains itself. Policy turns findings into an
//! [`Action`]; nothing here decides.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::event::{Millis, RawSpan};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, weakest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire, in rules and in policies.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of that name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// What is done with an event, weakest first.
    Action {
        /// Passed on as it is.
        Allow = "allow",
        /// Passed on as it is, and told.
        Alert = "alert",
        /// Passed on with spans cut.
        Redact = "redact",
        /// Passed on with whole strings replaced by a notice.
        Replace = "replace",
        /// Held back; the sender may rephrase or wait.
        Retry = "retry",
        /// Held back.
        Block = "block",
    }
}

named! {
    /// What a hit would cost; fixed by the rule.
    Severity {
        /// Worth knowing.
        Info = "info",
        /// A nuisance.
        Low = "low",
        /// Harm to one person or one session.
        Medium = "medium",
        /// Harm to many, or a credential.
        High = "high",
        /// The house is on fire.
        Critical = "critical",
    }
}

named! {
    /// How sure the detector is. Policies act from `Medium` up.
    Confidence {
        /// Reported and left alone.
        Low = "low",
        /// More likely than not.
        Medium = "medium",
        /// A checksum, a unique prefix or an unmistakable phrase.
        High = "high",
    }
}

impl Confidence {
    /// One step surer.
    #[must_use]
    pub fn raised(self) -> Self {
        if self == Self::Low { Self::Medium } else { Self::High }
    }

    /// One step less sure.
    #[must_use]
    pub fn lowered(self) -> Self {
        if self == Self::High { Self::Medium } else { Self::Low }
    }
}

named! {
    /// How a hit is spoken about rather than said, which lowers its confidence by one step.
    Mention {
        /// Inside quotation marks or a quoted line, and spoken about.
        Quotation = "quotation",
        /// In a fenced block, and spoken about.
        Fence = "fence",
        /// Inside a sentence of a text with headings that speaks about such things.
        Documentation = "documentation",
        /// Reported as what somebody else wants of a model.
        Report = "report",
        /// Part of a piece of fiction that is openly asked for.
        Fiction = "fiction",
    }
}

named! {
    /// What kind of trouble a rule looks for. The last six are not rule folders:
    /// they name what made an alert that no pattern made.
    Family {
        /// Instructions from those who may not give them.
        Injection = "injection",
        /// Keys, tokens, passwords.
        Secrets = "secrets",
        /// Personal data.
        Pii = "pii",
        /// Data on its way out.
        Exfiltration = "exfiltration",
        /// False or unverified claims of authority.
        Claims = "claims",
        /// Internal addresses.
        Urls = "urls",
        /// Dangerous tool parameters.
        Tools = "tools",
        /// Planted values.
        Canaries = "canaries",
        /// Word lists of the user.
        Lists = "lists",
        /// Something left a baseline.
        Behavior = "behavior",
        /// Information went where it must not.
        Flow = "flow",
        /// A rule of the policy: quota, tool, hours, kill.
        Policy = "policy",
        /// A model's score.
        Classifier = "classifier",
        /// An operator's order.
        Control = "control",
        /// Weir itself: limits, unreadable input, wrong keys.
        System = "system",
    }
}

/// Which reading of a string a hit was found in: `raw`, `clean`, `folded`, or a path such as `base64>folded`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewName(pub std::borrow::Cow<'static, str>);

impl ViewName {
    /// The text as it is.
    pub const RAW: Self = Self(std::borrow::Cow::Borrowed("raw"));
    /// Invisible characters stripped, NFKC, confusables.
    pub const CLEAN: Self = Self(std::borrow::Cow::Borrowed("clean"));
    /// Clean, and case, accents and look-alikes folded.
    pub const FOLDED: Self = Self(std::borrow::Cow::Borrowed("folded"));
}

/// The identity that a rule or a built-in check lends to its findings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Rule id, such as `secrets.github.classic`, or the name of a built-in check, such as `limit.fields`.
    pub rule: String,
    /// Kind of trouble.
    pub family: Family,
    /// Dotted type of what was found, such as `pii.credit_card`.
    pub kind: String,
    /// What a hit would cost.
    pub severity: Severity,
    /// One sentence for the reader of the verdict; never holds matched text.
    pub message: String,
    /// The rule's default action, weaker than any line of policy.
    pub action: Option<Action>,
    /// Numbers that others know it by: OWASP LLM, MITRE ATLAS, CWE.
    pub tags: Vec<String>,
}

/// What the checks that are built in are known by: OWASP's top ten for LLM applications (2025)
/// and MITRE ATLAS, by the dotted type of what is found. Rules of packs bring their own.
const STANDARD_TAGS: [(&str, &[&str]); 15] = [
    ("behavior.new_data", &["OWASP-LLM02", "OWASP-LLM06"]),
    ("behavior.new_destination", &["OWASP-LLM06", "ATLAS-AML.T0086"]),
    ("behavior.new_tool", &["OWASP-LLM06", "ATLAS-AML.T0053"]),
    ("behavior.rule.new_tool", &["OWASP-LLM06", "ATLAS-AML.T0053"]),
    ("behavior", &["OWASP-LLM10"]),
    ("flow", &["OWASP-LLM02", "OWASP-LLM06", "ATLAS-AML.T0086"]),
    ("limit", &["OWASP-LLM10"]),
    ("policy.breaker_open", &["OWASP-LLM10"]),
    ("policy.breaker_opened", &["OWASP-LLM10"]),
    ("policy.halted", &["OWASP-LLM02"]),
    ("policy.origin", &["OWASP-LLM01", "OWASP-LLM06", "ATLAS-AML.T0051.001", "ATLAS-AML.T0053"]),
    ("policy.quota", &["OWASP-LLM06", "OWASP-LLM10"]),
    ("policy", &["OWASP-LLM06", "ATLAS-AML.T0053"]),
    ("injection.classifier", &["OWASP-LLM01", "ATLAS-AML.T0051"]),
    ("injection.hidden_text", &["OWASP-LLM01", "ATLAS-AML.T0051.001"]),
];

/// The tags of what a built-in check finds; none where nothing there fits.
#[must_use]
pub fn standard_tags(kind: &str) -> Vec<String> {
    let covers = |name: &str| {
        kind.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    // The longest name that covers it says the most.
    let best =
        STANDARD_TAGS.iter().filter(|(name, _)| covers(name)).max_by_key(|(name, _)| name.len());
    best.map_or_else(Vec::new, |(_, tags)| tags.iter().map(|&tag| tag.to_owned()).collect())
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What made it.
    pub source: Arc<Source>,
    /// How sure we are, after validators and context.
    pub confidence: Confidence,
    /// Index into `Event::fields`; `None` where the finding is about the event as a whole.
    pub field: Option<u32>,
    /// Bytes of the field's text.
    pub span: RawSpan,
    /// The reading in which it was found.
    pub view: ViewName,
    /// Why confidence is one step lower than it would be: the hit is spoken about.
    pub mention: Option<Mention>,
}

impl Finding {
    /// A finding about the event as a whole.
    #[must_use]
    pub fn whole(source: Arc<Source>, confidence: Confidence) -> Self {
        let (span, view) = (RawSpan::default(), ViewName::RAW);
        Self { source, confidence, field: None, span, view, mention: None }
    }

    /// The order in which findings are told: by field, place, rule.
    #[must_use]
    pub fn by_place(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.field, finding.span);
        key(self).cmp(&key(other)).then_with(|| self.source.rule.cmp(&other.source.rule))
    }
}

/// Who had a value before it turned up elsewhere, by the names that the sender gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, on the clock of the partition that saw it.
    pub at: Millis,
    /// Tenant, or empty.
    pub tenant: String,
    /// Agent.
    pub agent: String,
    /// Session.
    pub session: Option<String>,
    /// Whom the agent served.
    pub user: Option<String>,
    /// Partition and offset of the entry that says so, where another partition told it.
    pub entry: Option<(i32, i64)>,
}

named! {
    /// What became of an event's texts at the classifier.
    Scoring {
        /// There is no classifier.
        Off = "off",
        /// Rules were enough, or there is nothing in it that is to be scored.
        Skipped = "skipped",
        /// Every window of every text has a score.
        Scored = "scored",
        /// Some windows have none, because time was up.
        Partial = "partial",
        /// No window has a score, because there was no time for any.
        Shed = "shed",
        /// The model gave no score, or one that is no number.
        Failed = "failed",
    }
}

/// A probability in millionths, as a model's calibrated output: whole numbers compare,
/// print and replay the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u32);

impl Score {
    /// The score of a probability; what is no number between 0 and 1 has none.
    #[must_use]
    pub fn new(probability: f64) -> Option<Self> {
        let known = (0.0..=1.0).contains(&probability);
        known.then(|| Self((probability * 1e6).round() as u32))
    }

    /// The probability, 0 to 1.
    #[must_use]
    pub fn probability(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Millionths, 0 to 1,000,000.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Those that have a score.
    pub scored: u64,
    /// All.
    pub total: u64,
}

/// What a classifier saw of an event, and the highest score that it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// How far it came.
    pub state: Scoring,
    /// The highest score of a window; `None` where no window has one.
    pub score: Option<Score>,
    /// Windows of the texts that were to be scored; zeros where they were not counted.
    pub windows: Done,
    /// Tokens of those texts, as the model's own tokenizer cuts them.
    pub tokens: Done,
    /// First eight bytes of the SHA-256 of the model; 0 where there is none.
    pub model: u64,
}

impl Default for Classified {
    fn default() -> Self {
        let (windows, tokens) = (Done::default(), Done::default());
        Self { state: Scoring::Off, score: None, windows, tokens, model: 0 }
    }
}

/// What was looked at. "Could not scan" is never the same as "allowed".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Bytes of all strings of the event.
    pub bytes: u64,
    /// Bytes that every rule has seen.
    pub scanned: u64,
    /// Readings that were made of at least one string, in the order raw, clean, folded, others.
    pub views: Vec<ViewName>,
    /// Whether a limit cut something short.
    pub truncated: bool,
    /// What the classifier saw.
    pub classifier: Classified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_order_from_weak_to_strong() {
        assert!(Action::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Action::from_name("block"), Some(Action::Block));
        assert_eq!(Action::from_name("Block"), None);
    }

    #[test]
    fn a_score_is_a_probability_or_none() {
        assert_eq!(Score::new(0.982_013_79).map(Score::millionths), Some(982_014));
        assert_eq!(Score::new(1.0).map(Score::probability), Some(1.0));
        for wrong in [f64::NAN, f64::INFINITY, -0.001, 1.001] {
            assert_eq!(Score::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn built_in_checks_have_the_tags_of_the_longest_name() {
        assert_eq!(standard_tags("policy.quota"), ["OWASP-LLM06", "OWASP-LLM10"]);
        assert_eq!(standard_tags("policy.hours"), ["OWASP-LLM06", "ATLAS-AML.T0053"]);
        assert_eq!(standard_tags("behavior.volume"), ["OWASP-LLM10"]);
        assert_eq!(standard_tags("policies"), Vec::<String>::new());
        assert_eq!(standard_tags("system.id_reuse"), Vec::<String>::new());
    }

    #[test]
    fn confidence_moves_one_step_and_stops_at_the_ends() {
        assert_eq!(Confidence::Low.raised(), Confidence::Medium);
        assert_eq!(Confidence::High.raised(), Confidence::High);
        assert_eq!(Confidence::High.lowered(), Confidence::Medium);
        assert_eq!(Confidence::Low.lowered(), Confidence::Low);
    }
}
