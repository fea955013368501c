//! Rules and policy taken up while Weir runs: watched, tried, and put in force whole.
//!
//! What begins a reload: a change of a file that the configuration names, SIGHUP, or an
//! order of the control topic that names another pack. Files are looked at once a second by
//! name, size and time: a few hundred look-ups, which work the same on a network folder and
//! on a mounted config map, where notices of the system do not come. A change counts once
//! it has stood still for a second look, so that a file is not read half written.
//!
//! All is compiled on this thread, and a pack is put in force only after its own tests; the
//! lanes take it up between two batches. Whatever goes wrong, the pack in force stays, and
//! log, metric and alert say why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::detect::selftest_after;
use crate::patterns::{Rule, RuleSet};
use crate::pipeline::run::Site;

use super::pack;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a signal, an order and the end are looked for.
const TURN: Duration = Duration::from_millis(100);
/// Mistakes that are told of one pack; the others are counted.
const MISTAKES: usize = 5;

/// What the files look like from outside: changes when one of them does.
type Looks = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Follows files, signals and orders for a site.
pub(super) struct Reloader<'a> {
    config: &'a Config,
    site: &'a Site,
    /// Set by SIGHUP.
    asked: &'a AtomicBool,
    /// As they were when they were last read.
    read: Looks,
    /// As they were at the last look, where that was something else.
    moving: Option<Looks>,
    /// The order that was last tried to be met.
    tried: Option<String>,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    /// What was read is in force already.
    Same,
    /// An order names another pack than the files hold.
    Held,
    /// It is in force now.
    Swapped(Changes),
}

/// How one pack differs from another, by ids of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    policy: bool,
}

impl<'a> Reloader<'a> {
    /// Begins with the pack that the site has.
    pub(super) fn new(config: &'a Config, site: &'a Site, asked: &'a AtomicBool) -> Self {
        Self { config, site, asked, read: looks(config), moving: None, tried: None }
    }

