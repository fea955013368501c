//! Rules as data teams write them, read into a [`RuleSet`].
//!
//! [`load`] takes files as values and gives either a whole pack or every error in it, each
//! with its file, line and rule. What YAML looks like is [`syntax`]'s business, how a
//! phrase becomes an expression is [`phrase`]'s, and matching is left to `engine` and
//! `detect`. Nothing here reads a file or a clock: expiry of allow entries is judged by a
//! date that the caller passes.

mod builtin;
pub mod generate;
mod lint;
mod load;
pub mod phrase;
pub mod syntax;

use std::sync::Arc;

use crate::event::Carrier;
use crate::finding::{Confidence, Source};
use crate::validate::Validator;

pub use builtin::builtin;
pub(crate) use lint::{begins_firmly, parse as parse_shape, shape as check_shape};
pub use load::{load, load_at};

/// A rule file or a word list, named by its path inside the pattern folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Such as `secrets/github.yml` or `lists/weapons.txt`, with `/` on every system.
    pub path: String,
    /// The file's text.
    pub text: String,
}

/// What is wrong in a rule file, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {}{what}; {help}", .rule.as_deref().map(|id| format!("rule `{id}`: ")).unwrap_or_default())]
pub struct PatternError {
    /// The file.
    pub path: String,
    /// Counted from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// The rule's id, where it is known.
    pub rule: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// How a rule's text is matched, and in which readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A shape: raw and clean views, case as the expression says.
    Shape,
    /// A phrase or a word list: folded view (for ASCII text: caseless on raw).
    Phrase,
}

/// Readings that a rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a view")]
pub struct Views {
    /// The text as it is.
    pub raw: bool,
    /// Invisible characters stripped, NFKC, look-alikes.
    pub clean: bool,
    /// Case, accents and disguises folded.
    pub folded: bool,
    /// The same of what is encoded or hidden in the text.
    pub decoded: bool,
}

/// One expression of a rule; a rule's matches are those of all its expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// In the `regex` crate's syntax, bytes, Unicode off.
    pub regex: String,
    /// No match is longer than this many bytes of its view.
    pub max_len: usize,
    /// The capture group that is the finding; 0 is the whole match.
    pub group: usize,
}

/// Words that make a hit likelier or less likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// Any of the words, as an expression over folded text.
    pub regex: String,
    /// Characters of folded text before the hit.
    pub before: usize,
    /// Characters of folded text behind the hit.
    pub after: usize,
    /// Whether a hit is dropped (`near`: without such a word; `not_near`: with one) rather than moved one step.
    pub need: bool,
}

/// A value that a rule must not report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// An expression over the whole value.
    pub regex: String,
    /// Why; shown by `explain`.
    pub reason: String,
}

/// One rule, checked and ready to compile.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Identity that its findings carry.
    pub source: Arc<Source>,
    /// One line for people.
    pub name: String,
    /// File that holds it.
    pub path: String,
    /// Line of the rule in its file.
    pub line: u64,
    /// Confidence before validators and context.
    pub confidence: Confidence,
    /// Who must be speaking.
    pub carriers: Vec<Carrier>,
    /// Shape or phrase.
    pub class: Class,
    /// Readings.
    pub views: Views,
    /// What is matched.
    pub exprs: Vec<Expr>,
    /// Checksum.
    pub validator: Option<Validator>,
    /// The checksum's name.
    pub validator_name: Option<String>,
    /// Least Shannon entropy of the value, in bits a byte.
    pub entropy: Option<f64>,
    /// Context that the rule wants.
    pub near: Option<Near>,
    /// Context that speaks against the rule.
    pub not_near: Option<Near>,
    /// Values that it passes over; expired entries are left out.
    pub allow: Vec<Allow>,
    /// Names in OWASP LLM, ATLAS, CWE.
    pub tags: Vec<String>,
    /// Where the facts come from.
    pub references: Vec<String>,
    /// Texts that the rule finds, generators not yet expanded.
    pub examples: Vec<String>,
    /// Texts that it does not find at medium confidence or above, generators not yet expanded.
    pub negative_examples: Vec<String>,
}

/// A pack: immutable, named by the hash of its files.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules in id order.
    pub rules: Vec<Rule>,
    /// SHA-256 of file names and texts, hexadecimal.
    pub hash: String,
}
