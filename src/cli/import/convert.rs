//! From a foreign rule to Weir's: what each field becomes, and what becomes of the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::examples::proposals;
use super::filter::{self, Filter};
use super::go::{Ends, translate};
use super::shape::{Keywords, Shape, ends_are_exact, keywords, shapes};
use super::source::{AllowList, Foreign, ForeignRule};

/// Reach of a keyword that an expression does not hold itself, in characters: as far as a
/// rule may look.
const KEYWORD_REACH: usize = 256;
/// Stopwords in one allow entry.
const STOPWORDS: usize = 100;

/// A rule of the pack that is made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The foreign rule's id.
    pub(super) of: String,
    /// The id here, and the type.
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) confidence: &'static str,
    pub(super) shape: Shape,
    pub(super) entropy: Option<f64>,
    /// Keywords that must stand near.
    pub(super) near: Vec<String>,
    pub(super) reach: usize,
    pub(super) allow: Vec<Allowed>,
    pub(super) tags: Vec<String>,
    /// How it differs from the foreign rule.
    pub(super) notes: Vec<String>,
    /// Texts that it may find; the first that it does find becomes its example.
    pub(super) proposals: Vec<String>,
    pub(super) example: String,
    pub(super) near_miss: String,
}

/// A value to pass over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) value: String,
    pub(super) reason: String,
}

/// What an import comes to.
#[derive(Debug, Default)]
pub(super) struct Converted {
    pub(super) rules: Vec<Made>,
    /// Foreign rules with the reason why they are left out.
    pub(super) left_out: Vec<(String, String)>,
    /// What says nothing about texts, with the rules that have it.
    pub(super) unused: BTreeMap<String, Vec<String>>,
    /// What concerns the file as a whole.
    pub(super) remarks: Vec<String>,
}

/// Converts all rules of a file; `space` is what their ids begin with.
pub(super) fn convert(foreign: &Foreign, space: &str, into: &mut Converted) {
    let known: BTreeSet<&str> = foreign.rules.iter().map(|rule| rule.id.as_str()).collect();
    for name in &foreign.unused {
        into.remarks.push(format!("`{name}` of the file as a whole: {}", why_unused(name)));
    }
    let filters: Vec<Filter> = foreign.filters.iter().map(|text| filter::read(text)).collect();
    for unread in filters.iter().flat_map(|filter| &filter.unread) {
        into.remarks.push(format!("the filter of all rules has a part that is not read: {unread}"));
    }
    let mut global = Lists::default();
    for list in foreign.allow.iter().filter(|list| list.rules.is_empty()) {
        global.add(list);
    }
    for note in std::mem::take(&mut global.notes) {
        into.remarks.push(format!("the allow list of all rules: {note}"));
    }
    for list in &foreign.allow {
        for id in list.rules.iter().filter(|id| !known.contains(id.as_str())) {
            into.remarks.push(format!("an allow list is for rule `{id}`, which is not there"));
        }
    }
    for rule in &foreign.rules {
        for name in &rule.unused {
            into.unused.entry(name.clone()).or_default().push(rule.id.clone());
        }
        match one(rule, foreign, &global, &filters, space) {
            Ok(made) => into.rules.extend(made),
            Err(reason) => into.left_out.push((rule.id.clone(), reason)),
        }
    }
    let mut taken = BTreeSet::new();
    for made in &mut into.rules {
        let (id, mut number) = (made.id.clone(), 1);
        while !taken.insert(made.id.clone()) {
            number += 1;
            made.id = format!("{id}_{number}");
        }
    }
}

/// Why a field is of no use here.
pub(super) fn why_unused(name: &str) -> &'static str {
    match name {
        "validate" => "Weir asks no vendor whether a secret is live",
        "analyze" => "Weir asks no vendor what a secret may do",
        "revoke" => "Weir revokes nothing",
        "prefilter" => "it goes by files and commits, which a text does not have",
        _ => "not known to this import",
    }
}

