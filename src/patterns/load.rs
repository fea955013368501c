//! From rule files to a [`RuleSet`]: every check that needs no engine, and every error at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_saphyr::Spanned;

use super::phrase::Compiled;
use super::syntax::{self, AllowText, NearText, RuleText};
use super::{Allow, Class, Expr, Near, PatternError, Rule, RuleSet, SourceFile, Views};
use super::{lint, phrase};
use crate::digest::{Parts, hex};
use crate::event::Carrier;
use crate::finding::{Action, Confidence, Family, Severity, Source};
use crate::validate;

/// Families that rules may have; the others name what no pattern makes.
const FAMILIES: &[Family] = &[
    Family::Injection,
    Family::Secrets,
    Family::Pii,
    Family::Exfiltration,
    Family::Claims,
    Family::Urls,
    Family::Tools,
    Family::Canaries,
    Family::Lists,
];

/// Default reach of `near`, in characters.
const NEAR_BEFORE: usize = 64;
const NEAR_AFTER: usize = 32;
/// Reach beyond this would need more of the text than a stream keeps.
const NEAR_MAX: usize = 256;

/// Reads a pack. Allow entries are taken as unexpired: see [`load_at`].
///
/// # Errors
/// Every error of every file.
pub fn load(files: &[SourceFile]) -> Result<RuleSet, Vec<PatternError>> {
    load_at(files, "")
}

/// Reads a pack as of a day (`2026-11-30`): allow entries that expired before it do not hold.
///
/// # Errors
/// Every error of every file.
pub fn load_at(files: &[SourceFile], today: &str) -> Result<RuleSet, Vec<PatternError>> {
    let mut files: Vec<&SourceFile> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let lists: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| !is_rule_file(&file.path))
        .map(|file| (file.path.as_str(), file.text.as_str()))
        .collect();
    let mut errors = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    for file in files.iter().filter(|file| is_rule_file(&file.path)) {
        let read = match syntax::read(&file.text) {
            Ok(read) => read,
            Err((line, what)) => {
                errors.push(PatternError {
                    path: file.path.clone(),
                    line,
                    rule: None,
                    what,
                    help: "see the fields of a rule in docs/patterns.md".to_owned(),
                });
                continue;
            }
        };
        for text in &read.rules {
            let mut reader = Reader {
                path: &file.path,
                rule: &text.value,
                allow_of_file: &read.allow,
                today,
                lists: &lists,
                errors: &mut errors,
            };
            if let Some(rule) = reader.rule(line(text)) {
                rules.push(rule);
            }
        }
    }
    rules.sort_by(|a, b| a.source.rule.cmp(&b.source.rule));
    for pair in rules.windows(2) {
        if let [first, second] = pair
            && first.source.rule == second.source.rule
        {
            errors.push(PatternError {
                path: second.path.clone(),
                line: second.line,
                rule: Some(second.source.rule.clone()),
                what: format!("the id is taken by {}:{}", first.path, first.line),
                help: "give each rule an id of its own".to_owned(),
            });
        }
    }
    if errors.is_empty() {
        Ok(RuleSet { rules, hash: hash(&files) })
    } else {
        errors.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        Err(errors)
    }
}

fn is_rule_file(path: &str) -> bool {
    [".yml", ".yaml"].iter().any(|end| path.ends_with(end))
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

/// Lengths stand before names and texts, so that no two packs share a hash by moving bytes between files.
fn hash(files: &[&SourceFile]) -> String {
    let parts = files.iter().flat_map(|file| [&file.path, &file.text]);
    hex(&Parts::of(parts).whole())
}

/// Reads one rule and notes all that is wrong with it.
struct Reader<'a> {
    path: &'a str,
    rule: &'a RuleText,
    allow_of_file: &'a [Spanned<AllowText>],
    today: &'a str,
    lists: &'a BTreeMap<&'a str, &'a str>,
    errors: &'a mut Vec<PatternError>,
}

