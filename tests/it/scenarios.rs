//! Stories: events in; verdicts, alerts and audit expected, in order.
//!
//! Each file of `tests/scenarios` holds a policy and stories; a story is a list of steps. Every
//! story runs twice through the pipeline's own step: once as it is, and once with the state
//! thrown away after each step and read back from its changelog, as after a crash. Both must
//! give the same records. Beside what a story expects, each run is held to what is always
//! true: one verdict and one chained audit record for each event, a clean event where and
//! only where the event may go on.

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use weir::audit::verify;
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::Millis;
use weir::patterns::{RuleSet, SourceFile, builtin, load};
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::Step;
use weir::policy::{Command, Mode, Order, Orders, Policy, Scope};
use weir::redact::Key32;
use weir::state::{Partition, Staged};

static PACKS: LazyLock<Rules> = LazyLock::new(|| compiled(load(&builtin()).unwrap()));
static NONE: LazyLock<Rules> = LazyLock::new(|| compiled(RuleSet::default()));

fn compiled(set: RuleSet) -> Rules {
    Rules::compile(set, ScanLimits::default(), EngineKind::Rust).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What stands in every event that does not say otherwise.
    #[serde(default)]
    event: Map<String, Value>,
    /// Added to the shipped policy's file.
    #[serde(default)]
    policy: String,
    /// Whether the shipped packs look at the events; otherwise nothing is found in them.
    #[serde(default)]
    packs: bool,
    /// More rules, as in a pack of the user's.
    rules: Option<String>,
    stories: Vec<Story>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    name: String,
    #[serde(default)]
    policy: Option<String>,
    steps: Vec<Map<String, Value>>,
    /// Every alert in order, as `open blocked injection` or `closed blocked policy 3`.
    alerts: Option<Vec<String>>,
}

/// A story on its way.
struct Run<'f> {
    step: Step,
    rules: &'f Rules,
    file: &'f File,
    orders: Orders,
    state: Partition,
    /// Every change of state, as the changelog has it.
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    forget: bool,
    now: i64,
    offset: i64,
    last_hold: Option<String>,
    out: Vec<OutRecord>,
}

impl<'f> Run<'f> {
    fn new(file: &'f File, rules: &'f Rules, story: &Story, forget: bool) -> Self {
        let mut step = Step::new("weir.events", 0, "pack");
        let own = story.policy.as_ref().unwrap_or(&file.policy);
        // A story about overrides brings all of them.
        let shipped = if own.contains("overrides:") { "" } else { Policy::SHIPPED };
        let text = format!("{shipped}\n{own}");
        step.setup.policy = Policy::read("scenario", &text)
            .unwrap_or_else(|error| panic!("{}: {error}", story.name));
        step.setup.keys.fingerprint = Some(Key32([7; 32]));
        // The stories are about what the policy says; what is unusual has tests of its own.
        step.setup.behavior.mode = weir::baseline::Mode::Off;
        Self {
            step,
            rules,
            file,
            orders: Orders::default(),
            state: Partition::default(),
            log: Vec::new(),
            forget,
            // Thursday, 1 January 2026, 12:00 UTC.
            now: 1_767_268_800_000,
            offset: 0,
            last_hold: None,
            out: Vec::new(),
        }
    }