fn one(
    rule: &ForeignRule,
    foreign: &Foreign,
    global: &Lists,
    filters: &[Filter],
    space: &str,
) -> Result<Vec<Made>, String> {
    let Some(regex) = &rule.regex else {
        return Err(match rule.path {
            Some(_) => "it looks at names of files only, and a text has none".to_owned(),
            None => "it has no expression".to_owned(),
        });
    };
    if rule.skip_report {
        return Err("it is reported only as a part of another rule (`skipReport`)".to_owned());
    }
    let translated = translate(regex, Ends::OfLine)?;
    let shapes = shapes(&translated.regex, rule.secret_group)?;
    let mut notes = Vec::new();
    let mut confidence = "medium";
    if rule.path.is_some() {
        notes.push(
            "it was for certain files (`path`), and reads all texts here: confidence low"
                .to_owned(),
        );
        confidence = "low";
    }
    if !rule.required.is_empty() {
        notes.push(format!(
            "it was reported only near a finding of {}, and is on its own here: confidence low",
            rule.required.join(", ")
        ));
        confidence = "low";
    }
    let mut allow = Lists::default();
    for list in &rule.allow {
        allow.add(list);
    }
    for list in foreign.allow.iter().filter(|list| list.rules.contains(&rule.id)) {
        allow.add(list);
    }
    let mut entropy = rule.entropy;
    let own = rule.filter.as_deref().map(filter::read);
    for filter in own.iter().chain(filters) {
        allow.filter(filter);
        entropy = match (entropy, filter.entropy) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
    for unread in own.iter().flat_map(|filter| &filter.unread) {
        allow.notes.push(format!("a part of its filter is not read: {unread}"));
    }
    if rule.token_efficiency {
        allow.notes.push("`tokenEfficiency` is not read".to_owned());
    }
    notes.append(&mut allow.notes);
    allow.entries.extend(global.entries.iter().cloned());
    if shapes.len() > 1 {
        notes.push(format!(
            "its secret stands in a group of each branch: {} rules were made of it",
            shapes.len()
        ));
    }
    let id = format!("{space}.{}", word(&rule.id));
    Ok(shapes
        .into_iter()
        .map(|shape| {
            let mut notes = notes.clone();
            notes.extend(shape.notes.iter().cloned());
            if translated.widened && !ends_are_exact(&shape.hir) {
                notes.push("an end of the text is read as the end of a line".to_owned());
            }
            let mut near = Vec::new();
            match keywords(&shape.hir, &rule.keywords) {
                _ if rule.keywords.is_empty() => {}
                Keywords::Implied => {}
                Keywords::Possible => notes.push(
                    "its keywords are not asked for, because its matches may hold them".to_owned(),
                ),
                Keywords::Elsewhere => {
                    near = near_words(&rule.keywords);
                    notes.push(format!(
                        "its keywords are not in the expression: one must stand within {KEYWORD_REACH} characters, where it was anywhere in the file"
                    ));
                }
            }
            let proposals = proposals(&shape.hir)
                .into_iter()
                .map(|text| match rule.keywords.first() {
                    Some(keyword) if !near.is_empty() => format!("{keyword} {text}"),
                    _ => text,
                })
                .collect();
            Made {
                of: rule.id.clone(),
                id: id.clone(),
                kind: format!("secret.{}", word(&rule.id)),
                name: name(rule),
                confidence,
                shape,
                entropy: entropy.map(|bits| bits.clamp(0.0, 8.0)),
                near,
                reach: KEYWORD_REACH,
                allow: allow.entries.clone(),
                tags: rule.tags.clone(),
                notes,
                proposals,
                example: String::new(),
                near_miss: String::new(),
            }
        })
        .collect())
}

/// A part of an id: small letters, digits and `_`.
pub(super) fn word(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    if out.is_empty() { "rule".to_owned() } else { out.to_owned() }
}

fn name(rule: &ForeignRule) -> String {
    let text = rule.description.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.');
    if text.is_empty() { rule.id.clone() } else { text.to_owned() }
}

/// Keywords as words to stand near: they were parts of words, so the rest of a word may
/// follow.
fn near_words(keywords: &[String]) -> Vec<String> {
    let mut words: Vec<String> = keywords
        .iter()
        .map(|keyword| {
            let plain = keyword.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
            if plain { format!("{keyword}*") } else { format!("\"{keyword}\"") }
        })
        .filter(|word| word.matches('"').count() % 2 == 0)
        .collect();
    words.sort();
    words.dedup();
    words
}

/// Allow lists on their way to allow entries.
#[derive(Clone, Debug, Default)]
struct Lists {
    entries: Vec<Allowed>,
    notes: Vec<String>,
}

impl Lists {
    fn add(&mut self, list: &AllowList) {
        let reason = match list.description.trim() {
            "" => "allow list of the imported file",
            description => description,
        };
        let others = list.commits || list.paths;
        let both = !list.regexes.is_empty() && !list.stopwords.is_empty();
        if list.all && (others || both) {
            self.notes.push(if others {
                "an allow list asks for a file or commit as well, and is left out".to_owned()
            } else {
                "an allow list asks for expressions and stopwords at once, and is left out"
                    .to_owned()
            });
            return;
        }
        if list.target.is_empty() {
            self.regexes(&list.regexes, reason);
        } else if !list.regexes.is_empty() {
            self.notes.push(format!(
                "{} allowed where they are in the {}, not the secret: left out",
                plural(list.regexes.len(), "expression"),
                if list.target == "line" { "line" } else { "whole match" }
            ));
        }
        self.stopwords(&list.stopwords, reason);
    }

    fn filter(&mut self, filter: &Filter) {
        self.regexes(&filter.regexes, "filter of the imported file");
        self.stopwords(&filter.words, "filter of the imported file");
    }

    /// Expressions that were looked for anywhere in the secret; here they are held against
    /// the whole of it.
    fn regexes(&mut self, regexes: &[String], reason: &str) {
        let mut all = Vec::new();
        for regex in regexes {
            let read = translate(regex, Ends::OfText).and_then(|translated| {
                crate::patterns::parse_shape(&translated.regex).map_err(|(what, _)| what)?;
                Ok(translated.regex)
            });
            match read {
                Ok(regex) => all.push(format!("(?:{regex})")),
                Err(what) => {
                    self.notes.push(format!("an allowed expression is left out, because {what}"));
                }
            }
        }
        if !all.is_empty() {
            self.entry(&all.join("|"), reason);
        }
    }

    fn stopwords(&mut self, words: &[String], reason: &str) {
        for words in words.chunks(STOPWORDS) {
            let words: Vec<String> = words.iter().map(|word| regex_syntax::escape(word)).collect();
            self.entry(&format!("(?i:{})", words.join("|")), reason);
        }
    }

    fn entry(&mut self, inside: &str, reason: &str) {
        let value = format!("(?s:.*)(?:{inside})(?s:.*)");
        self.entries.push(Allowed { value, reason: reason.to_owned() });
    }
}

pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