impl Reader<'_> {
    fn error(&mut self, line: u64, what: impl Into<String>, help: impl Into<String>) {
        self.errors.push(PatternError {
            path: self.path.to_owned(),
            line,
            rule: Some(self.rule.id.value.clone()),
            what: what.into(),
            help: help.into(),
        });
    }

    fn rule(&mut self, at: u64) -> Option<Rule> {
        let before = self.errors.len();
        let text = self.rule;
        self.check_names();
        let family = self.named("family", &text.family, FAMILIES, Family::name);
        let severity = self.named("severity", &text.severity, Severity::ALL, Severity::name);
        let confidence =
            self.named("confidence", &text.confidence, Confidence::ALL, Confidence::name);
        let action = text
            .action
            .as_ref()
            .and_then(|action| self.named("action", action, Action::ALL, Action::name));
        let (class, exprs) = self.exprs(at);
        let views = self.views(class);
        let carriers = self.carriers(family);
        let validator = self.validator();
        self.check_entropy();
        let near = text.near.as_ref().and_then(|near| self.near(near));
        let not_near = text.not_near.as_ref().and_then(|near| self.near(near));
        let entries = text.allow.iter().chain(self.allow_of_file);
        let allow = entries.filter_map(|allow| self.allow(allow)).collect();
        self.check_examples(at);
        if self.errors.len() > before {
            return None;
        }
        let name = text.name.clone().unwrap_or_else(|| text.id.value.clone());
        Some(Rule {
            source: Arc::new(Source {
                rule: text.id.value.clone(),
                family: family?,
                kind: text.kind.value.clone(),
                severity: severity?,
                message: text.message.clone().unwrap_or_else(|| name.clone()),
                action,
                tags: text.tags.clone(),
            }),
            name,
            path: self.path.to_owned(),
            line: at,
            confidence: confidence?,
            carriers,
            class,
            views,
            exprs,
            validator,
            validator_name: text.validator.as_ref().map(|name| name.value.clone()),
            entropy: text.entropy.as_ref().map(|entropy| entropy.value),
            near,
            not_near,
            allow,
            tags: text.tags.clone(),
            references: text.references.clone(),
            examples: text.examples.clone(),
            negative_examples: text.negative_examples.clone(),
        })
    }

    fn check_names(&mut self) {
        for (field, text) in [("id", &self.rule.id), ("type", &self.rule.kind)] {
            let word = |word: &str| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            if !text.value.contains('.') || !text.value.split('.').all(word) {
                self.error(
                    line(text),
                    format!("`{field}: {}` is not dotted lower-case words", text.value),
                    "write it as `secrets.github.classic`",
                );
            }
        }
    }

    fn named<T: Copy>(
        &mut self,
        field: &str,
        text: &Spanned<String>,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let found = all.iter().copied().find(|&value| name(value) == text.value);
        if found.is_none() {
            let names = all.iter().map(|&value| name(value)).collect::<Vec<_>>().join(", ");
            self.error(
                line(text),
                format!("`{field}: {}` is unknown", text.value),
                format!("write one of {names}"),
            );
        }
        found
    }

    fn exprs(&mut self, at: u64) -> (Class, Vec<Expr>) {
        let text = self.rule;
        if text.regex.is_none() {
            for (field, given) in
                [("group", text.group.as_ref()), ("max_len", text.max_len.as_ref())]
            {
                if let Some(given) = given {
                    self.error(
                        line(given),
                        format!("`{field}` belongs to `regex`"),
                        "leave it out: a phrase knows its own width",
                    );
                }
            }
        }
        match (&text.phrase, &text.words, &text.regex) {
            (Some(phrases), None, None) => (Class::Phrase, self.phrases(at, phrases.as_slice())),
            (None, Some(list), None) => {
                let Some(terms) = self.list(line(list), &list.value) else {
                    return (Class::Phrase, Vec::new());
                };
                (Class::Phrase, self.compiled(line(list), phrase::compile_list(&terms)))
            }
            (None, None, Some(regex)) => {
                let group = text.group.as_ref().map_or(0, |group| group.value);
                let max_len = text.max_len.as_ref().map(|len| len.value);
                match lint::shape(&regex.value, group, max_len) {
                    Ok(expr) => (Class::Shape, vec![expr]),
                    Err(lints) => {
                        for (what, help) in lints {
                            self.error(line(regex), what, help);
                        }
                        (Class::Shape, Vec::new())
                    }
                }
            }
            _ => {
                self.error(
                    at,
                    "a rule needs exactly one of `phrase`, `words` and `regex`",
                    "give one, and make another rule for the rest",
                );
                (Class::Phrase, Vec::new())
            }
        }
    }

    fn phrases(&mut self, at: u64, phrases: &[String]) -> Vec<Expr> {
        if phrases.is_empty() {
            self.error(at, "`phrase` is an empty list", "give at least one phrase");
        }
        let mut out = Vec::new();
        for text in phrases {
            let compiled = phrase::compile(text)
                .map_err(|(what, help)| (format!("phrase `{text}`: {what}"), help));
            out.extend(self.compiled(at, compiled));
        }
        out
    }

    fn compiled(&mut self, at: u64, compiled: Result<Vec<Compiled>, lint::Lint>) -> Vec<Expr> {
        let exprs = compiled.and_then(|all| all.into_iter().map(lint::phrase).collect());
        match exprs {
            Ok(exprs) => exprs,
            Err((what, help)) => {
                self.error(at, what, help);
                Vec::new()
            }
        }
    }

    /// The terms of a list file, named by its path or by its name under `lists/`.
    fn list(&mut self, at: u64, name: &str) -> Option<Vec<String>> {
        let text =
            self.lists.get(name).or_else(|| self.lists.get(format!("lists/{name}").as_str()));
        let terms = text.map(|text| phrase::list_terms(text));
        match terms {
            None => {
                let known = self.lists.keys().copied().collect::<Vec<_>>().join(", ");
                self.error(
                    at,
                    format!("there is no list `{name}`"),
                    format!("put it under patterns/lists; the pack has: {known}"),
                );
                None
            }
            Some(terms) if terms.is_empty() => {
                self.error(at, format!("the list `{name}` is empty"), "give it a term");
                None
            }
            Some(terms) => Some(terms),
        }
    }

    fn views(&mut self, class: Class) -> Views {
        let Some(names) = &self.rule.views else {
            return match class {
                Class::Shape => Views { raw: true, clean: true, folded: false, decoded: true },
                Class::Phrase => Views { raw: false, clean: false, folded: true, decoded: true },
            };
        };
        let mut views = Views::default();
        for name in names {
            match name.value.as_str() {
                "raw" => views.raw = true,
                "clean" => views.clean = true,
                "folded" => views.folded = true,
                "decoded" => views.decoded = true,
                _ => self.error(
                    line(name),
                    format!("there is no view `{}`", name.value),
                    "write raw, clean, folded or decoded",
                ),
            }
        }
        if names.is_empty() {
            self.error(line(&self.rule.id), "`views` is empty", "leave it out, or name a view");
        }
        views
    }

    fn carriers(&mut self, family: Option<Family>) -> Vec<Carrier> {
        let Some(names) = &self.rule.on else {
            let skips_system = family == Some(Family::Injection);
            return Carrier::ALL
                .into_iter()
                .filter(|&carrier| !(skips_system && carrier == Carrier::System))
                .collect();
        };
        let mut carriers: Vec<Carrier> = names
            .iter()
            .filter_map(|name| self.named("on", name, &Carrier::ALL, Carrier::name))
            .collect();
        carriers.sort();
        carriers.dedup();
        if names.is_empty() {
            self.error(line(&self.rule.id), "`on` is empty", "leave it out, or name a carrier");
        }
        carriers
    }

    fn validator(&mut self) -> Option<validate::Validator> {
        let name = self.rule.validator.as_ref()?;
        let found = validate::by_name(&name.value);
        if found.is_none() {
            self.error(
                line(name),
                format!("there is no validator `{}`", name.value),
                "see the table in src/validate, or add one there",
            );
        }
        found
    }

    fn check_entropy(&mut self) {
        if let Some(entropy) = &self.rule.entropy
            && !(0.0..=8.0).contains(&entropy.value)
        {
            self.error(
                line(entropy),
                format!("`entropy: {}` is no number of bits a byte", entropy.value),
                "give 0 to 8; random base64 of 40 characters has about 4.9",
            );
        }
    }

    fn near(&mut self, near: &Spanned<NearText>) -> Option<Near> {
        let at = line(near);
        let near = &near.value;
        let mut words = near.words.clone();
        if let Some(list) = &near.list {
            words.extend(self.list(at, list)?);
        }
        let reach = (near.before.unwrap_or(NEAR_BEFORE), near.after.unwrap_or(NEAR_AFTER));
        if words.is_empty() {
            self.error(at, "no words are given", "give `words` or `list`");
            return None;
        }
        if reach.0 > NEAR_MAX || reach.1 > NEAR_MAX {
            self.error(
                at,
                "the words are looked for too far away",
                format!("keep `before` and `after` to {NEAR_MAX} characters"),
            );
            return None;
        }
        match phrase::compile_any(&words) {
            Ok(regex) => Some(Near { regex, before: reach.0, after: reach.1, need: near.need }),
            Err((what, help)) => {
                self.error(at, what, help);
                None
            }
        }
    }

    fn allow(&mut self, allow: &Spanned<AllowText>) -> Option<Allow> {
        let at = line(allow);
        let AllowText { value, reason, expires } = &allow.value;
        if reason.trim().is_empty() {
            self.error(at, "an allow entry has no reason", "say why the value is harmless");
        }
        if let Err((what, help)) = lint::parse(value) {
            self.error(at, what, help);
            return None;
        }
        if let Some(day) = expires {
            if !is_day(day) {
                self.error(at, format!("`expires: {day}` is no day"), "write it as 2026-12-31");
            } else if !self.today.is_empty() && day.as_str() < self.today {
                return None;
            }
        }
        Some(Allow { regex: format!("(?:{value})"), reason: reason.clone() })
    }

    fn check_examples(&mut self, at: u64) {
        for (field, examples) in
            [("examples", &self.rule.examples), ("negative_examples", &self.rule.negative_examples)]
        {
            if examples.is_empty() {
                self.error(
                    at,
                    format!("the rule has no `{field}`"),
                    "give at least one; they are the rule's tests",
                );
            }
            for example in examples {
                if let Err(what) = super::generate::check(example) {
                    self.error(at, what, "see the generators in docs/patterns.md");
                }
            }
        }
    }
}

fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
