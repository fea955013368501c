//! What a configuration must hold beyond the types of its values.

use std::collections::BTreeMap;
use std::net::ToSocketAddrs as _;

use crate::classify;
use crate::config::{ClassifierUse, Config};
use crate::detect::EngineKind;
use crate::telemetry::logs;

/// Client settings that Weir's guarantees rest on, with what sets them instead.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "`kafka.bootstrap_servers`"),
    ("metadata.broker.list", "`kafka.bootstrap_servers`"),
    ("group.id", "`kafka.group_id`"),
    ("transactional.id", "`instance` and `kafka.group_id`"),
    ("enable.auto.commit", "`delivery`"),
    ("enable.auto.offset.store", "`delivery`"),
    ("isolation.level", "nothing: Weir reads committed records only"),
    ("enable.idempotence", "`delivery`"),
];

/// Key, problem and allowed values of each thing that is wrong.
pub(super) fn check(config: &Config) -> Vec<(String, String, String)> {
    let mut wrong = Vec::new();
    let mut say = |key: &str, problem: String, allowed: &str| {
        wrong.push((key.to_owned(), problem, allowed.to_owned()));
    };
    for server in config.kafka.bootstrap_servers.split(',') {
        let port = server.trim().rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
            let problem = format!("`{server}` is not an address");
            say("kafka.bootstrap_servers", problem, "host:port, separated by commas");
        }
    }
    if config.kafka.group_id.is_empty() {
        say("kafka.group_id", "must not be empty".to_owned(), "");
    }
    for (property, instead) in OURS {
        if config.kafka.properties.contains_key(*property) {
            let problem = format!("`{property}` is set by {instead} and not here");
            say("kafka.properties", problem, "");
        }
    }
    check_topics(config, &mut say);
    if let Some(instance) = &config.instance
        && !is_name(instance)
    {
        let problem = format!("`{instance}` cannot be part of a transactional id");
        say("instance", problem, "letters, digits, `.`, `_` and `-`");
    }
    if config.admin.listen.to_socket_addrs().is_err() {
        let problem = format!("`{}` is not an address to listen on", config.admin.listen);
        say("admin.listen", problem, "host:port, such as 127.0.0.1:9465");
    }
    if let Err(problem) = logs::check_filter(&config.log.filter) {
        say("log.filter", problem, "such as `info` or `info,weir::pipeline=debug`");
    }
    if let Err(error) = config.behavior() {
        say("behavior.time_zone", error.to_string(), "");
    }
    if let Err(error) = config.field_map() {
        say("field_map", error.to_string(), "");
    }
    if config.engine == EngineKind::Vectorscan && !cfg!(feature = "vectorscan") {
        say("engine", "this build has no `vectorscan`".to_owned(), "auto, rust");
    }
    if config.classifier.enabled == ClassifierUse::On && !classify::BUILT {
        say("classifier.enabled", "this build has no classifier".to_owned(), "auto, off");
    }
    let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if config.classifier.sha256.as_ref().is_some_and(|text| !is_hash(text)) {
        say("classifier.sha256", "is no SHA-256".to_owned(), "64 hexadecimal digits, or null");
    }
    wrong
}

fn check_topics(config: &Config, say: &mut impl FnMut(&str, String, &str)) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (setting, name) in config.topics.all() {
        let key = format!("topics.{setting}");
        if !is_name(name) || name.len() > 249 {
            let problem = format!("`{name}` is not a topic's name");
            say(&key, problem, "1 to 249 letters, digits, `.`, `_` and `-`");
        }
        if let Some(other) = seen.insert(name, setting) {
            say(&key, format!("`{name}` is already `topics.{other}`"), "");
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
