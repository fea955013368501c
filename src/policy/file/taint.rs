//! The part of the policy file about values across sessions, as written.

use serde_saphyr::Spanned;

use super::govern::Wrong;
use super::values::ByName;
use crate::policy::{Boundary, Taint, Tainted};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaintText {
    of: Option<Vec<ByName<Tainted>>>,
    across: Option<Vec<ByName<Boundary>>>,
    common: Option<u64>,
}

/// What the file asks, checked.
pub(super) fn build(text: Spanned<TaintText>) -> Result<Taint, Wrong> {
    let Spanned { value: TaintText { of, across, common }, referenced, .. } = text;
    let wrong = |key: &str, problem: String| {
        Err(Wrong { line: referenced.line(), key: format!("taint.{key}"), problem })
    };
    let of = of.map_or_else(
        || vec![Tainted::Secrets, Tainted::Pii],
        |names| names.into_iter().map(|name| name.0).collect(),
    );
    let across: Vec<Boundary> = across.map_or_else(
        || Boundary::ALL.to_vec(),
        |names| names.into_iter().map(|name| name.0).collect(),
    );
    if of.is_empty() {
        return wrong("of", "names nothing: leave `taint` out to remember nothing".to_owned());
    }
    if across.is_empty() {
        return wrong("across", "names no line: leave `taint` out to remember nothing".to_owned());
    }
    let common = common.unwrap_or(Taint::COMMON);
    if !(2..=Taint::COMMON_MAX).contains(&common) {
        return wrong("common", format!("must be 2 to {}", Taint::COMMON_MAX));
    }
    Ok(Taint::new(of, &across, common as usize))
}
