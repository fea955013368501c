//! Rule files of gitleaks and betterleaks: what their fields are, and how one extends another.
//!
//! Names of fields are read without regard to case, as those programs read them. A field
//! that is not known here is kept by name, so that it can be told and is not passed over.

use toml::{Table, Value};

/// One file, or several that extend each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    pub(super) rules: Vec<ForeignRule>,
    /// Allow lists of all rules.
    pub(super) allow: Vec<AllowList>,
    /// What is discarded, whatever the rule: expressions of betterleaks.
    pub(super) filters: Vec<String>,
    pub(super) extend: Extend,
    /// Fields of the file as a whole that say nothing here.
    pub(super) unused: Vec<String>,
}

/// `[extend]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Extend {
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
    pub(super) use_default: bool,
    pub(super) disabled: Vec<String>,
}

/// `[[rules]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignRule {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) regex: Option<String>,
    pub(super) path: Option<String>,
    pub(super) secret_group: usize,
    pub(super) entropy: Option<f64>,
    pub(super) keywords: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) allow: Vec<AllowList>,
    pub(super) filter: Option<String>,
    pub(super) token_efficiency: bool,
    pub(super) skip_report: bool,
    /// Rules that must find something near.
    pub(super) required: Vec<String>,
    /// Fields that say nothing here.
    pub(super) unused: Vec<String>,
}

/// `[allowlist]` and `[[allowlists]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowList {
    pub(super) description: String,
    /// Whether all its conditions must hold, not any.
    pub(super) all: bool,
    pub(super) commits: bool,
    pub(super) paths: bool,
    /// `match` or `line`; empty for the secret.
    pub(super) target: String,
    pub(super) regexes: Vec<String>,
    pub(super) stopwords: Vec<String>,
    /// Rules that it is for; empty for all.
    pub(super) rules: Vec<String>,
}

/// Reads a file.
///
/// # Errors
/// Line, or rule, and what is wrong.
pub(super) fn read(text: &str) -> Result<Foreign, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.lines().count().max(1), error.message())
    })?;
    let mut foreign = Foreign::default();
    for (name, value) in lower(table) {
        match name.as_str() {
            "title" | "description" | "minversion" | "betterleaksminversion" => {}
            "rules" => {
                for (at, rule) in tables(&name, value)?.into_iter().enumerate() {
                    foreign.rules.push(rule_of(rule, at)?);
                }
            }
            "allowlist" | "allowlists" => {
                for list in tables(&name, value)? {
                    foreign.allow.push(allow_list(list)?);
                }
            }
            "filter" => foreign.filters.push(text_of(&name, value)?),
            "extend" => foreign.extend = extend(value)?,
            _ => foreign.unused.push(name),
        }
    }
    Ok(foreign)
}

fn rule_of(table: Table, at: usize) -> Result<ForeignRule, String> {
    let mut rule = ForeignRule::default();
    let mut set = |name: String, value: Value| -> Result<(), String> {
        match name.as_str() {
            "id" => rule.id = text_of(&name, value)?,
            "description" => rule.description = text_of(&name, value)?,
            "regex" => rule.regex = Some(text_of(&name, value)?).filter(|text| !text.is_empty()),
            "path" => rule.path = Some(text_of(&name, value)?).filter(|text| !text.is_empty()),
            "secretgroup" => {
                let group = value.as_integer().and_then(|group| usize::try_from(group).ok());
                rule.secret_group = group.ok_or("`secretGroup` is no number of a group")?;
            }
            "entropy" => {
                let number = match value {
                    Value::Integer(number) => Some(number as f64),
                    value => value.as_float(),
                };
                let number = number.ok_or("`entropy` is no number")?;
                rule.entropy = (number > 0.0).then_some(number);
            }
            "keywords" => rule.keywords = texts(&name, value)?,
            "tags" => rule.tags = texts(&name, value)?,
            "allowlist" | "allowlists" => {
                for list in tables(&name, value)? {
                    rule.allow.push(allow_list(list)?);
                }
            }
            "filter" => rule.filter = Some(text_of(&name, value)?),
            "tokenefficiency" => rule.token_efficiency = value.as_bool().unwrap_or_default(),
            "skipreport" => rule.skip_report = value.as_bool().unwrap_or_default(),
            "required" | "components" => {
                for mut other in tables(&name, value)? {
                    let id = other.remove("id").map(|id| text_of("id", id)).transpose()?;
                    rule.required.extend(id);
                }
            }
            _ => rule.unused.push(name),
        }
        Ok(())
    };
    let named = table.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, value) in table {
        set(name, value).map_err(|what| format!("rule {} `{named}`: {what}", at + 1))?;
    }
    if rule.id.is_empty() {
        return Err(format!("rule {} has no `id`", at + 1));
    }
    Ok(rule)
}

fn allow_list(table: Table) -> Result<AllowList, String> {
    let mut list = AllowList::default();
    for (name, value) in table {
        match name.as_str() {
            "description" => list.description = text_of(&name, value)?,
            "condition" => {
                let condition = text_of(&name, value)?;
                list.all = matches!(condition.to_ascii_lowercase().as_str(), "and" | "&&");
            }
            "commits" => list.commits = !texts(&name, value)?.is_empty(),
            "paths" | "resources" => list.paths |= !texts(&name, value)?.is_empty(),
            "regextarget" => {
                list.target = text_of(&name, value)?.to_ascii_lowercase();
                if list.target == "secret" {
                    list.target.clear();
                }
            }
            // The expressions of an old kind of list stood in tables.
            "regexes" => list.regexes = texts(&name, value)?,
            "stopwords" => list.stopwords = texts(&name, value)?,
            "targetrules" => list.rules = texts(&name, value)?,
            _ => {}
        }
    }
    Ok(list)
}

