//! The YAML of rule files: field names, and nothing of what they mean.
//!
//! Unknown fields are errors, so that a misspelt `negative_exmaples` is told and not
//! passed over. `load` turns what is read here into rules.

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A rule file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The rules, in any order.
    pub rules: Vec<Spanned<RuleText>>,
    /// Values that all rules of the file pass over.
    #[serde(default)]
    pub allow: Vec<Spanned<AllowText>>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Dotted, unique over the pack.
    pub id: Spanned<String>,
    /// One line for people.
    pub name: Option<String>,
    /// One of the rule families.
    pub family: Spanned<String>,
    /// Dotted type of what is found.
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
    /// What a hit would cost.
    pub severity: Spanned<String>,
    /// How sure a hit is before context.
    pub confidence: Spanned<String>,
    /// Carriers; left out: all (injection: all but system).
    pub on: Option<Vec<Spanned<String>>>,
    /// Views; left out: raw and clean for shapes, folded for phrases and words.
    pub views: Option<Vec<Spanned<String>>>,
    /// For people: see `phrase`.
    pub phrase: Option<OneOrMore>,
    /// A list file.
    pub words: Option<Spanned<String>>,
    /// For experts.
    pub regex: Option<Spanned<String>>,
    /// The capture group that is the finding.
    pub group: Option<Spanned<usize>>,
    /// Longest match in bytes; needed where the expression alone sets no limit.
    pub max_len: Option<Spanned<usize>>,
    /// Words that the rule wants around a hit.
    pub near: Option<Spanned<NearText>>,
    /// Words that speak against a hit.
    pub not_near: Option<Spanned<NearText>>,
    /// Name of a checksum.
    pub validator: Option<Spanned<String>>,
    /// Least entropy in bits a byte.
    pub entropy: Option<Spanned<f64>>,
    /// Values to pass over.
    #[serde(default)]
    pub allow: Vec<Spanned<AllowText>>,
    /// Default action.
    pub action: Option<Spanned<String>>,
    /// OWASP LLM, ATLAS, CWE.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where the facts come from.
    #[serde(default)]
    pub references: Vec<String>,
    /// Texts that the rule finds.
    #[serde(default)]
    pub examples: Vec<String>,
    /// Texts that it does not find.
    #[serde(default)]
    pub negative_examples: Vec<String>,
    /// One sentence for the reader of the verdict.
    pub message: Option<String>,
}

/// One phrase or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// A single phrase.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    /// The phrases.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(phrase) => std::slice::from_ref(phrase),
            Self::More(phrases) => phrases,
        }
    }
}

/// `near` and `not_near`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearText {
    /// Words or phrases.
    #[serde(default)]
    pub words: Vec<String>,
    /// A list file.
    pub list: Option<String>,
    /// Characters before the hit; 64 where left out.
    pub before: Option<usize>,
    /// Characters behind the hit; 32 where left out.
    pub after: Option<usize>,
    /// Whether context decides alone.
    #[serde(default)]
    pub need: bool,
}

/// A value that a rule must not report.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowText {
    /// An expression over the whole value.
    pub value: String,
    /// Why.
    pub reason: String,
    /// Last day on which the entry holds, `2026-12-31`.
    pub expires: Option<String>,
}

/// Reads a rule file.
///
/// # Errors
/// The line (0 where unknown) and what is wrong.
pub fn read(text: &str) -> Result<File, (u64, String)> {
    serde_saphyr::from_str::<File>(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.to_string();
        // The reader prints the place before the message and a picture of it behind.
        let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let what = match first.split_once(": ") {
            Some((place, what)) if place.contains("line ") => what,
            _ => first,
        };
        (line, what.to_owned())
    })
}
