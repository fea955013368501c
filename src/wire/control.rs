//! Records of the control topic: the SOC's orders.
//!
//! A standing order has the key `<kind>/<scope>`, so that compaction keeps the last word
//! on each and no order hides another; a command that takes effect once has the key
//! `<kind>/<uuid>`. With a control key configured, a record counts only if it is signed
//! with it: the signature covers key and value, and the value holds a counter that only
//! grows, so that an old order cannot be sent again.

mod scope;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::headers::{Headers, header};
use super::json::Writer;
use super::time::rfc3339;
use crate::audit::hex;
use crate::event::Millis;
use crate::policy::{self, Mode, Scope, Silence};
use crate::redact::Key32;

/// The header that holds the signature, hexadecimal.
pub const SIGNATURE: &str = "weir-signature";

/// What a record orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
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
    /// Names the pack that is to serve the scope.
    Pack {
        /// Whom.
        scope: Scope,
        /// SHA-256 of its files, hexadecimal; empty gives the scope back to the configuration.
        hash: String,
    },
    /// Silences alerts in the scope.
    Suppress {
        /// Whom.
        scope: Scope,
        /// What, and when.
        silence: Silence,
    },
    /// Lets calls of one tool pass where policy asks for an approval.
    Grant {
        /// Whose calls: an agent's.
        scope: Scope,
        /// Name of the tool.
        tool: String,
        /// SHA-256 of the parameters, hexadecimal, or `*` for any.
        params: String,
        /// How often.
        uses: u32,
        /// Until when.
        expires: Millis,
    },
    /// Once: forgets what was learned about the scope.
    Reset {
        /// Names the command.
        id: String,
        /// Whom.
        scope: Scope,
    },
    /// Once: takes what the scope does now as usual.
    Accept {
        /// Names the command.
        id: String,
        /// Whom.
        scope: Scope,
        /// Until when what it does is learned and not told.
        until: Option<Millis>,
    },
    /// Once: approves a hold.
    Approve {
        /// Names the command.
        id: String,
        /// Id of the hold, from its verdict.
        hold: String,
    },
}

impl Body {
    /// Every kind of record.
    pub const KINDS: [&'static str; 8] =
        ["kill", "mode", "pack", "suppress", "grant", "reset", "accept", "approve"];

    /// The first part of the key.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Mode { .. } => "mode",
            Self::Pack { .. } => "pack",
            Self::Suppress { .. } => "suppress",
            Self::Grant { .. } => "grant",
            Self::Reset { .. } => "reset",
            Self::Accept { .. } => "accept",
            Self::Approve { .. } => "approve",
        }
    }

    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        let rest = match self {
            Self::Kill { scope, .. } | Self::Mode { scope, .. } | Self::Pack { scope, .. } => {
                scope::to_key(scope)
            }
            // One scope may have orders about several signals, tools and parameters beside one another.
            Self::Suppress { scope, silence } => {
                let signal = silence.signal.as_deref().unwrap_or("*");
                let key = format!("{}/{}", scope::to_key(scope), scope::escaped(signal));
                match &silence.tool {
                    Some(tool) => format!("{key}/{}", scope::escaped(tool)),
                    None => key,
                }
            }
            Self::Grant { scope, tool, params, .. } => format!(
                "{}/{}/{}",
                scope::to_key(scope),
                scope::escaped(tool),
                scope::escaped(params)
            ),
            Self::Reset { id, .. } | Self::Accept { id, .. } | Self::Approve { id, .. } => {
                scope::escaped(id)
            }
        };
        format!("{}/{rest}", self.kind())
    }
}

/// One record of the control topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRecord {
    /// What it orders.
    pub body: Body,
    /// Who gave the order.
    pub by: String,
    /// Why, in the giver's words.
    pub reason: String,
    /// Grows with every record that is signed with the same key; milliseconds of the giver's clock will do.
    pub counter: u64,
}