fn extend(value: Value) -> Result<Extend, String> {
    let mut extend = Extend::default();
    for (name, value) in tables("extend", value)?.into_iter().flatten() {
        match name.as_str() {
            "path" => extend.path = Some(text_of(&name, value)?).filter(|path| !path.is_empty()),
            "url" => extend.url = Some(text_of(&name, value)?).filter(|url| !url.is_empty()),
            "usedefault" => extend.use_default = value.as_bool().unwrap_or_default(),
            "disabledrules" => extend.disabled = texts(&name, value)?,
            _ => {}
        }
    }
    Ok(extend)
}

impl Foreign {
    /// Puts this file on top of the one that it extends.
    ///
    /// A rule of the same id keeps what this one does not say, and lists are joined, as
    /// gitleaks does it.
    pub(super) fn over(mut self, base: Foreign) -> Foreign {
        let mut rules: Vec<ForeignRule> = base
            .rules
            .into_iter()
            .filter(|rule| !self.extend.disabled.contains(&rule.id))
            .collect();
        for rule in self.rules {
            match rules.iter_mut().find(|other| other.id == rule.id) {
                Some(other) => other.amend(rule),
                None => rules.push(rule),
            }
        }
        let mut allow = base.allow;
        allow.append(&mut self.allow);
        let mut filters = base.filters;
        filters.append(&mut self.filters);
        let mut unused = base.unused;
        unused.append(&mut self.unused);
        Foreign { rules, allow, filters, extend: Extend::default(), unused }
    }
}

impl ForeignRule {
    fn amend(&mut self, other: ForeignRule) {
        if !other.description.is_empty() {
            self.description = other.description;
        }
        if other.secret_group > 0 {
            self.secret_group = other.secret_group;
        }
        self.regex = other.regex.or(self.regex.take());
        self.path = other.path.or(self.path.take());
        self.entropy = other.entropy.or(self.entropy);
        self.filter = other.filter.or(self.filter.take());
        self.token_efficiency |= other.token_efficiency;
        self.skip_report |= other.skip_report;
        self.keywords.extend(other.keywords);
        self.tags.extend(other.tags);
        self.allow.extend(other.allow);
        self.required.extend(other.required);
        self.unused.extend(other.unused);
    }
}

/// The table with all its names in small letters, and those of tables in it.
fn lower(table: Table) -> Table {
    table.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), lower_value(value))).collect()
}

fn lower_value(value: Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(lower(table)),
        Value::Array(all) => Value::Array(all.into_iter().map(lower_value).collect()),
        value => value,
    }
}

fn text_of(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(format!("`{name}` is no text")),
    }
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(all) => all.into_iter().map(|text| text_of(name, text)).collect(),
        _ => Err(format!("`{name}` is no list of texts")),
    }
}

/// One table or several.
fn tables(name: &str, value: Value) -> Result<Vec<Table>, String> {
    let table = |value| match value {
        Value::Table(table) => Ok(table),
        _ => Err(format!("`{name}` is no table")),
    };
    match value {
        Value::Array(all) => all.into_iter().map(table).collect(),
        value => Ok(vec![table(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_keeps_what_its_extension_does_not_say() {
        let base = read(
            "[allowlist]\nregexes=['a']\n[[rules]]\nid='x'\ndescription='first'\nregex='x{3}'\nentropy=3\nkeywords=['x']\n[[rules]]\nid='y'\nregex='yy'\n",
        )
        .unwrap();
        let over = read(
            "[extend]\nuseDefault=true\ndisabledRules=['y']\n[[allowlists]]\nstopWords='b'\n[[rules]]\nID='x'\nentropy=4.5\n[[rules.allowlists]]\nregexTarget='line'\nregexes=['q']\n[[rules]]\nid='z'\nregex='zz'\nvalidate='v'\n",
        )
        .unwrap();
        assert!(over.extend.use_default);
        let both = over.over(base);
        let ids: Vec<&str> = both.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids, ["x", "z"]);
        let x = &both.rules[0];
        assert_eq!((x.description.as_str(), x.entropy), ("first", Some(4.5)));
        assert_eq!((x.regex.as_deref(), x.allow[0].target.as_str()), (Some("x{3}"), "line"));
        assert_eq!(both.rules[1].unused, ["validate"]);
        assert_eq!((both.allow.len(), both.allow[1].stopwords.len()), (2, 1));
    }

    #[test]
    fn mistakes_name_line_or_rule() {
        for (text, expected) in [
            ("[[rules]]\nid='a'\nregex=\n", "line 3"),
            ("[[rules]]\nid='a'\n[[rules]]\nregex='x'\n", "rule 2 has no `id`"),
            ("[[rules]]\nid='a'\nkeywords=3\n", "rule 1 `a`: `keywords` is no list"),
            ("rules=3\n", "`rules` is no table"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