    /// Follows until the site stops.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        while !self.site.stop.load(Ordering::Relaxed) {
            std::thread::sleep(TURN);
            let look = looked.elapsed() >= LOOK;
            if look {
                looked = Instant::now();
            }
            self.turn(look);
        }
    }

    /// One turn; `look` says whether files are looked at.
    fn turn(&mut self, look: bool) {
        if self.asked.swap(false, Ordering::Relaxed) {
            self.read = looks(self.config);
            self.moving = None;
            self.reload("SIGHUP");
        } else if look && self.has_changed() {
            self.reload("files");
        }
        let ordered = self.ordered();
        let in_force = &self.site.packs.current().step.pack;
        if ordered.as_ref().is_some_and(|hash| hash != in_force) && ordered != self.tried {
            self.tried = ordered;
            self.reload("order");
        } else if ordered.is_none() && self.tried.take().is_some() {
            // Lifted: what the folders hold may be something else by now.
            self.reload("order");
        }
    }

    /// Whether files have changed since they were read and stood still since the last look.
    fn has_changed(&mut self) -> bool {
        let now = looks(self.config);
        if now == self.read {
            self.moving = None;
            return false;
        }
        if self.moving.as_ref() != Some(&now) {
            self.moving = Some(now);
            return false;
        }
        self.read = now;
        self.moving = None;
        true
    }

    /// The pack that an order names.
    fn ordered(&self) -> Option<String> {
        let standing = self.site.board.pin((self.site.now)())?;
        standing.orders.pack().map(str::to_owned)
    }

    fn reload(&self, because: &'static str) {
        let metrics = &self.site.metrics;
        match self.attempt() {
            Ok(Came::Same) => tracing::info!(because, "rules and policy have not changed"),
            Ok(Came::Held) => tracing::info!(
                because,
                "rules have changed, but an order names the pack in force: it stays"
            ),
            Ok(Came::Swapped(changes)) => {
                metrics.reloads.add(1);
                let pack = self.site.packs.current();
                tracing::info!(
                    because,
                    rules = pack.rules.set.rules.len(),
                    added = changes.added.len(),
                    removed = changes.removed.len(),
                    changed = changes.changed.len(),
                    policy_changed = changes.policy,
                    which = changes.which(),
                    pack = pack.step.pack,
                    policy = pack.step.setup.policy.hash,
                    "rules and policy are in force"
                );
            }
            Err(reason) => {
                metrics.reload_failures.add(1);
                let pack = &self.site.packs.current().step.pack;
                tracing::error!(
                    because,
                    reason,
                    in_force = pack,
                    "rules or policy cannot be used; what was in force stays"
                );
                let message =
                    format!("changed rules or policy cannot be used, the old ones stay: {reason}");
                let short = message.get(..message.floor_char_boundary(500)).unwrap_or_default();
                self.site.packs.tell((self.site.now)(), short.to_owned());
            }
        }
    }

    /// Reads, compiles, tests and puts in force.
    fn attempt(&self) -> Result<Came, String> {
        let before = self.site.packs.current();
        let partitions = before.step.partitions;
        let set = pack::rule_set(&self.config.patterns).map_err(|failure| failure.to_string())?;
        let ordered = self.ordered();
        if let Some(hash) = ordered.filter(|hash| *hash != set.hash) {
            if hash == before.step.pack {
                return Ok(Came::Held);
            }
            return Err(format!(
                "an order names pack {hash}, and the rules here are pack {}",
                set.hash
            ));
        }
        let policy = pack::governing(self.config).map_err(|failure| failure.to_string())?;
        let policy = policy.with_mode(self.config.mode);
        if set.hash == before.step.pack && policy.hash == before.step.setup.policy.hash {
            return Ok(Came::Same);
        }
        let mut changes = Changes::between(&before.rules.set, &set);
        let built = pack::build_after(&before.rules, self.config, set, partitions)
            .map_err(|failure| failure.to_string())?;
        let failures = selftest_after(&built.rules.set, Some(&built.rules));
        let failures = failures.map_err(|error| error.to_string())?;
        if !failures.is_empty() {
            let told: Vec<String> =
                failures.iter().take(MISTAKES).map(ToString::to_string).collect();
            return Err(format!(
                "{} examples of the rules do not hold: {}",
                failures.len(),
                told.join("; ")
            ));
        }
        changes.policy = built.step.setup.policy.hash != before.step.setup.policy.hash;
        // What is in force serves meanwhile.
        let go_on = || !self.site.stop.load(Ordering::Relaxed);
        built.rules.warm(go_on).map_err(|error| error.to_string())?;
        self.site.packs.swap(built);
        Ok(Came::Swapped(changes))
    }
}

impl Changes {
    fn between(before: &RuleSet, after: &RuleSet) -> Self {
        // Where a rule stands in its file says nothing of what it does.
        let all = |set: &RuleSet| -> BTreeMap<String, String> {
            let text = |rule: &Rule| format!("{:?}", Rule { line: 0, ..rule.clone() });
            set.rules.iter().map(|rule| (rule.source.rule.clone(), text(rule))).collect()
        };
        let (before, after) = (all(before), all(after));
        let missing_in = |from: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            from.keys().filter(|id| !other.contains_key(*id)).cloned().collect()
        };
        let differs =
            |(id, text): &(&String, &String)| before.get(*id).is_some_and(|before| before != *text);
        Self {
            added: missing_in(&after, &before),
            removed: missing_in(&before, &after),
            changed: after.iter().filter(differs).map(|(id, _)| id.clone()).collect(),
            policy: false,
        }
    }

    /// The rules by name, as many as fit a line.
    fn which(&self) -> String {
        let signed = [('+', &self.added), ('-', &self.removed), ('~', &self.changed)];
        let all: Vec<String> = signed
            .into_iter()
            .flat_map(|(sign, ids)| ids.iter().map(move |id| format!("{sign}{id}")))
            .collect();
        let shown = all.iter().take(20).cloned().collect::<Vec<_>>().join(" ");
        if all.len() > 20 { format!("{shown} and {} more", all.len() - 20) } else { shown }
    }
}