impl ControlRecord {
    /// The order that decisions stand under, for kinds that are orders to `inspect`.
    #[must_use]
    pub fn order(&self, offset: i64) -> Option<policy::Order> {
        let command = match &self.body {
            Body::Kill { scope, on } => policy::Command::Kill { scope: scope.clone(), on: *on },
            Body::Mode { scope, mode } => {
                policy::Command::Mode { scope: scope.clone(), mode: *mode }
            }
            Body::Pack { scope, hash } => policy::Command::Pack {
                scope: scope.clone(),
                hash: Some(hash.clone()).filter(|hash| !hash.is_empty()),
            },
            Body::Approve { hold, .. } => policy::Command::Approve { hold: hold.clone() },
            Body::Suppress { scope, silence } => {
                policy::Command::Suppress { scope: scope.clone(), silence: silence.clone() }
            }
            Body::Reset { scope, .. } => policy::Command::Reset { scope: scope.clone() },
            Body::Accept { scope, until, .. } => {
                policy::Command::Accept { scope: scope.clone(), until: *until }
            }
            Body::Grant { scope, tool, params, uses, expires } => {
                let params = match params.as_str() {
                    "*" => None,
                    // Parameters that no call can have must not become any parameters.
                    hex => Some(unhex(hex.as_bytes()).and_then(|hash| hash.try_into().ok())?),
                };
                policy::Command::Grant(policy::Grant {
                    scope: scope.clone(),
                    tool: tool.clone(),
                    params,
                    uses: *uses,
                    expires: *expires,
                })
            }
        };
        Some(policy::Order { offset, command, by: self.by.clone(), reason: self.reason.clone() })
    }
}

/// A record of the control topic as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Record key.
    pub key: Vec<u8>,
    /// Record value.
    pub value: Vec<u8>,
    /// Record headers.
    pub headers: Headers,
}

/// A record that is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The key or value is not a control record.
    #[error("not a control record: {0}")]
    Malformed(&'static str),
    /// A newer Weir wrote it.
    #[error("a control record of an unknown version")]
    UnknownVersion,
    /// Key and value say different things.
    #[error("the record's key does not belong to its value")]
    KeyMismatch,
    /// A key is configured and the record is not signed with it.
    #[error("the record is not signed with the control key")]
    NotSigned,
    /// It was sent before, or a newer one was.
    #[error("the record's counter {counter} is not above {seen}, which was seen before")]
    OldCounter {
        /// Of the record.
        counter: u64,
        /// The highest one so far.
        seen: u64,
    },
    /// A tombstone orders nothing: an order is lifted by an order.
    #[error("the record has no value")]
    Tombstone,
}

/// Writes a record, signed if there is a key.
#[must_use]
pub fn write(record: &ControlRecord, key: Option<&Key32>) -> Written {
    let record_key = record.body.key().into_bytes();
    let value = value(record);
    let headers = key
        .map(|key| header(SIGNATURE, hex(&mac(key, &record_key, &value).finalize().into_bytes())))
        .into_iter()
        .collect();
    Written { key: record_key, value, headers }
}

fn value(record: &ControlRecord) -> Vec<u8> {
    let mut out = Writer::with_capacity(256);
    out.open().key("v").uint(1).text("kind", record.body.kind());
    match &record.body {
        Body::Kill { scope, on } => {
            scope::write(&mut out, scope);
            out.key("on").bool(*on);
        }
        Body::Mode { scope, mode } => {
            scope::write(&mut out, scope);
            out.key("mode").string_or_null(mode.map(Mode::name));
        }
        Body::Pack { scope, hash } => {
            scope::write(&mut out, scope);
            out.text("hash", hash);
        }
        Body::Suppress { scope, silence } => {
            scope::write(&mut out, scope);
            out.key("signal").string_or_null(silence.signal.as_deref());
            out.text_if("tool", silence.tool.as_deref());
            out.text_if("from", silence.from.map(rfc3339).as_deref());
            out.text("until", &rfc3339(silence.until));
        }
        Body::Grant { scope, tool, params, uses, expires } => {
            scope::write(&mut out, scope);
            out.text("tool", tool).text("params", params);
            out.key("uses").uint(u64::from(*uses)).text("expires", &rfc3339(*expires));
        }
        Body::Reset { id, scope } => {
            out.text("id", id);
            scope::write(&mut out, scope);
        }
        Body::Accept { id, scope, until } => {
            out.text("id", id);
            scope::write(&mut out, scope);
            out.text_if("until", until.map(rfc3339).as_deref());
        }
        Body::Approve { id, hold } => {
            out.text("id", id).text("hold", hold);
        }
    }
    out.text("by", &record.by).text("reason", &record.reason);
    out.key("counter").uint(record.counter).close();
    out.into_bytes()
}

/// Reads the topic in offset order, and keeps what makes an old record known as old.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    key: Option<Key32>,
    seen: Option<u64>,
}

