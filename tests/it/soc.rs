//! What the SOC reads: alerts by `weir tail`, and questions to the audit.

use std::path::Path;
use std::process::Command;

use weir::baseline;
use weir::event::Millis;
use weir::inspect::{call_hash, partition_of, profile_key};
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::{Sequential, Step};
use weir::policy::{Command as Told, Grant, Order, Policy, Scope, Silence};
use weir::state::{Partition, Staged, owner};
use weir::wire::event::{FieldMap, ReadLimits, read};

use crate::decide::{no_rules, record};
use crate::program::{self, text};

const PARTITIONS: u32 = 4;

const POLICY: &str = "
tools:
  - { id: no-deletes, tool: db.delete, access: deny }
";

/// An exit code, standard output, standard error.
fn weir(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = program::weir(folder, arguments, "");
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn call(agent: &str, offset: i64, tool: &str) -> InRecord {
    let event = serde_json::json!({"v": 1, "id": format!("{agent}-{offset}"), "ts": 1_000_000_000 + offset * 1000,
        "kind": "tool_call", "agent": {"id": agent}, "session": "s", "user": "ann", "trigger": "cron",
        "reasoning": {"why": "asked to"}, "data_classes": ["hr"],
        "tool": {"name": tool, "params": {"table": "orders"}}});
    let mut record = record(offset, event.to_string());
    record.partition = partition_of(agent, PARTITIONS);
    record.key = Some(agent.as_bytes().to_vec());
    record
}

/// An agent alone on its partition, which is not 0: that is what an order's own place says.
fn late() -> String {
    let taken = ["bot", "other"].map(|agent| partition_of(agent, PARTITIONS));
    let free = |name: &String| {
        let home = partition_of(name, PARTITIONS);
        home != 0 && !taken.contains(&home)
    };
    (0..100).map(|n| format!("late{n}")).find(free).unwrap()
}

/// What three agents do, and an order about one of them that comes before its first event.
fn written() -> Vec<OutRecord> {
    let mut step = Step::new("weir.events", PARTITIONS, "pack");
    step.setup.policy = Policy::read("policy.yml", POLICY).unwrap();
    let rules = no_rules();
    let mut out = Vec::new();
    let home = partition_of(&late(), PARTITIONS);
    let command = Told::Kill { scope: Scope::Agent(String::new(), late()), on: true };
    let order = Order { offset: 5, command, by: "lee".into(), reason: "INC-1".into() };
    let empty = Partition::default();
    step.control(&mut Staged::new(&empty), home, &order, &mut out);
    let mut run = Sequential::new(&step, &rules);
    for (offset, agent, tool) in [
        (0, "bot", "db.read"),
        (1, "bot", "db.delete"),
        (2, "other", "db.delete"),
        (3, "bot", "db.read"),
    ] {
        run.record(&call(agent, offset, tool), &mut out);
    }
    out
}

/// Records of a topic as a file, one a line.
fn file(folder: &Path, name: &str, topic: Topic, out: &[OutRecord]) {
    let lines = out.iter().filter(|record| record.topic == topic);
    let text: Vec<u8> =
        lines.flat_map(|record| [record.value.clone().unwrap(), b"\n".to_vec()].concat()).collect();
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn the_audit_answers_who_did_what() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    file(folder, "audit.jsonl", Topic::Audit, &written());
    let query = |more: &[&str]| weir(folder, &[&["audit", "query", "audit.jsonl"], more].concat());

    let (code, shown, told) = query(&["--agent", "bot", "--action", "block"]);
    assert_eq!((code, told.as_str()), (0, ""));
    assert!(
        shown.contains("block    bot  tool_call db.delete  session s  user ann  event bot-1"),
        "{shown}"
    );
    assert!(
        shown.contains("└ policy.access.no-deletes") || shown.contains("no-deletes"),
        "{shown}"
    );
    assert!(shown.contains("params /tool/params/table = orders"), "{shown}");
    assert!(shown.contains("stated /reasoning/why = asked to"), "{shown}");
    assert!(shown.contains("stated /trigger = cron"), "{shown}");
    assert!(!shown.contains("other") && !shown.contains('\u{1b}'), "{shown}");

    let (_, shown, _) = query(&["--by", "lee"]);
    let order = format!("order    kill agent `` `{}`  by lee: INC-1", late());
    assert!(shown.contains(&order), "{shown}");
    let (_, shown, _) = query(&["--user", "ann", "--output", "json"]);
    let original = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    assert_eq!(shown.lines().count(), 4);
    assert!(shown.lines().all(|line| original.lines().any(|record| record == line)), "{shown}");
    assert!(shown.contains(r#""data_classes":["hr"]"#), "{shown}");
    let (_, shown, told) = query(&["--output", "csv", "--limit", "2"]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.starts_with("time,partition,seq,what,"), "{shown}");
    assert!(told.contains("3 earlier records fit as well"), "{told}");

    let (code, _, told) = query(&["--action", "explode"]);
    assert!(code == 2 && told.contains("must be one of allow, alert"), "{told}");
}

#[test]
fn an_order_belongs_to_the_chain_that_it_stands_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    file(folder, "audit.jsonl", Topic::Audit, &written());
    let (code, shown, _) = weir(folder, &["audit", "verify", "audit.jsonl"]);
    assert!(code == 0 && shown.contains("all intact"), "{shown}");
    let home = partition_of(&late(), PARTITIONS);
    assert!(shown.contains(&format!("partition {home}: 1 records")), "{shown}");
}

#[test]
fn a_question_to_a_chain_that_was_changed_is_answered_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    file(folder, "audit.jsonl", Topic::Audit, &written());
    let text = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("bot-1")).collect();
    std::fs::write(folder.join("audit.jsonl"), without.join("\n")).unwrap();
    let (code, shown, told) = weir(folder, &["audit", "query", "audit.jsonl", "--agent", "bot"]);
    assert_eq!(code, 1, "{shown}");
    assert!(told.contains("is NOT INTACT: record 1 is missing"), "{told}");
    assert!(shown.contains("bot-3"), "what is there is shown: {shown}");
}

