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
use serde_json::{Map, Value};

use weir::audit::verify;
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::event::Millis;
use weir::inspect::Readers;
use weir::patterns::{RuleSet, SourceFile, builtin, load};
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::Step;
use weir::policy::{Command, Grant, Mode, Order, Orders, Policy, Scope, Silence};
use weir::redact::Key32;
use weir::state::{Partition, Staged};

use crate::story::{EXPECTED, written};

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
    /// Limits of deciding that are not as shipped: only those of streams are known here.
    limits: Option<Map<String, Value>>,
    /// How many records the audit has, beside those of orders.
    audits: Option<usize>,
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
    /// The state is thrown away after so many steps and read back; 0 is never.
    forget: u32,
    steps: u32,
    now: i64,
    offset: i64,
    last_hold: Option<String>,
    out: Vec<OutRecord>,
    /// Where the outputs of the last step begin.
    before: usize,
    /// What is not as a story tells it.
    wrong: Vec<String>,
}

impl<'f> Run<'f> {
    fn new(file: &'f File, rules: &'f Rules, story: &Story, forget: u32) -> Self {
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
        for (name, value) in story.limits.iter().flatten() {
            let number = value.as_i64().unwrap();
            let limits = &mut step.setup.limits;
            match name.as_str() {
                "streams" => limits.streams = number as usize,
                "streams_per_agent" => limits.streams_per_agent = number as u64,
                "stream_idle_ms" => limits.stream_idle_ms = number,
                "stream_hold_ms" => limits.stream_hold_ms = number,
                "stream_keep_ms" => limits.stream_keep_ms = number,
                _ => panic!("{}: `{name}` is no limit that is known here", story.name),
            }
        }
        Self {
            step,
            rules,
            file,
            orders: Orders::default(),
            state: Partition::default(),
            log: Vec::new(),
            forget,
            steps: 0,
            // Thursday, 1 January 2026, 12:00 UTC.
            now: 1_767_268_800_000,
            offset: 0,
            last_hold: None,
            out: Vec::new(),
            before: 0,
            wrong: Vec::new(),
        }
    }

