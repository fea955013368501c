//! Defaults, file, environment, `--set`: read, laid over one another, and checked.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::config::check::check;
use crate::config::error::{ConfigError, Origin, Wrong};
use crate::config::settings::{SETTINGS, Setting, Slot};
use crate::config::yaml::{self, Node, Spot};

/// What stands over the defaults.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// Path (for messages) and text of `weir.yml`.
    pub file: Option<(String, String)>,
    /// Environment variables; only those that begin with `WEIR_` are looked at.
    pub env: Vec<(String, String)>,
    /// `--set` arguments, as `kafka.group_id=weir`.
    pub sets: Vec<String>,
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Where a setting's value came from.
    #[must_use]
    pub fn origin(&self, path: &str) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// Each setting with its value, secrets masked, and its origin.
    pub fn in_force(&self) -> impl Iterator<Item = (&'static Setting, String, &Origin)> {
        let mut config = self.config.clone();
        SETTINGS.iter().map(move |setting| {
            (setting, (setting.slot)(&mut config).show(), self.origin(setting.path))
        })
    }
}

impl Layers {
    /// Lays the layers over the defaults and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] holds everything that is wrong.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut reading = Reading::default();
        if let Some((path, text)) = &self.file {
            reading.file(path, text);
        }
        for (name, value) in &self.env {
            reading.env(name, value);
        }
        for set in &self.sets {
            reading.set(set);
        }
        let Reading { config, origins, mut wrong } = reading;
        // A value of the wrong type leaves the default, which is not what was asked for;
        // to check it would only add noise.
        if wrong.is_empty() {
            let loaded = Loaded { config, origins };
            let found = check(&loaded.config);
            if found.is_empty() {
                return Ok(loaded);
            }
            wrong.extend(found.into_iter().map(|(key, problem, allowed)| Wrong {
                origin: loaded.origin(&key).clone(),
                key,
                problem,
                allowed,
            }));
        }
        Err(ConfigError(wrong))
    }
}

#[derive(Default)]
struct Reading {
    config: Config,
    origins: BTreeMap<String, Origin>,
    wrong: Vec<Wrong>,
}

impl Reading {
    fn file(&mut self, path: &str, text: &str) {
        let at = |line| Origin::File { path: path.to_owned(), line };
        match yaml::read(text) {
            Ok(Spot { node: Node::Null, .. }) => {}
            Ok(Spot { node: Node::Map(members), .. }) => self.members("", &members, &at),
            Ok(spot) => self.say(at(spot.line), "", "must be a group of keys".to_owned(), ""),
            Err((line, problem)) => self.say(at(line.unwrap_or(0)), "", problem, ""),
        }
    }

    fn members(&mut self, prefix: &str, members: &[(Spot, Spot)], at: &dyn Fn(u64) -> Origin) {
        for (key, value) in members {
            let Some(name) = key.node.scalar() else {
                self.say(at(key.line), prefix, "a key must be text".to_owned(), "");
                continue;
            };
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let group = format!("{path}.");
            if let Some(setting) = setting(&path) {
                self.take(setting, value, at(key.line), false);
            } else if SETTINGS.iter().any(|setting| setting.path.starts_with(&group)) {
                match &value.node {
                    Node::Map(inner) => self.members(&path, inner, at),
                    // `topics:` with nothing under it says nothing.
                    Node::Null => {}
                    node => {
                        let problem = format!("must be a group of keys, not {}", node.kind());
                        let allowed = names_under(&path).join(", ");
                        self.say(at(key.line), &path, problem, &allowed);
                    }
                }
            } else {
                let allowed = names_under(prefix);
                let problem = unknown(&name, &allowed);
                self.say(at(key.line), &path, problem, &allowed.join(", "));
            }
        }
    }