#[test]
fn tail_shows_alerts_and_verdicts_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let out = written();
    file(folder, "alerts.jsonl", Topic::Alerts, &out);
    file(folder, "verdicts.jsonl", Topic::Verdicts, &out);
    let (code, shown, told) = weir(folder, &["tail", "alerts.jsonl"]);
    assert_eq!((code, told.as_str()), (0, ""));
    assert!(
        shown.contains("high      open    bot  policy.") && shown.contains("open    other"),
        "{shown}"
    );
    assert!(shown.contains("blocked; session s; user ann; tool db.delete; event bot-1"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours outside of a terminal: {shown}");

    let all = std::fs::read_to_string(folder.join("alerts.jsonl")).unwrap();
    let lines = |arguments: &[&str]| {
        let (code, shown, _) =
            weir(folder, &[&["tail", "alerts.jsonl", "--output", "jsonl"], arguments].concat());
        assert_eq!(code, 0);
        assert!(shown.lines().all(|line| all.lines().any(|record| record == line)), "{shown}");
        shown.lines().count()
    };
    for (arguments, expected) in [
        (&[] as &[&str], 2),
        (&["--agent", "bot"], 1),
        (&["--agent", "b*", "--severity", "critical"], 0),
        (&["--severity", "high"], 2),
        (&["--rule", "policy.*", "--family", "policy"], 2),
        (&["--rule", "pii.*"], 0),
        (&["--state", "closed"], 0),
        (&["--action", "block", "--state", "open"], 2),
        (&["--tenant", "t"], 0),
        (&["--session", "s"], 2),
        (&["--max", "1"], 1),
        (&["--since", "1970-01-02"], 2),
        (&["--since", "1h"], 0),
    ] {
        assert_eq!(lines(arguments), expected, "{arguments:?}");
    }
    let (_, shown, _) = weir(folder, &["tail", "verdicts.jsonl", "--action", "block"]);
    assert_eq!(shown.matches("block  ").count(), 2, "{shown}");
    std::fs::write(folder.join("odd.jsonl"), "{}\nnothing\n").unwrap();
    let (code, shown, told) = weir(folder, &["tail", "odd.jsonl"]);
    assert!(code == 0 && shown.is_empty() && told.contains("2 records are neither"), "{told}");
}

#[test]
fn a_followed_file_is_shown_as_it_grows() {
    use std::io::{BufRead as _, BufReader, Write as _};

    let folder = tempfile::tempdir().unwrap();
    let out = written();
    file(folder.path(), "alerts.jsonl", Topic::Alerts, &out);
    let path = folder.path().join("alerts.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    let (first, rest) = lines.split_at(lines.find('\n').unwrap() + 1);
    std::fs::write(&path, first).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["tail", "alerts.jsonl", "--follow", "--output", "jsonl", "--max", "2"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(shown.next().unwrap().unwrap(), first.trim_end());
    // A line comes in two halves, and is shown when it is whole.
    let mut grows = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let (half, other) = rest.split_at(rest.len() / 2);
    grows.write_all(half.as_bytes()).unwrap();
    grows.write_all(other.as_bytes()).unwrap();
    assert_eq!(shown.next().unwrap().unwrap(), rest.trim_end());
    assert!(child.wait().unwrap().success());
}

fn bot() -> Scope {
    Scope::Agent(String::new(), "bot".into())
}

fn told(offset: i64, command: Told) -> Order {
    Order { offset, command, by: "lee".into(), reason: "INC-1".into() }
}

fn step(policy: &str) -> Step {
    let mut step = Step::new("weir.events", 0, "pack");
    step.setup.policy = Policy::read("policy.yml", policy).unwrap();
    step
}

/// The call on the one partition of a run without partitions.
fn only(offset: i64, tool: &str) -> InRecord {
    InRecord { partition: 0, ..call("bot", offset, tool) }
}

fn of(topic: Topic, out: &[OutRecord]) -> Vec<serde_json::Value> {
    let records = out.iter().filter(|record| record.topic == topic);
    records.map(|record| serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()).collect()
}

#[test]
fn a_grant_lets_so_many_calls_pass_until_it_ends() {
    let asks = "tools:\n  - { tool: bank.transfer, access: ask }\n";
    let first = only(0, "bank.transfer");
    let event = first.value.clone().unwrap();
    let event = read(&event, &FieldMap::default(), &ReadLimits::default()).unwrap();
    let exact = call_hash(&event);
    assert!(exact.is_some());
    let grant = |params, uses, expires: i64| {
        let tool = "bank.transfer".to_owned();
        let expires = Millis(1_000_000_000 + expires * 1000);
        Grant { scope: bot(), tool, params, uses, expires }
    };
    for (grants, expected) in [
        (vec![], "hhhh"),
        (vec![grant(None, 2, 100)], "pphh"),
        (vec![grant(exact, 1, 100)], "phhh"),
        (vec![grant(Some([1; 32]), 1, 100)], "hhhh"),
        (vec![grant(None, 9, 2)], "pphh"),
        (vec![grant(None, 9, 100), grant(None, 0, 100)], "hhhh"),
        (vec![Grant { tool: "bank.*".into(), ..grant(None, 9, 100) }], "hhhh"),
        (vec![Grant { scope: Scope::All, ..grant(None, 9, 100) }], "hhhh"),
    ] {
        let (step, rules) = (step(asks), no_rules());
        let mut run = Sequential::new(&step, &rules);
        let mut out = Vec::new();
        run.record(&only(-1, "other"), &mut out);
        for (offset, grant) in grants.iter().enumerate() {
            run.order(&told(offset as i64, Told::Grant(grant.clone())), &mut out);
        }
        let orders = of(Topic::Audit, &out).into_iter().filter(|audit| audit["order"] == "grant");
        assert_eq!(orders.count(), grants.len(), "each is in the audit");
        for (offset, expected) in expected.chars().enumerate() {
            out.clear();
            run.record(&only(offset as i64, "bank.transfer"), &mut out);
            let verdict = &of(Topic::Verdicts, &out)[0];
            let passes = if verdict["hold"].is_object() { 'h' } else { 'p' };
            assert_eq!(passes, expected, "call {offset} under {grants:?}: {verdict}");
            assert_eq!(verdict["action"] == "block", passes == 'h');
        }
    }
}

#[test]
fn a_silence_stops_alerts_and_nothing_else() {
    let (step, rules) = (step(POLICY), no_rules());
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    run.record(&only(0, "db.read"), &mut out);
    let silence = Silence {
        signal: Some("policy.*".into()),
        until: Millis(1_000_000_000 + 3_000),
        ..Silence::default()
    };
    run.order(&told(0, Told::Suppress { scope: bot(), silence }), &mut out);
    let audit = of(Topic::Audit, &out).pop().unwrap();
    assert_eq!((&audit["order"], &audit["by"]), (&"suppress".into(), &"lee".into()));
    assert_eq!(audit["terms"]["signal"], "policy.*");
    for (offset, alerts) in [(1, 0), (2, 0), (3, 1), (4, 0)] {
        out.clear();
        run.record(&only(offset, "db.delete"), &mut out);
        assert_eq!(of(Topic::Verdicts, &out)[0]["action"], "block", "{offset}");
        assert_eq!(of(Topic::Alerts, &out).len(), alerts, "{offset}");
        assert_eq!(of(Topic::Audit, &out).len(), 1);
    }
}

#[test]
fn a_profile_is_forgotten_or_accepted_by_order() {
    let mut step = step("defaults: { action: alert }\n");
    step.setup.behavior = baseline::Settings::default();
    let rules = no_rules();
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    for offset in 0..40 {
        run.record(&only(offset, "db.read"), &mut out);
    }
    let key = profile_key("", "bot");
    let has = |run: &Sequential<'_>, owner| run.states()[&0].count(owner);
    assert!(run.states()[&0].get(&key).is_some());
    let until = Millis(1_000_000_000 + 100_000);
    let accept = Told::Accept { scope: bot(), until: Some(until) };
    run.order(&told(0, accept.clone()), &mut out);
    assert_eq!(has(&run, owner::ACCEPTED), 1);
    run.order(&told(0, accept), &mut out);
    let audit = of(Topic::Audit, &out).into_iter().filter(|audit| audit["order"] == "accept");
    assert_eq!(audit.count(), 1, "it takes effect once");
    run.timers(until, &mut out);
    assert_eq!(has(&run, owner::ACCEPTED), 0, "an acceptance ends");
    assert!(run.states()[&0].get(&key).is_some());
    run.order(&told(1, Told::Reset { scope: Scope::Agent("t".into(), "bot".into()) }), &mut out);
    assert!(run.states()[&0].get(&key).is_some(), "another tenant's agent is another agent");
    run.order(&told(2, Told::Reset { scope: bot() }), &mut out);
    assert!(run.states()[&0].get(&key).is_none());
    run.record(&only(50, "db.read"), &mut out);
    assert_eq!((has(&run, owner::PROFILE), has(&run, owner::CLASS)), (1, 1));
    run.order(&told(3, Told::Reset { scope: Scope::All }), &mut out);
    assert_eq!((has(&run, owner::PROFILE), has(&run, owner::CLASS)), (0, 0));
}

#[test]
fn an_agents_profile_can_be_read_from_a_file_of_state() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, events, _) = weir(folder, &["simulate", "--agents", "3", "--days", "4", "--seed", "5"]);
    std::fs::write(folder.join("events.jsonl"), &events).unwrap();
    let first: serde_json::Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    let agent = first["agent"]["id"].as_str().unwrap();
    let tool = first["tool"]["name"].as_str().unwrap();
    std::fs::write(folder.join("names.txt"), format!("{tool}\n\nnever.used\n")).unwrap();
    let scan = [
        "scan",
        "events.jsonl",
        "--input",
        "events",
        "--output",
        "jsonl",
        "--state",
        "s.jsonl",
        "--set",
        "behavior.mode=calibrated",
        "--partitions",
        "2",
    ];
    let (code, _, told) = weir(folder, &scan);
    assert_eq!(code, 0, "{told}");
    let show =
        |more: &[&str]| weir(folder, &[&["agent", "show", "--state", "s.jsonl"], more].concat());
    let (code, shown, told) = show(&[agent, "--names", "names.txt"]);
    assert_eq!((code, told.as_str()), (0, ""));
    for about in [
        "first_event: 2",
        "calls.active_hours.mean: ",
        &format!("tools.{tool}: 2"),
        "week.monday.calls: ",
    ] {
        assert!(shown.contains(about), "{about} in\n{shown}");
    }
    assert!(!shown.contains("never.used"));
    assert_eq!(show(&[agent, "--names", "names.txt"]).1, shown, "the same each time");
    let (_, text, _) = show(&[agent, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["tools"].as_object().unwrap().keys().all(|name| name.starts_with('#')), "{text}");
    let (code, _, told) = show(&["nobody"]);
    assert!(
        code == 3 && told.contains("nothing is known of agent `nobody`") && told.contains("hint:"),
        "{told}"
    );
    std::fs::write(folder.join("s.jsonl"), "{}\n").unwrap();
    let (code, _, told) = show(&[agent]);
    assert!(code == 3 && told.contains("s.jsonl:1: is no state record"), "{told}");
}

#[cfg(feature = "kafka")]
#[test]
fn an_order_must_say_why_and_for_how_long() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["control", "kill", "--all"] as &[&str], "--reason"),
        (&["control", "kill", "--all", "--reason", " "], "must say why"),
        (&["agent", "reset", "bot"], "--reason"),
        (&["agent", "suppress", "bot", "--reason", "r"], "a silence needs an end"),
        (&["agent", "suppress", "--for", "1h", "--reason", "r"], "no scope is given"),
        (
            &["agent", "suppress", "bot", "--until", "2020-01-01", "--reason", "r"],
            "end before it begins",
        ),
        (
            &["control", "grant", "--agent", "a", "--tool", "t", "--params", "{", "--reason", "r"],
            "--params is not JSON",
        ),
        (&["control", "grant", "--agent", "a", "--tool", "t", "--reason", "r"], "--params"),
    ] {
        let (code, _, told) = weir(folder.path(), arguments);
        assert!(code == 2 && told.contains(expected), "{arguments:?}: {told}");
    }
}