impl Reader {
    /// A reader at the start of the topic. Without a key, unsigned records are obeyed and counters mean nothing.
    #[must_use]
    pub fn new(key: Option<Key32>) -> Self {
        Self { key, seen: None }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`ControlError`]; the record must not be obeyed, and the operator should be told.
    pub fn read(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(String, Vec<u8>)],
    ) -> Result<ControlRecord, ControlError> {
        let value = value.ok_or(ControlError::Tombstone)?;
        if let Some(control) = &self.key {
            let signed = headers
                .iter()
                .filter(|(name, _)| name == SIGNATURE)
                .filter_map(|(_, signature)| unhex(signature))
                .any(|signature| mac(control, key, value).verify_slice(&signature).is_ok());
            if !signed {
                return Err(ControlError::NotSigned);
            }
        }
        let record = parse(value)?;
        if record.body.key().as_bytes() != key {
            return Err(ControlError::KeyMismatch);
        }
        if self.key.is_some() {
            if let Some(seen) = self.seen.filter(|seen| record.counter <= *seen) {
                return Err(ControlError::OldCounter { counter: record.counter, seen });
            }
            self.seen = Some(record.counter);
        }
        Ok(record)
    }

    /// A counter that the next record may carry: above all that were read, and above `now`'s milliseconds.
    #[must_use]
    pub fn next_counter(&self, now: Millis) -> u64 {
        let clock = u64::try_from(now.0).unwrap_or(0);
        self.seen.map_or(clock, |seen| clock.max(seen.saturating_add(1)))
    }
}

/// The key's length goes first, so that no byte can move from key to value.
fn mac(control: &Key32, key: &[u8], value: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&control.0).expect("HMAC takes keys of any length");
    mac.update(&(key.len() as u64).to_be_bytes());
    mac.update(key);
    mac.update(value);
    mac
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

fn parse(value: &[u8]) -> Result<ControlRecord, ControlError> {
    let json: Value = serde_json::from_slice(value)
        .map_err(|_| ControlError::Malformed("the value is not JSON"))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let need = |name: &'static str| text(name).ok_or(ControlError::Malformed(name));
    let number = |name: &'static str| {
        json.get(name).and_then(Value::as_u64).ok_or(ControlError::Malformed(name))
    };
    let time = |name: &'static str| {
        text(name)
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .map(|time| Millis(time.as_millisecond()))
            .ok_or(ControlError::Malformed(name))
    };
    let maybe = |name: &'static str| match json.get(name) {
        None => Ok(None),
        Some(_) => time(name).map(Some),
    };
    let scope = || scope::read(json.get("scope")).ok_or(ControlError::Malformed("scope"));
    if number("v")? != 1 {
        return Err(ControlError::UnknownVersion);
    }
    let body = match need("kind")?.as_str() {
        "kill" => Body::Kill {
            scope: scope()?,
            on: json.get("on").and_then(Value::as_bool).ok_or(ControlError::Malformed("on"))?,
        },
        "mode" => Body::Mode {
            scope: scope()?,
            mode: match json.get("mode") {
                Some(Value::Null) => None,
                Some(Value::String(name)) => {
                    Some(Mode::from_name(name).ok_or(ControlError::Malformed("mode"))?)
                }
                _ => return Err(ControlError::Malformed("mode")),
            },
        },
        "pack" => Body::Pack { scope: scope()?, hash: need("hash")? },
        "suppress" => Body::Suppress {
            scope: scope()?,
            silence: Silence {
                signal: text("signal"),
                tool: text("tool"),
                from: maybe("from")?,
                until: time("until")?,
            },
        },
        "grant" => Body::Grant {
            scope: scope()?,
            tool: need("tool")?,
            params: need("params")?,
            uses: u32::try_from(number("uses")?).map_err(|_| ControlError::Malformed("uses"))?,
            expires: time("expires")?,
        },
        "reset" => Body::Reset { id: need("id")?, scope: scope()? },
        "accept" => Body::Accept { id: need("id")?, scope: scope()?, until: maybe("until")? },
        "approve" => Body::Approve { id: need("id")?, hold: need("hold")? },
        _ => return Err(ControlError::Malformed("kind")),
    };
    Ok(ControlRecord {
        body,
        by: need("by")?,
        reason: text("reason").unwrap_or_default(),
        counter: number("counter")?,
    })
}

#[cfg(test)]
mod tests;