    fn env(&mut self, name: &str, value: &str) {
        let Some(rest) = name.strip_prefix("WEIR_") else { return };
        let origin = Origin::Env(name.to_owned());
        let path = rest.to_ascii_lowercase().replace("__", ".");
        if let Some(property) = path.strip_prefix("kafka.properties.") {
            // Names of client properties are made with dots, which a variable cannot hold.
            self.property(&property.replace('_', "."), value, origin);
        } else if let Some(setting) = setting(&path) {
            self.scalar(setting, value, origin, true);
        } else if path.contains('.') || nearest(&path, &names_under("")).is_some() {
            let prefix = path.rsplit_once('.').map_or("", |(prefix, _)| prefix);
            let allowed = names_under(prefix);
            let allowed = if allowed.is_empty() { names_under("") } else { allowed };
            let problem = unknown(&path, &allowed);
            self.say(origin, &path, problem, &allowed.join(", "));
        }
        // Others are not ours: Kubernetes sets WEIR_SERVICE_HOST for a service named weir.
    }

    fn set(&mut self, text: &str) {
        let Some((path, value)) = text.split_once('=') else {
            let problem = format!("`{text}` has no `=`");
            return self.say(Origin::Set, "", problem, "KEY=VALUE, such as kafka.group_id=weir");
        };
        let path = path.trim();
        if let Some(property) = path.strip_prefix("kafka.properties.") {
            self.property(property, value, Origin::Set);
        } else if let Some(setting) = setting(path) {
            self.scalar(setting, value, Origin::Set, false);
        } else {
            let prefix = path.rsplit_once('.').map_or("", |(prefix, _)| prefix);
            let allowed = names_under(prefix);
            let allowed = if allowed.is_empty() { names_under("") } else { allowed };
            let name = path.rsplit('.').next().unwrap_or(path);
            let problem = unknown(name, &allowed);
            self.say(Origin::Set, path, problem, &allowed.join(", "));
        }
    }

    fn property(&mut self, key: &str, value: &str, origin: Origin) {
        self.config.kafka.properties.insert(key.to_owned(), value.to_owned());
        self.origins.insert("kafka.properties".to_owned(), origin);
    }

    /// A value from outside of a file: text where text is wanted, else YAML.
    fn scalar(&mut self, setting: &'static Setting, value: &str, origin: Origin, literal: bool) {
        let wants_text = matches!((setting.slot)(&mut self.config), Slot::Text(_) | Slot::Key(_))
            || matches!((setting.slot)(&mut self.config), Slot::MaybeText(_)) && value != "null";
        let spot = if wants_text {
            Spot { line: 0, node: Node::Text(value.to_owned()) }
        } else {
            match yaml::read(value) {
                Ok(spot) => spot,
                Err((_, problem)) => return self.say(origin, setting.path, problem, ""),
            }
        };
        self.take(setting, &spot, origin, literal);
    }

    fn take(&mut self, setting: &'static Setting, spot: &Spot, origin: Origin, literal: bool) {
        match (setting.slot)(&mut self.config).take(spot, literal) {
            Ok(()) => {
                self.origins.insert(setting.path.to_owned(), origin);
            }
            Err(refused) => {
                self.say(origin, setting.path, refused.problem, &refused.allowed);
            }
        }
    }

    fn say(&mut self, origin: Origin, key: &str, problem: String, allowed: &str) {
        self.wrong.push(Wrong {
            origin,
            key: key.to_owned(),
            problem,
            allowed: allowed.to_owned(),
        });
    }
}

fn setting(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// Names of the keys directly under a path, in the order of the table.
fn names_under(prefix: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for setting in SETTINGS {
        let rest = if prefix.is_empty() {
            Some(setting.path)
        } else {
            setting.path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'))
        };
        if let Some(name) = rest.and_then(|rest| rest.split('.').next())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => "unknown key".to_owned(),
    }
}

/// The known name that differs by at most two edits.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    known
        .iter()
        .map(|near| (edits(name, near), *near))
        .filter(|(edits, near)| *edits <= 2 && *edits < near.len() / 2)
        .min()
        .map(|(_, near)| near)
}

/// Levenshtein distance; names are short.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
