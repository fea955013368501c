//! Behaviour through the whole step: events in, `behavior` alerts out, and the same again.

use std::fmt::Write as _;

use serde_json::Value;
use weir::baseline::Mode;
use weir::event::Millis;
use weir::pipeline::log::{InRecord, OutRecord, Topic};
use weir::pipeline::step::{Sequential, Step};

use crate::decide::no_rules;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Monday, 5 January 2026, 00:00 UTC.
const START: i64 = 1_767_571_200_000;

struct Log(Vec<InRecord>);

impl Log {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn call(&mut self, ts: i64, tool: &str, more: &str) {
        let mut value = String::new();
        let offset = self.0.len();
        write!(
            value,
            r#"{{"v":1,"id":"e{offset}","ts":{ts},"kind":"tool_call","agent":{{"id":"bot","type":"support"}},"session":"s{}","tool":{{"name":"{tool}","params":{{"q":"order"{more}}}}},"usage":{{"tokens_in":300,"tokens_out":100}}}}"#,
            ts / HOUR
        )
        .unwrap();
        self.0.push(InRecord {
            partition: 0,
            offset: offset as i64,
            timestamp: Millis(ts),
            key: Some(b"bot".to_vec()),
            value: Some(value.into_bytes()),
            headers: Vec::new(),
        });
    }

    /// Ten calls in every hour of so many days.
    fn steady(&mut self, days: i64) {
        for hour in 0..days * 24 {
            for n in 0..10 {
                self.call(START + hour * HOUR + n * 20_000, "search", "");
            }
        }
    }
}

fn step(mode: Mode) -> Step {
    let mut step = Step::new("weir.events", 0, "none");
    step.setup.behavior.mode = mode;
    step
}

fn run(step: &Step, log: &Log) -> Vec<OutRecord> {
    let rules = no_rules();
    let mut run = Sequential::new(step, &rules);
    let mut out = Vec::new();
    for record in &log.0 {
        run.record(record, &mut out);
    }
    run.timers(Millis(i64::MAX), &mut out);
    out
}

/// `unmapped.weir` of each alert, and its severity.
fn alerts(out: &[OutRecord]) -> Vec<(Value, i64)> {
    out.iter()
        .filter(|record| record.topic == Topic::Alerts)
        .map(|record| serde_json::from_slice::<Value>(record.value.as_ref().unwrap()).unwrap())
        .map(|alert| (alert["unmapped"]["weir"].clone(), alert["severity_id"].as_i64().unwrap()))
        .collect()
}

fn attack() -> Log {
    let mut log = Log::new();
    log.steady(20);
    // Six hundred calls in half an hour.
    for n in 0..600 {
        log.call(START + 20 * DAY + n * 3000, "search", "");
    }
    log
}

#[test]
fn a_burst_is_one_episode_with_typical_actual_and_score() {
    let out = run(&step(Mode::Calibrated), &attack());
    let alerts = alerts(&out);
    let states: Vec<&str> =
        alerts.iter().map(|(alert, _)| alert["state"].as_str().unwrap()).collect();
    assert_eq!(states.first(), Some(&"open"), "{alerts:?}");
    assert_eq!(states.last(), Some(&"closed"));
    assert_eq!(states.iter().filter(|state| **state == "open").count(), 1, "{states:?}");
    let open = &alerts[0].0;
    assert_eq!((open["family"].as_str(), open["agent"].as_str()), (Some("behavior"), Some("bot")));
    assert!(open["session"].is_null());
    assert!(open["signal"].as_str().unwrap().starts_with("behavior."));
    let number = |name: &str| open[name].as_f64().unwrap();
    assert!(number("actual") > 2.0 * number("typical"));
    assert!((10.0..=100.0).contains(&number("score")));
}