    /// Runs something on the state, and keeps what it changes.
    fn staged(&mut self, act: impl FnOnce(&Step, &Orders, &mut Staged<'_>, &mut Vec<OutRecord>)) {
        let mut staged = Staged::new(&self.state);
        act(&self.step, &self.orders, &mut staged, &mut self.out);
        let changes = staged.into_changes();
        self.log.extend(changes.records());
        self.state.apply(changes);
        if self.forget {
            let mut restored = Partition::default();
            for (key, value) in &self.log {
                restored.restore(key, value.as_deref()).unwrap();
            }
            assert!(restored.remembers_as(&self.state));
            self.state = restored;
        }
    }

    /// Sends one event; returns its verdict.
    fn event(&mut self, event: &Map<String, Value>) -> Value {
        let mut said = self.file.event.clone();
        said.extend(event.clone());
        let event = written(said, self.offset, self.now);
        let record = InRecord {
            partition: 0,
            offset: self.offset,
            timestamp: Millis(self.now),
            key: Some(b"bot".to_vec()),
            value: Some(event.to_string().into_bytes()),
            headers: Vec::new(),
        };
        let before = self.out.len();
        let rules = self.rules;
        self.staged(|step, orders, staged, out| {
            let scanned = step.scan(&mut rules.scratch(), &record);
            step.record(staged, orders, &record, &scanned, 0, out);
        });
        self.offset += 1;
        self.now += 1_000;
        let of = |topic| {
            let sent = self.out[before..].iter().filter(move |record| record.topic == topic);
            sent.map(|record| record.value.as_ref().unwrap()).collect::<Vec<_>>()
        };
        let (verdicts, audits, clean) = (of(Topic::Verdicts), of(Topic::Audit), of(Topic::Clean));
        assert_eq!((verdicts.len(), audits.len()), (1, 1), "{event}");
        let verdict: Value = serde_json::from_slice(verdicts[0]).unwrap();
        let audit: Value = serde_json::from_slice(audits[0]).unwrap();
        for key in ["event_id", "action", "enforced", "mode"] {
            assert_eq!(verdict[key], audit[key], "{event}");
        }
        let held_back = verdict["enforced"] == true
            && (verdict["action"] == "block" || verdict["action"] == "retry");
        assert_eq!(clean.is_empty(), held_back, "{verdict}");
        if let Some(id) = verdict["hold"]["id"].as_str() {
            self.last_hold = Some(id.to_owned());
        }
        verdict
    }

    fn order(&mut self, command: Command) {
        let offset = self.orders.offset;
        let order = Order { offset, command, by: "soc".into(), reason: "test".into() };
        self.orders.apply(&order);
        self.staged(|step, _, staged, out| step.control(staged, 0, &order, out));
    }

    fn timers(&mut self, until: i64) {
        self.staged(|step, _, staged, out| step.timers(staged, 0, Millis(until), out));
    }
}

/// An event v1 from the short form of a step.
fn written(mut said: Map<String, Value>, offset: i64, now: i64) -> Value {
    let mut take = |name: &str| said.remove(name).filter(|value| !value.is_null());
    let mut tool = Map::new();
    let mut kind = None;
    let mut text = None;
    for (name, is) in [("prompt", "prompt"), ("output", "output")] {
        if let Some(value) = take(name) {
            kind = Some(is);
            text = Some(value);
        }
    }
    for (name, is) in [("call", "tool_call"), ("result", "tool_result")] {
        if let Some(name) = take(name) {
            kind = Some(is);
            tool.insert("name".into(), name);
        }
    }
    for (name, field) in [
        ("params", "params"),
        ("content", "result"),
        ("rows", "rows"),
        ("bytes", "bytes"),
        ("error", "error"),
        ("call_id", "call_id"),
    ] {
        if let Some(value) = take(name) {
            tool.insert(field.into(), value);
        }
    }
    let agent = take("agent").unwrap_or(json!("bot"));
    let mut agent = json!({ "id": agent });
    if let Some(name) = take("type") {
        agent["type"] = name;
    }
    let id = take("id").unwrap_or(json!(format!("e{offset}")));
    let ts = take("ts").unwrap_or(json!(now));
    let kind = kind.expect("a step is one of prompt, output, call, result");
    let mut event = json!({ "v": 1, "id": id, "ts": ts, "kind": kind, "agent": agent });
    if let Some(text) = text {
        event["text"] = text;
    }
    if !tool.is_empty() {
        event["tool"] = Value::Object(tool);
    }
    if let Some(cost) = take("cost_usd") {
        event["usage"] = json!({ "cost_usd": cost });
    }
    for name in ["tenant", "session", "user", "data_classes", "messages", "delegation"] {
        if let Some(value) = take(name) {
            event[name] = value;
        }
    }
    assert!(said.is_empty(), "unknown words in a step: {said:?}");
    event
}

/// Milliseconds of `5s`, `31m`, `2h`, `1d`.
fn duration(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => panic!("`{text}` is no duration"),
    };
    number.parse::<i64>().unwrap() * unit
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

/// Holds a verdict to what a step expects of it.
fn check(verdict: &Value, step: &Map<String, Value>, place: &str) {
    let reasons = verdict["reasons"].as_array().unwrap();
    if let Some(then) = step.get("then") {
        assert_eq!(verdict["action"], *then, "{place}: {verdict:#}");
    }
    if let Some(why) = step.get("why") {
        let rules: Vec<&str> = reasons
            .iter()
            .filter(|reason| reason["confidence"] != "low")
            .map(|reason| reason["rule"].as_str().unwrap())
            .collect();
        assert_eq!(rules, texts(why), "{place}");
    }
    if let Some(wanted) = step.get("severity") {
        assert!(reasons.iter().any(|reason| reason["severity"] == *wanted), "{place}: {verdict:#}");
    }
    if let Some(enforced) = step.get("enforced") {
        assert_eq!(verdict["enforced"], *enforced, "{place}");
    }
    if let Some(hold) = step.get("hold") {
        assert_eq!(verdict["hold"].is_object(), *hold, "{place}");
    }
    if let Some(Value::Bool(repeat)) = step.get("repeat") {
        assert_eq!(verdict["repeat"] == true, *repeat, "{place}");
    }
    if let Some(at_most) = step.get("retry_within") {
        let wait = verdict["retry_after_ms"].as_i64().unwrap();
        assert!(wait > 0 && wait <= duration(at_most.as_str().unwrap()), "{place}: {wait}");
    }
    if let Some(hint) = step.get("hint") {
        let told = verdict["retry_hint"].as_str().unwrap_or_default();
        assert!(told.contains(hint.as_str().unwrap()), "{place}: {told}");
    }
    if let Some(message) = step.get("message") {
        let message = message.as_str().unwrap();
        let told = |reason: &Value| reason["message"].as_str().unwrap().contains(message);
        assert!(reasons.iter().any(told), "{place}: {verdict:#}");
    }
}

const EXPECTED: &[&str] = &[
    "then",
    "why",
    "severity",
    "enforced",
    "hold",
    "repeat",
    "retry_within",
    "hint",
    "message",
    "times",
];

fn scope(text: &str) -> Scope {
    match text.split_once(' ') {
        None if text == "all" => Scope::All,
        Some(("agent", id)) => Scope::Agent(String::new(), id.into()),
        Some(("type", id)) => Scope::Type(id.into()),
        Some(("tenant", id)) => Scope::Tenant(id.into()),
        Some(("session", ids)) => {
            let (agent, session) = ids.split_once(' ').unwrap();
            Scope::Session(String::new(), agent.into(), session.into())
        }
        _ => panic!("`{text}` is no scope"),
    }
}

fn tell(run: &mut Run<'_>, story: &Story, place: &str) {
    for (at, step) in story.steps.iter().enumerate() {
        let place = format!("{place}, step {}", at + 1);
        let text = |name: &str| step.get(name).and_then(Value::as_str);
        if let Some(wait) = text("wait") {
            run.now += duration(wait);
            let until = run.now;
            run.timers(until);
        } else if let Some(at) = text("at") {
            let at: jiff::Timestamp = at.parse().unwrap();
            assert!(at.as_millisecond() >= run.now, "{place}: time does not run back");
            run.now = at.as_millisecond();
        } else if let Some(whom) = text("kill") {
            run.order(Command::Kill { scope: scope(whom), on: true });
        } else if let Some(whom) = text("resume") {
            run.order(Command::Kill { scope: scope(whom), on: false });
        } else if let Some(whom) = text("shadow") {
            run.order(Command::Mode { scope: scope(whom), mode: Some(Mode::Shadow) });
        } else if let Some(hold) = text("approve") {
            let last = run.last_hold.clone().unwrap_or_default();
            let hold = if hold == "last" { last } else { hold.to_owned() };
            run.order(Command::Approve { hold });
        } else {
            let mut event = step.clone();
            event.retain(|name, _| !EXPECTED.contains(&name.as_str()));
            for _ in 0..step.get("times").and_then(Value::as_u64).unwrap_or(1) {
                let verdict = run.event(&event);
                check(&verdict, step, &place);
            }
        }
    }
    run.timers(i64::MAX);
}

#[test]
fn every_story_ends_as_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut stories = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file: File =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let own = file.rules.as_ref().map(|text| {
            let path = "canaries/own.yml".to_owned();
            compiled(load(&[SourceFile { path, text: text.clone() }]).unwrap())
        });
        let rules = own.as_ref().unwrap_or(if file.packs { &PACKS } else { &NONE });
        for story in &file.stories {
            let place = format!("{name}, {}", story.name);
            let mut run = Run::new(&file, rules, story, false);
            tell(&mut run, story, &place);
            // What crashes do to state, is quadratic to try out.
            if run.offset < 200 {
                let mut again = Run::new(&file, rules, story, true);
                tell(&mut again, story, &place);
                assert_eq!(run.out, again.out, "{place}: other records after a crash");
            }
            let audits: Vec<&[u8]> = run
                .out
                .iter()
                .filter(|record| record.topic == Topic::Audit)
                .map(|record| record.value.as_deref().unwrap())
                .collect();
            assert!(verify(&audits, &[], None).is_intact(), "{place}");
            let alerts: Vec<String> = run
                .out
                .iter()
                .filter(|record| record.topic == Topic::Alerts)
                .map(|record| alert(record.value.as_deref().unwrap()))
                .collect();
            if let Some(expected) = &story.alerts {
                assert_eq!(&alerts, expected, "{place}");
            }
            stories += 1;
        }
    }
    assert!(stories >= 60, "{stories} stories");
}

/// State, what was done, and family; how many signs where it is more than one.
fn alert(value: &[u8]) -> String {
    let alert: Value = serde_json::from_slice(value).unwrap();
    let ours = &alert["unmapped"]["weir"];
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let count = alert["count"].as_u64().unwrap_or(1);
    let count = if count > 1 { format!(" {count}") } else { String::new() };
    let done = text(&alert["disposition"]).to_lowercase();
    format!("{} {done} {}{count}", text(&ours["state"]), text(&ours["family"]))
}