/// Size and time of every file that the configuration names. What cannot be looked at is
/// left out, and so has changed.
fn looks(config: &Config) -> Looks {
    let mut looks = Looks::new();
    for path in config.patterns.iter().chain(&config.policy) {
        look(Path::new(path), &mut looks);
    }
    looks
}

fn look(path: &Path, looks: &mut Looks) {
    // Followed through links: a config map is a link to a folder that changes.
    let Ok(data) = std::fs::metadata(path) else { return };
    if !data.is_dir() {
        looks.insert(path.to_owned(), (data.len(), data.modified().ok()));
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        look(&entry.path(), looks);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock;
    use crate::pipeline::control::{Board, Standing};
    use crate::policy::{Command, Order, Orders, Scope};

    const RULE: &str = "rules:\n  - id: lists.ours.word\n    family: lists\n    type: list.word\n    severity: low\n    confidence: high\n    phrase: WORD\n    examples: [EXAMPLE]\n    negative_examples: [nothing]\n";

    /// A configuration whose rules and policy lie in a folder, and a site that runs on them.
    fn begun(folder: &Path) -> (Config, Site) {
        std::fs::create_dir(folder.join("rules")).unwrap();
        write(folder, "weir", "a weir");
        let mut config = Config {
            patterns: vec![folder.join("rules").display().to_string()],
            ..Config::default()
        };
        config.engine = crate::detect::EngineKind::Rust;
        let pack = pack::build(&config, config.engine, 3).unwrap();
        let mut site = Site::new(pack, Arc::new(clock::now));
        site.board = Board::fixed(Orders::default());
        (config, site)
    }

    /// Sizes differ, so that a file written within one tick of the clock is seen.
    fn write(folder: &Path, word: &str, example: &str) {
        let text = RULE.replace("WORD", word).replace("EXAMPLE", example);
        std::fs::write(folder.join("rules/ours.yml"), text).unwrap();
    }

    fn counts(site: &Site) -> (u64, u64) {
        (site.metrics.reloads.get(), site.metrics.reload_failures.get())
    }

    #[test]
    fn a_change_that_has_come_to_rest_is_put_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let (config, site) = begun(folder.path());
        let asked = AtomicBool::new(false);
        let first = site.packs.current().step.pack.clone();
        let mut reloader = Reloader::new(&config, &site, &asked);
        reloader.turn(true);
        assert_eq!(counts(&site), (0, 0));
        write(folder.path(), "dam wall", "a dam wall");
        reloader.turn(true);
        assert_eq!(site.packs.current().step.pack, first, "it may still be written to");
        reloader.turn(true);
        let pack = site.packs.current();
        assert_ne!(pack.step.pack, first);
        assert_eq!(
            (pack.rules.set.hash.clone(), pack.step.partitions),
            (pack.step.pack.clone(), 3)
        );
        assert_eq!(counts(&site), (1, 0));
        reloader.turn(true);
        assert_eq!(counts(&site), (1, 0));
    }

    #[test]
    fn a_pack_whose_tests_fail_or_that_does_not_load_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (config, site) = begun(folder.path());
        let asked = AtomicBool::new(false);
        let first = site.packs.current().step.pack.clone();
        let mut reloader = Reloader::new(&config, &site, &asked);
        write(folder.path(), "dam wall", "nothing of it");
        asked.store(true, Ordering::Relaxed);
        reloader.turn(false);
        assert_eq!(counts(&site), (0, 1));
        assert!(!asked.load(Ordering::Relaxed));
        std::fs::write(folder.path().join("rules/ours.yml"), "rules: [").unwrap();
        reloader.turn(true);
        reloader.turn(true);
        assert_eq!(counts(&site), (0, 2));
        assert_eq!(site.packs.current().step.pack, first);
        std::fs::remove_file(folder.path().join("rules/ours.yml")).unwrap();
        asked.store(true, Ordering::Relaxed);
        reloader.turn(false);
        assert_eq!((counts(&site), &site.packs.current().step.pack), ((0, 3), &first));
    }

    #[test]
    fn a_policy_is_watched_too() {
        let folder = tempfile::tempdir().unwrap();
        let (mut config, site) = begun(folder.path());
        let policy = folder.path().join("policy.yml");
        std::fs::write(&policy, "defaults:\n  action: alert\n").unwrap();
        config.policy = Some(policy.display().to_string());
        let asked = AtomicBool::new(true);
        let mut reloader = Reloader::new(&config, &site, &asked);
        reloader.turn(false);
        let second = site.packs.current().step.setup.policy.hash.clone();
        assert_eq!(counts(&site), (1, 0));
        let before = site.packs.current();
        let bad: [&[u8]; 7] = [
            b"defaults:\n  action: explode\n",
            b"defaults: [\n",
            b"overides: []\n",
            b"\xff\xfe\n",
            b"tools:\n  - { tool: a }\n",
            b"maintenance: [{ id: a }]\n",
            b"flows: [after dark deny output]\n",
        ];
        for (failures, text) in (1..).zip(bad) {
            std::fs::write(&policy, text).unwrap();
            asked.store(true, Ordering::Relaxed);
            reloader.turn(false);
            assert_eq!(counts(&site), (1, failures), "{text:?}");
            let after = site.packs.current();
            assert_eq!(after.step.setup.policy.hash, second, "{text:?}");
            assert!(Arc::ptr_eq(&before, &after), "nothing at all has changed: {text:?}");
        }
    }

    #[test]
    fn an_order_is_met_or_told_and_pins_what_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let (config, site) = begun(folder.path());
        let asked = AtomicBool::new(false);
        let first = site.packs.current().step.pack.clone();
        let order = |offset, hash: Option<&str>| {
            let command = Command::Pack { scope: Scope::All, hash: hash.map(str::to_owned) };
            let mut orders = Orders::default();
            orders.apply(&Order { offset, command, by: String::new(), reason: String::new() });
            site.board.publish(Standing { orders, ..Standing::default() });
        };
        let mut reloader = Reloader::new(&config, &site, &asked);
        order(0, Some(&first));
        write(folder.path(), "dam wall", "a dam wall");
        reloader.turn(true);
        reloader.turn(true);
        assert_eq!(counts(&site), (0, 0), "the order names what is in force");
        assert_eq!(site.packs.current().step.pack, first);
        order(1, Some(&"ab".repeat(32)));
        reloader.turn(false);
        reloader.turn(false);
        assert_eq!(counts(&site), (0, 1), "it is not here, and that is told once");
        let here = pack::rule_set(&config.patterns).unwrap().hash;
        order(2, Some(&here));
        reloader.turn(false);
        assert_eq!((counts(&site), &site.packs.current().step.pack), ((1, 1), &here));
        write(folder.path(), "third", "a third one");
        order(3, None);
        reloader.turn(false);
        assert_eq!(counts(&site), (2, 1), "lifted: the folders count again");
    }

    #[test]
    fn what_changed_is_told_by_rule() {
        let set = |texts: &[(&str, &str)]| {
            let rules = texts.iter().map(|(id, word)| {
                let text = RULE.replace("WORD", word).replace("EXAMPLE", word);
                text.replace("lists.ours.word", id).replace("rules:\n", "")
            });
            let text = format!("rules:\n{}", rules.collect::<String>());
            let file = crate::patterns::SourceFile { path: "a.yml".to_owned(), text };
            crate::patterns::load(&[file]).unwrap()
        };
        let before = set(&[("a.one", "one"), ("a.two", "two"), ("a.three", "three")]);
        let after = set(&[("a.two", "two"), ("a.three", "other"), ("a.four", "four")]);
        let changes = Changes::between(&before, &after);
        assert_eq!(changes.which(), "+a.four -a.one ~a.three");
        assert_eq!(Changes::between(&after, &after), Changes::default());
    }
}
