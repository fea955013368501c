//! `deploy/sigma` against the schemas: each field that a rule names exists, each value that it
//! asks for can be written, and what the pipeline writes is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// A rule or a correlation, and the file that it stands in.
fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sigma");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "yml", "{}", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for document in text.split("\n---\n") {
            let rule =
                serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{name}: {error}"));
            out.push((name.clone(), rule));
        }
    }
    assert!(out.len() >= 15, "{} rules", out.len());
    out
}

fn schema(service: &str) -> Value {
    let file = match service {
        "alerts" => "alert",
        "audit" => "audit",
        other => panic!("no topic is called {other}"),
    };
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{file}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The schema of a member by its dotted path; members of lists are reached through the list.
fn member<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.split('.').try_fold(schema, |at, name| {
        let at = if at["items"].is_object() { &at["items"] } else { at };
        at["properties"].get(name)
    })
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|one| one.as_str().unwrap()).collect()
}

/// The values that a condition of a selection asks for.
fn wanted(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn selections(rule: &Value) -> impl Iterator<Item = (&String, &Value)> {
    rule["detection"].as_object().unwrap().iter().filter(|(name, _)| *name != "condition")
}

#[test]
fn every_rule_is_whole_and_names_only_what_exists() {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    let documents = documents();
    for (file, rule) in &documents {
        let text = |name: &str| rule[name].as_str().unwrap_or_else(|| panic!("{file}: no {name}"));
        assert!(uuid::Uuid::parse_str(text("id")).is_ok() && ids.insert(text("id")), "{file}: id");
        assert!(names.insert(text("name").to_owned()), "{file}: two rules of one name");
        assert!(text("title").len() <= 100 && text("description").len() > 30, "{file}");
        assert!(["stable", "test", "experimental"].contains(&text("status")), "{file}");
        let levels = ["informational", "low", "medium", "high", "critical"];
        assert!(levels.contains(&text("level")), "{file}");
        for tag in texts(&rule["tags"]) {
            assert!(
                tag.starts_with("owasp.llm") || tag.starts_with("atlas.aml.t"),
                "{file}: {tag}"
            );
        }
    }
    for (file, rule) in documents.iter().filter(|(_, rule)| rule["detection"].is_object()) {
        assert_eq!(rule["name"], file.as_str());
        assert_eq!(rule["logsource"]["product"], "weir");
        let schema = schema(rule["logsource"]["service"].as_str().unwrap());
        let mut known = Vec::new();
        for (name, selection) in selections(rule) {
            known.push(name.as_str());
            for (field, value) in selection.as_object().unwrap() {
                let field = field.split('|').next().unwrap();
                let described = member(&schema, field).unwrap_or_else(|| panic!("{file}: {field}"));
                if let Some(allowed) = described["enum"].as_array() {
                    for value in wanted(value) {
                        assert!(allowed.contains(value), "{file}: {field} is never {value}");
                    }
                }
            }
        }
        for word in rule["detection"]["condition"].as_str().unwrap().split(' ') {
            let operator = ["and", "or", "not"].contains(&word);
            assert!(operator || known.contains(&word), "{file}: the condition names {word}");
        }
        for field in texts(&rule["fields"]) {
            assert!(member(&schema, field).is_some(), "{file}: {field}");
        }
    }
    for (file, rule) in documents.iter().filter(|(_, rule)| rule["correlation"].is_object()) {
        let how = &rule["correlation"];
        assert!(["event_count", "value_count"].contains(&how["type"].as_str().unwrap()), "{file}");
        let base = texts(&how["rules"]);
        assert!(!base.is_empty() && base.iter().all(|base| names.contains(*base)), "{file}");
        let schema = schema("audit");
        let counted = how["condition"]["field"].as_str();
        assert_eq!(counted.is_some(), how["type"] == "value_count", "{file}");
        for field in texts(&how["group-by"]).into_iter().chain(counted) {
            assert!(member(&schema, field).is_some(), "{file}: {field}");
        }
        assert!(how["condition"]["gte"].as_u64().is_some(), "{file}");
    }
}

/// Every value under a dotted path.
fn values<'r>(record: &'r Value, path: &str) -> Vec<&'r Value> {
    path.split('.').fold(vec![record], |at, name| {
        let members = at.into_iter().filter_map(|value| value.get(name));
        members.flat_map(wanted).collect()
    })
}

/// Whether a rule of ours finds a record: one of its selections, whose conditions all hold.
fn finds(rule: &Value, record: &Value) -> bool {
    selections(rule).any(|(_, selection)| {
        selection.as_object().unwrap().iter().all(|(field, value)| {
            let wanted = wanted(value);
            values(record, field).into_iter().any(|value| wanted.contains(&value))
        })
    })
}

#[test]
fn what_the_pipeline_writes_is_found() {
    let mut hits: BTreeMap<String, usize> = BTreeMap::new();
    let rules = documents();
    for (service, record) in crate::soc::records() {
        let of_service = rules.iter().filter(|(_, rule)| rule["logsource"]["service"] == service);
        for (file, _) in of_service.filter(|(_, rule)| finds(rule, &record)) {
            *hits.entry(file.clone()).or_default() += 1;
        }
    }
    let found: Vec<(&str, usize)> =
        hits.iter().map(|(file, hits)| (file.as_str(), *hits)).collect();
    assert_eq!(
        found,
        [
            ("weir_approval_given", 1),
            ("weir_guard_lowered", 2),
            ("weir_held_back", 3),
            ("weir_kill_switch", 1),
            ("weir_profile_changed_by_order", 1),
            ("weir_rules_changed", 1),
            ("weir_unknown_agent", 1),
            ("weir_unreadable", 1),
        ]
    );
}