#[test]
fn the_fixed_rules_are_on_record_and_sent_only_where_the_settings_say_so() {
    let mut log = Log::new();
    log.steady(5);
    for n in 0..22 {
        log.call(START + 5 * DAY + 30 * 60_000 + n * 60_000, "search", "");
    }
    log.call(START + 5 * DAY + HOUR + 40 * 60_000, "export", "");
    let out = run(&step(Mode::Calibrated), &log);
    assert!(alerts(&out).is_empty(), "{:?}", alerts(&out));
    let verdicts: Vec<String> = out
        .iter()
        .filter(|record| record.topic == Topic::Verdicts)
        .map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap())
        .collect();
    let hits: Vec<&String> =
        verdicts.iter().filter(|verdict| verdict.contains("behavior.rule.new_tool")).collect();
    assert_eq!(hits.len(), 1);
    assert!(hits[0].contains("not used in the last 30 days: 5 against 30"), "{}", hits[0]);
    assert!(hits[0].contains(r#""action":"allow""#));

    let sent = alerts(&run(&step(Mode::Literal), &log));
    assert_eq!(sent[0].0["signal"], "behavior.rule.new_tool");
    assert!(alerts(&run(&step(Mode::Off), &log)).is_empty());
}

#[test]
fn a_replay_of_yesterday_moves_no_baseline_and_tells_nothing() {
    let mut log = Log::new();
    log.steady(10);
    let first = run(&step(Mode::Calibrated), &log);
    assert!(alerts(&first).is_empty());
    // The last day's records once more, an hour later by the log's clock.
    let replay: Vec<InRecord> = log.0.iter().rev().take(240).cloned().collect();
    for mut record in replay.into_iter().rev() {
        record.offset = log.0.len() as i64;
        record.timestamp = Millis(START + 10 * DAY + HOUR);
        log.0.push(record);
    }
    let again = run(&step(Mode::Calibrated), &log);
    let told: Vec<(Value, i64)> =
        alerts(&again).into_iter().filter(|(alert, _)| alert["family"] == "behavior").collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn the_same_log_gives_the_same_outputs_and_state() {
    let log = attack();
    let step = step(Mode::Calibrated);
    let rules = no_rules();
    let (mut a, mut b) = (Sequential::new(&step, &rules), Sequential::new(&step, &rules));
    let (mut out_a, mut out_b) = (Vec::new(), Vec::new());
    for record in &log.0 {
        a.record(record, &mut out_a);
        b.record(record, &mut out_b);
    }
    assert!(out_a == out_b);
    assert!(a.states()[&0].remembers_as(&b.states()[&0]));
}

#[test]
fn a_destination_in_the_parameters_is_a_first_use_like_a_tool() {
    let mut log = Log::new();
    for hour in 0..15 * 24 {
        for n in 0..4 {
            let to = r#","url":"https://crm.example.org/x""#;
            log.call(START + hour * HOUR + n * 20_000, "send", to);
        }
    }
    let known = run(&step(Mode::Calibrated), &log);
    assert!(alerts(&known).is_empty());
    let states = {
        let step = step(Mode::Calibrated);
        let rules = no_rules();
        let mut run = Sequential::new(&step, &rules);
        let mut out = Vec::new();
        for record in &log.0 {
            run.record(record, &mut out);
        }
        run.states()[&0].count(weir::state::owner::PROFILE)
    };
    assert_eq!(states, 1);
}

/// One agent's tool fails first, then everybody's: the alert of the first is corrected, its
/// score is not.
#[test]
fn evidence_that_a_whole_hour_does_not_bear_out_is_taken_back_in_an_update() {
    let mut log = Log::new();
    let mut result = |ts: i64, who: usize, failed: bool| {
        let offset = log.0.len();
        let error = if failed { r#","error":"upstream failed""# } else { "" };
        let value = format!(
            r#"{{"v":1,"id":"e{offset}","ts":{ts},"kind":"tool_result","agent":{{"id":"bot{who}","type":"support"}},"session":"s{who}-{}","tool":{{"name":"search","result":"x","bytes":0{error}}}}}"#,
            ts / HOUR
        );
        log.0.push(InRecord {
            partition: 0,
            offset: offset as i64,
            timestamp: Millis(ts),
            key: Some(format!("bot{who}").into_bytes()),
            value: Some(value.into_bytes()),
            headers: Vec::new(),
        });
    };
    for hour in 0..10 * 24 {
        for n in 0..8 {
            for who in 0..8 {
                let failed = (hour * 8 + n + who as i64 * 6) % 50 == 0;
                result(START + hour * HOUR + n * 300_000 + who as i64, who, failed);
            }
        }
    }
    let start = START + 10 * DAY;
    // Late enough in the hour for the episode to be open still when the hour closes.
    for n in 0..20 {
        result(start + 15 * 60_000 + n * 10_000, 0, true);
    }
    for n in 0..60 {
        for who in 1..8 {
            result(start + 25 * 60_000 + n * 20_000 + who as i64, who, true);
        }
    }
    for n in 0..6 {
        result(start + 46 * 60_000 + n * 310_000, 0, false);
    }
    let of_first: Vec<Value> = alerts(&run(&step(Mode::Calibrated), &log))
        .into_iter()
        .map(|(alert, _)| alert)
        .filter(|alert| alert["agent"] == "bot0" && alert["family"] == "behavior")
        .collect();
    assert_eq!(of_first[0]["state"], "open", "{of_first:?}");
    assert_eq!(of_first[0]["signal"], "behavior.errors");
    let corrected: Vec<&Value> =
        of_first.iter().filter(|alert| alert["signal"] == "anomaly.corrected").collect();
    let [correction] = corrected[..] else { panic!("{of_first:?}") };
    assert_eq!(correction["state"], "update");
    assert_eq!(correction["corrected"]["hour"].as_i64(), Some(start));
    let withdrawn = correction["corrected"]["withdrawn"].as_array().unwrap();
    assert!(withdrawn.contains(&Value::from("behavior.errors")), "{correction}");
    let closed = of_first.last().unwrap();
    assert_eq!(
        (&closed["state"], &closed["signal"]),
        (&"closed".into(), &"behavior.errors".into())
    );
    for told in &of_first {
        assert_eq!(told["episode"], of_first[0]["episode"]);
        assert!(told["score"].as_f64() >= of_first[0]["score"].as_f64(), "{told}");
    }
    assert_eq!(correction["score"], closed["score"], "a score is never rewritten");
}