/// Alerts and audit records of a run in which much happens, for those who look for them.
pub(crate) fn records() -> Vec<(&'static str, serde_json::Value)> {
    let policy = format!("{POLICY}agents: registered\nregistry: [{{ agent: bot }}]\n");
    let (step, rules) = (step(&policy), no_rules());
    let mut run = Sequential::new(&step, &rules);
    let mut out = Vec::new();
    run.record(&only(0, "db.read"), &mut out);
    run.record(&only(1, "db.delete"), &mut out);
    run.record(&InRecord { partition: 0, ..call("stranger", 2, "db.read") }, &mut out);
    run.record(&record(3, "not JSON"), &mut out);
    let until = Millis(2_000_000_000);
    let grant = Grant { scope: bot(), tool: "t".into(), params: None, uses: 1, expires: until };
    let commands = [
        Told::Kill { scope: bot(), on: true },
        Told::Mode { scope: bot(), mode: Some(weir::policy::Mode::Shadow) },
        Told::Suppress { scope: bot(), silence: Silence { until, ..Silence::default() } },
        Told::Grant(grant),
        Told::Accept { scope: bot(), until: None },
    ];
    for (offset, command) in commands.into_iter().enumerate() {
        run.order(&told(offset as i64, command), &mut out);
    }
    run.record(&only(4, "db.read"), &mut out);
    let state = &run.states()[&0];
    let other = Step { pack: "other".into(), ..step.clone() };
    let mut staged = Staged::new(state);
    let next = only(5, "db.read");
    let scanned = other.scan(&mut rules.scratch(), &next);
    let orders = weir::policy::Orders::default();
    let mut readers = weir::inspect::Readers::new(&rules, "other");
    other.record(&mut staged, (&orders, &mut readers), &next, &scanned, 0, &mut out);
    let alerts = of(Topic::Alerts, &out).into_iter().map(|alert| ("alerts", alert));
    let audit = of(Topic::Audit, &out).into_iter().map(|audit| ("audit", audit));
    alerts.chain(audit).collect()
}
