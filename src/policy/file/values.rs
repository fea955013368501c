//! Values that are written by name, or as one or many, with errors that say what is allowed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::govern::Agents;
use crate::event::Kind;
use crate::finding::{Action, Confidence, Family, Severity};
use crate::policy::nearest::suggestion;
use crate::policy::sql::Dialect;
use crate::policy::{
    Access, Boundary, Count, Halt, Mode, OnFailure, Operator, Origin, Per, Tainted,
};

/// A value that is written by its name.
pub(super) trait Named: Sized + Copy + 'static {
    const WHAT: &'static str;
    const VALUES: &'static [Self];
    fn name(self) -> &'static str;
}

macro_rules! named {
    ($($type:ty, $what:literal, $values:expr;)+) => {
        $(impl Named for $type {
            const WHAT: &'static str = $what;
            const VALUES: &'static [Self] = $values;
            fn name(self) -> &'static str { self.name() }
        })+
    };
}

named! {
    Action, "action", Self::ALL;
    Family, "family", Self::ALL;
    Kind, "kind", &Self::ALL;
    Mode, "mode", Self::ALL;
    Operator, "operator", Self::ALL;
    OnFailure, "failure policy", Self::ALL;
    Severity, "severity", Self::ALL;
    Confidence, "confidence", Self::ALL;
    Access, "access", Self::ALL;
    Count, "unit of a quota", Self::ALL;
    Per, "span of a quota", Self::ALL;
    Dialect, "SQL dialect", Self::ALL;
    Halt, "extent of a halt", Self::ALL;
    Origin, "origin", Self::ALL;
    Agents, "choice of agents", Self::ALL;
    Boundary, "line between sessions", Self::ALL;
    Tainted, "class of values", Self::ALL;
}

pub(super) struct ByName<T>(pub(super) T, PhantomData<T>);

impl<T: Named> ByName<T> {
    /// The value of that name, or an error that says what there is.
    pub(super) fn named<E: Error>(name: &str) -> Result<Self, E> {
        let found = T::VALUES.iter().copied().find(|value| value.name() == name);
        found.map(|value| Self(value, PhantomData)).ok_or_else(|| {
            let allowed: Vec<&str> = T::VALUES.iter().map(|value| value.name()).collect();
            E::custom(format!(
                "unknown {} `{name}`, expected one of {}{}",
                T::WHAT,
                allowed.join(", "),
                suggestion(name, allowed.iter().copied())
            ))
        })
    }
}

impl<'de, T: Named> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(from)?)
    }
}

pub(super) fn value<T: Named>(named: Option<ByName<T>>) -> Option<T> {
    named.map(|named| named.0)
}

/// Texts that may be written as one.
#[derive(Debug, Default)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![text.to_owned()])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some(text) = list.next_element()? {
                    out.push(text);
                }
                Ok(out)
            }
        }
        from.deserialize_any(Either).map(Self)
    }
}