    /// Runs something on the state, and keeps what it changes.
    fn staged(
        &mut self,
        act: impl FnOnce(&Step, (&Orders, &mut Readers<'_>), &mut Staged<'_>, &mut Vec<OutRecord>),
    ) {
        let mut staged = Staged::new(&self.state);
        let mut readers = Readers::new(self.rules, "pack");
        act(&self.step, (&self.orders, &mut readers), &mut staged, &mut self.out);
        let changes = staged.into_changes();
        self.log.extend(changes.records());
        self.state.apply(changes);
        self.steps += 1;
        if self.forget > 0 && self.steps.is_multiple_of(self.forget) {
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
        self.before = before;
        let rules = self.rules;
        self.staged(|step, with, staged, out| {
            let scanned = step.scan(&mut rules.scratch(), &record);
            step.record(staged, with, &record, &scanned, 0, out);
        });
        self.offset += 1;
        self.now += 1_000;
        let of = |topic| {
            let sent = self.out[before..].iter().filter(move |record| record.topic == topic);
            sent.map(|record| record.value.as_ref().unwrap()).collect::<Vec<_>>()
        };
        let (verdicts, audits, clean) = (of(Topic::Verdicts), of(Topic::Audit), of(Topic::Clean));
        if event["kind"] == "output_chunk" {
            // Timers and streams that must make room speak first, and not each chunk is audited.
            let verdict: Value = serde_json::from_slice(verdicts.last().unwrap()).unwrap();
            assert_eq!(verdict["event_id"], event["id"]);
            return verdict;
        }
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
        self.before = self.out.len();
        self.staged(|step, _, staged, out| step.control(staged, 0, &order, out));
    }

    fn timers(&mut self, until: i64) {
        self.before = self.out.len();
        self.staged(|step, with, staged, out| {
            step.timers(staged, with, 0, Millis(until), out);
        });
    }
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

impl Run<'_> {
    /// Holds what the last step wrote to what the step expects of a stream. All that differs in a
    /// story is told at once: what is held back shows in the chunks that follow.
    fn check_stream(&mut self, step: &Map<String, Value>, place: &str) {
        let of = |topic| {
            let sent = self.out[self.before..].iter().filter(move |record| record.topic == topic);
            sent.map(|record| -> Value {
                serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
            })
            .next_back()
        };
        let (verdict, clean) = (of(Topic::Verdicts).unwrap_or_default(), of(Topic::Clean));
        let clean = clean.map_or(Value::Null, |clean| clean["text"].clone());
        let words = [
            ("clean", &clean),
            ("through", &verdict["clean_through"]),
            ("ended", &verdict["stream"]["ended"]),
            ("so_far", &verdict["stream"]["action"]),
        ];
        for (word, is) in words {
            if let Some(wanted) = step.get(word).filter(|wanted| *wanted != is) {
                self.wrong.push(format!("{place}: {word} is {is}, not {wanted}"));
            }
        }
        if step.contains_key("wait") && step.contains_key("then") {
            check(&verdict, step, place);
        }
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

/// What the audit says of signs that were not told, as `policy by nightly`.
fn kept_back(out: &[OutRecord]) -> Vec<String> {
    let mut audits = out.iter().filter(|record| record.topic == Topic::Audit);
    let last: Value =
        serde_json::from_slice(audits.next_back().unwrap().value.as_ref().unwrap()).unwrap();
    let kept = last["kept_back"].as_array().into_iter().flatten();
    kept.map(|kept| {
        assert!(kept["count"].as_u64().unwrap() > 0, "{kept}");
        let by = kept["window"].as_str().unwrap_or_else(|| kept["by"].as_str().unwrap());
        format!("{} by {by}", kept["family"].as_str().unwrap())
    })
    .collect()
}

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
            run.check_stream(step, &place);
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
        } else if let Some(whom) = text("enforce") {
            run.order(Command::Mode { scope: scope(whom), mode: None });
        } else if let Some(whom) = text("suppress") {
            let after = |name: &str| text(name).map(|span| Millis(run.now + duration(span)));
            let silence = Silence {
                signal: text("signal").map(str::to_owned),
                tool: text("tool").map(str::to_owned),
                from: after("from"),
                until: after("for").expect("a silence has an end"),
            };
            run.order(Command::Suppress { scope: scope(whom), silence });
        } else if let Some(tool) = text("grant") {
            let expires = Millis(run.now + duration(text("for").expect("a grant has an end")));
            let uses = step["uses"].as_u64().unwrap() as u32;
            let grant =
                Grant { scope: scope("agent bot"), tool: tool.into(), params: None, uses, expires };
            run.order(Command::Grant(grant));
        } else if let Some(hold) = text("approve") {
            let last = run.last_hold.clone().unwrap_or_default();
            let hold = if hold == "last" { last } else { hold.to_owned() };
            run.order(Command::Approve { hold });
        } else {
            let mut event = step.clone();
            event.retain(|name, _| !EXPECTED.contains(&name.as_str()));
            for _ in 0..step.get("times").and_then(Value::as_u64).unwrap_or(1) {
                let before = run.out.len();
                let verdict = run.event(&event);
                run.check_stream(step, &place);
                check(&verdict, step, &place);
                if let Some(not_told) = step.get("not_told") {
                    assert_eq!(kept_back(&run.out[before..]), texts(not_told), "{place}");
                }
                if let Some(figures) = step.get("figures") {
                    let alerts = run.out[before..].iter().filter(|out| out.topic == Topic::Alerts);
                    let told: Vec<Value> = alerts
                        .map(|out| serde_json::from_slice(out.value.as_ref().unwrap()).unwrap())
                        .collect();
                    let ours = &told[0]["unmapped"]["weir"];
                    let told = [ours["typical"].as_f64(), ours["actual"].as_f64()];
                    let wanted: Vec<Option<f64>> =
                        figures.as_array().unwrap().iter().map(Value::as_f64).collect();
                    assert_eq!(told.as_slice(), wanted, "{place}");
                }
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
    let (mut stories, mut wrong) = (0, Vec::new());
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
            let mut run = Run::new(&file, rules, story, 0);
            tell(&mut run, story, &place);
            wrong.append(&mut run.wrong);
            // What crashes do to state, is quadratic to try out: in a long story now and then.
            let every = if run.offset < 200 { 1 } else { 997 };
            let mut again = Run::new(&file, rules, story, every);
            tell(&mut again, story, &place);
            assert_eq!(run.out, again.out, "{place}: other records after a crash");
            let audits: Vec<&[u8]> = run
                .out
                .iter()
                .filter(|record| record.topic == Topic::Audit)
                .map(|record| record.value.as_deref().unwrap())
                .collect();
            assert!(verify(&audits, &[], None).is_intact(), "{place}");
            if let Some(wanted) = story.audits {
                assert_eq!(audits.len(), wanted, "{place}: records of the audit");
            }
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
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(stories >= 80, "{stories} stories");
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
