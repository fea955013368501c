//! Settings that are one of a few words.

use crate::baseline;
use crate::classify::When;
use crate::detect::EngineKind;
use crate::policy::Mode;
use crate::telemetry::logs::Format;

/// How often an event's outputs may appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Once, in one transaction with the input's offset.
    #[default]
    ExactlyOnce,
    /// At least once; no audit chain.
    AtLeastOnce,
}

/// Whether the classifier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassifierUse {
    /// Where the build and the machine have one.
    #[default]
    Auto,
    /// It must.
    On,
    /// It must not.
    Off,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Yes.
    #[default]
    On,
    /// No.
    Off,
}

impl Switch {
    /// Whether it is a yes.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The body of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertFormat {
    /// OCSF Detection Finding.
    #[default]
    Ocsf,
    /// Elastic Common Schema.
    Ecs,
}

/// A setting that is one of a few words.
pub(super) trait Choice {
    /// All words, the default first.
    fn names(&self) -> Vec<&'static str>;
    /// The word in force.
    fn name(&self) -> &'static str;
    /// Takes a word; false where it is none of them.
    fn choose(&mut self, name: &str) -> bool;
}

macro_rules! choice {
    ($type:ty { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl Choice for $type {
            fn names(&self) -> Vec<&'static str> {
                vec![$($name),+]
            }
            fn name(&self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
            fn choose(&mut self, name: &str) -> bool {
                match name {
                    $($name => *self = Self::$variant,)+
                    _ => return false,
                }
                true
            }
        }
        impl std::fmt::Display for Word<$type> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0.name())
            }
        }
    };
}

/// Shows a choice by its word in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Word<T>(pub T);

choice!(Delivery { ExactlyOnce = "exactly_once", AtLeastOnce = "at_least_once" });
choice!(ClassifierUse { Auto = "auto", On = "on", Off = "off" });
choice!(Switch { On = "on", Off = "off" });
choice!(When { Untrusted = "untrusted", Uncertain = "uncertain", All = "all" });
choice!(AlertFormat { Ocsf = "ocsf", Ecs = "ecs" });
choice!(baseline::Mode { Calibrated = "calibrated", Literal = "literal", Off = "off" });
choice!(baseline::Buckets { Active = "active", All = "all" });
choice!(Mode { Enforce = "enforce", Shadow = "shadow" });
choice!(EngineKind { Auto = "auto", Rust = "rust", Vectorscan = "vectorscan" });
choice!(Format { Human = "human", Json = "json" });
