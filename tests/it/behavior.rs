//! Behaviour through the whole step: events in, `behavior` alerts out, and the same again.

use std::fmt::Write as _;

use serde_json::Value;
use weir::baseline::Mode;
use weir::event::Millis;
use weir::inspect::{Table, partition_of};
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
    taken_back(15);
}

/// The hour ends an hour after its first minute, and closes ten minutes and an event later.
#[test]
fn evidence_of_an_hours_first_minutes_can_still_be_taken_back_when_the_hour_closes() {
    taken_back(0);
}

fn taken_back(minute: i64) {
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
    for n in 0..20 {
        result(start + minute * 60_000 + n * 10_000, 0, true);
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

/// Twelve agents of one class that do the same every hour.
struct Fleet {
    log: Log,
    agents: usize,
}

impl Fleet {
    fn steady(days: i64) -> Self {
        let mut fleet = Self { log: Log::new(), agents: 12 };
        for hour in 0..days * 24 {
            for n in 0..8 {
                for who in 0..fleet.agents {
                    let ts = START + hour * HOUR + n * 240_000 + who as i64 * 1_000;
                    // No two calls alike: a constant series would make anything critical.
                    let tokens = 300 + (hour * 37 + n * 101 + who as i64 * 53) % 300;
                    fleet.event(ts, ts, (who, "d1"), tokens);
                }
            }
        }
        fleet
    }

    fn event(&mut self, ts: i64, now: i64, (who, deployment): (usize, &str), tokens: i64) {
        let offset = self.log.0.len();
        let value = format!(
            r#"{{"v":1,"id":"e{offset}","ts":{ts},"kind":"tool_call","agent":{{"id":"bot{who:02}","type":"support"}},"session":"s{who}-{}","deployment":{{"id":"{deployment}"}},"model":"m-9","tool":{{"name":"search","params":{{"q":"order"}}}},"usage":{{"tokens_in":{tokens},"tokens_out":0}}}}"#,
            ts / HOUR
        );
        self.log.0.push(InRecord {
            partition: 0,
            offset: offset as i64,
            timestamp: Millis(now),
            key: Some(format!("bot{who:02}").into_bytes()),
            value: Some(value.into_bytes()),
            headers: Vec::new(),
        });
    }

    /// A rollout to all of them, after which each call takes six times the tokens. `delay` is how
    /// much later than it happened an event arrives.
    fn rollout(&mut self, start: i64, hours: i64, delay: impl Fn(usize, i64) -> i64) {
        let mut events = Vec::new();
        for hour in 0..hours {
            for n in 0..8 {
                for who in 0..self.agents {
                    let ts = start + hour * HOUR + n * 240_000 + who as i64 * 1_000;
                    let tokens = 6 * (300 + (hour * 37 + n * 101 + who as i64 * 53) % 300);
                    events.push((ts + delay(who, ts), ts, who, tokens));
                }
            }
        }
        events.sort_unstable();
        for (now, ts, who, tokens) in events {
            self.event(ts, now, (who, "d2"), tokens);
        }
    }

    fn told(&self) -> Vec<Value> {
        let alerts = alerts(&run(&step(Mode::Calibrated), &self.log));
        alerts.into_iter().map(|(alert, _)| alert).filter(|a| a["family"] == "behavior").collect()
    }
}

fn opened(told: &[Value]) -> Vec<(&str, &str)> {
    let open = told.iter().filter(|alert| alert["state"] == "open");
    open.map(|alert| (alert["agent"].as_str().unwrap(), alert["signal"].as_str().unwrap()))
        .collect()
}

const ROLLED_OUT: i64 = START + 10 * DAY + 9 * HOUR;

#[test]
fn a_rollout_that_changes_all_agents_of_a_class_is_one_alert() {
    let mut fleet = Fleet::steady(10);
    assert!(fleet.told().is_empty());
    fleet.rollout(ROLLED_OUT, 3, |_, _| 0);
    let told = fleet.told();
    assert_eq!(opened(&told), [("bot00", "behavior.group")], "{told:#?}");
    let closed: Vec<&Value> = told.iter().filter(|alert| alert["state"] == "closed").collect();
    let [closed] = closed[..] else { panic!("{told:#?}") };
    let group = &closed["group"];
    assert_eq!((&group["agents"], &group["type"]), (&12.into(), &"support".into()), "{group}");
    let shared: Vec<(&str, &str)> = group["shared"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["what"].as_str().unwrap(), one["value"].as_str().unwrap()))
        .collect();
    assert_eq!(shared, [("deployment", "d2"), ("model", "m-9"), ("tool", "search")]);
    assert_eq!(group["members"].as_array().unwrap().len(), 12);
    assert_eq!(closed["episode"], told[0]["episode"]);
}

/// One of them also uses thirty times the tokens of the others, and another makes four hundred calls.
#[test]
fn an_attack_on_one_agent_inside_a_rollout_is_told() {
    let mut fleet = Fleet::steady(10);
    fleet.rollout(ROLLED_OUT, 2, |_, _| 0);
    let later = ROLLED_OUT + 2 * HOUR;
    fleet.rollout(later, 1, |_, _| 0);
    for n in 0..10 {
        let ts = later + 50 * 60_000 + n * 1000;
        fleet.event(ts, ts, (3, "d2"), 80_000);
    }
    for n in 0..400 {
        let ts = later + 51 * 60_000 + n * 100;
        fleet.event(ts, ts, (5, "d2"), 400);
    }
    let told = fleet.told();
    let opened = opened(&told);
    assert_eq!(opened.iter().filter(|one| one.1 == "behavior.group").count(), 1, "{opened:?}");
    for agent in ["bot03", "bot05"] {
        assert!(opened.iter().any(|one| one.0 == agent), "{agent}: {opened:?}");
    }
    assert_eq!(opened.len(), 3, "{opened:?}");
}

/// Whatever order the events of a rollout come in, within ten minutes, the group says the same.
#[test]
fn a_group_is_the_same_in_any_order_of_arrival_within_the_lateness() {
    let mut expected = None;
    for seed in 0..6_i64 {
        let mut fleet = Fleet::steady(10);
        fleet.rollout(ROLLED_OUT, 3, |who, ts| {
            // From nothing to nine minutes, by agent and time; none for the first.
            seed * ((who as i64 * 7919 + ts / 1000 * 104_729) % 540_000) / 5
        });
        let told = fleet.told();
        let opened: Vec<&str> = opened(&told).into_iter().map(|one| one.1).collect();
        assert_eq!(opened, ["behavior.group"], "{seed}: {told:#?}");
        let closed = told.iter().find(|alert| alert["state"] == "closed").unwrap();
        let group = closed["group"].clone();
        assert_eq!(expected.get_or_insert(group.clone()), &group, "{seed}");
    }
}

/// The same fleet over four partitions, none of which has five of its agents in trouble alone.
#[test]
fn a_rollout_over_several_partitions_is_one_alert_where_they_tell_each_other() {
    let mut fleet = Fleet::steady(10);
    fleet.rollout(ROLLED_OUT, 3, |_, _| 0);
    let mut step = step(Mode::Calibrated);
    step.partitions = 4;
    let mut offsets = [0; 4];
    for record in &mut fleet.log.0 {
        let agent = std::str::from_utf8(record.key.as_ref().unwrap()).unwrap();
        record.partition = partition_of(agent, 4);
        let offset = &mut offsets[record.partition as usize];
        record.offset = *offset;
        *offset += 1;
    }
    let behavior = |out: &[OutRecord]| -> Vec<Value> {
        let told = alerts(out).into_iter().map(|(alert, _)| alert);
        told.filter(|alert| alert["family"] == "behavior").collect()
    };
    let told = behavior(&run(&step, &fleet.log));
    assert_eq!(opened(&told).iter().filter(|one| one.1 == "behavior.group").count(), 1);
    assert_eq!(opened(&told).len(), 1, "{told:#?}");
    let closed = told.iter().find(|alert| alert["state"] == "closed").unwrap();
    assert_eq!(closed["group"]["agents"], 12, "{closed}");

    // Where they cannot hear each other every agent is told by itself.
    let (rules, mut out) = (no_rules(), Vec::new());
    let mut deaf = Sequential::new(&step, &rules);
    for record in &fleet.log.0 {
        deaf.record_among(Table::NONE, record, |_, _| (), &mut out);
    }
    deaf.timers(Millis(i64::MAX), &mut out);
    let told = behavior(&out);
    assert_eq!(opened(&told).len(), 12, "{told:#?}");
}

/// State thrown away again and again and read back from its changelog, as after a crash.
#[test]
fn groups_and_profiles_survive_a_restore_byte_for_byte() {
    let mut fleet = Fleet::steady(6);
    let mut rolled = Fleet { log: Log::new(), agents: 12 };
    std::mem::swap(&mut rolled.log, &mut fleet.log);
    rolled.rollout(START + 6 * DAY + 9 * HOUR, 2, |_, _| 0);
    let (step, rules) = (step(Mode::Calibrated), no_rules());
    let whole = run(&step, &rolled.log);
    let mut out = Vec::new();
    let mut kept = Vec::new();
    let mut state = weir::state::Partition::default();
    let mut readers = weir::inspect::Readers::new(&rules, "none");
    let orders = weir::policy::Orders::default();
    // From the last quiet hours on, through the rollout.
    let quiet = rolled.log.0.len() - 600;
    let mut cut = |out: &mut Vec<OutRecord>, n: usize, record: Option<&InRecord>| {
        let mut staged = weir::state::Staged::new(&state);
        match record {
            Some(record) => {
                let scanned = step.scan(&mut rules.scratch(), record);
                step.record(&mut staged, (&orders, &mut readers), record, &scanned, 0, out);
            }
            None => {
                step.timers(&mut staged, (&orders, &mut readers), 0, Millis(i64::MAX), out);
            }
        }
        let changes = staged.into_changes();
        kept.extend(changes.records());
        state.apply(changes);
        if n >= quiet && n.is_multiple_of(97) {
            let mut restored = weir::state::Partition::default();
            for (key, value) in &kept {
                restored.restore(key, value.as_deref()).unwrap();
            }
            assert!(restored.remembers_as(&state), "record {n}");
            state = restored;
        }
    };
    for (n, record) in rolled.log.0.iter().enumerate() {
        cut(&mut out, n, Some(record));
    }
    cut(&mut out, 0, None);
    let shown = |out: &[OutRecord]| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let alerts = out.iter().filter(|record| record.topic == Topic::Alerts);
        alerts.map(|record| (record.key.clone(), record.value.clone())).collect()
    };
    assert!(!shown(&out).is_empty());
    assert_eq!(shown(&out), shown(&whole));
}

/// Hundreds of thousands of names from one tenant (a million in the unit tests): what is remembered stays within its limits, what gives way is
/// counted, and one alert says so.
mod abuse {
    use weir::state::{Partition, owner};

    use super::*;

    /// How many names; `WEIR_TEST_FLOOD` overrides it.
    const NAMES: i64 = 200_000;

    fn names() -> i64 {
        std::env::var("WEIR_TEST_FLOOD")
            .map_or(NAMES, |text| text.parse().expect("WEIR_TEST_FLOOD is a number"))
    }

    /// Runs one event of each name; gives the counters, the state and the alerts' signals.
    fn flood(
        step: &Step,
        events: i64,
        write: impl Fn(i64) -> String,
    ) -> ([u64; 3], Partition, Vec<String>) {
        let rules = no_rules();
        let mut run = Sequential::new(step, &rules);
        let metrics = weir::pipeline::metrics::Metrics::default();
        let mut told = Vec::new();
        for n in 0..events {
            let value = write(n);
            let record = InRecord {
                partition: 0,
                offset: n,
                timestamp: Millis(START + n),
                key: None,
                value: Some(value.into_bytes()),
                headers: Vec::new(),
            };
            let mut out = Vec::new();
            let outcome = run.record(&record, &mut out);
            metrics.count(&outcome);
            told.extend(alerts(&out).into_iter().map(|(alert, _)| {
                format!(
                    "{} {}",
                    alert["signal"].as_str().unwrap(),
                    alert["state"].as_str().unwrap()
                )
            }));
        }
        let counted = [&metrics.profiles_evicted, &metrics.types_refused, &metrics.names_crowded];
        (counted.map(weir::pipeline::metrics::Counter::get), run.states()[&0].clone(), told)
    }

    fn opened(told: &[String], signal: &str) -> usize {
        told.iter().filter(|told| **told == format!("{signal} open")).count()
    }

    fn event(n: i64, agent: &str, kind: &str, tool: &str, more: &str) -> String {
        let ts = START + n;
        format!(
            r#"{{"v":1,"id":"e{n}","ts":{ts},"kind":"tool_call","tenant":"t","agent":{{"id":"{agent}"{kind}}},"tool":{{"name":"{tool}","params":{{{more}}}}}}}"#
        )
    }

    #[test]
    fn tools_of_one_agent_without_end() {
        let step = step(Mode::Calibrated);
        let (counted, state, told) =
            flood(&step, names(), |n| event(n, "bot", "", &format!("tool{n}"), ""));
        // All but the first twenty give way to others.
        assert_eq!(counted, [0, 0, (names() - 20) as u64]);
        assert_eq!(state.count(owner::PROFILE), 1);
        assert_eq!(opened(&told, "system.names_lost"), 1, "{told:?}");
        assert!(told.len() < 40, "{told:?}");
    }

    #[test]
    fn destinations_of_one_agent_without_end() {
        let step = step(Mode::Calibrated);
        let (counted, state, told) = flood(&step, names() / 2, |n| {
            event(n, "bot", "", "send", &format!(r#""url":"https://h{n}.example/""#))
        });
        assert_eq!(counted, [0, 0, (names() / 2 - 12) as u64]);
        assert_eq!(state.count(owner::PROFILE), 1);
        assert_eq!(opened(&told, "system.names_lost"), 1, "{told:?}");
        assert!(state.count(owner::CROWD) <= 4096 && told.len() < 40, "{told:?}");
    }

    #[test]
    fn agents_of_one_tenant_without_end() {
        let mut step = step(Mode::Calibrated);
        step.setup.limits.profiles = 500;
        let (counted, state, told) =
            flood(&step, names(), |n| event(n, &format!("bot{n}"), "", "search", ""));
        assert_eq!(counted, [(names() - 500) as u64, 0, 0]);
        assert_eq!((state.count(owner::PROFILE), state.count(owner::CLASS)), (500, 1));
        assert_eq!(opened(&told, "system.profiles_full"), 1, "{told:?}");
        assert!(told.len() < 40, "{told:?}");
    }

    #[test]
    fn two_thousand_types_of_agents() {
        let step = step(Mode::Calibrated);
        let (counted, state, told) = flood(&step, 2_000, |n| {
            event(n, &format!("bot{n}"), &format!(r#","type":"type{n}""#), "search", "")
        });
        assert_eq!(counted, [0, 1_000, 0]);
        // Those beyond share the nameless one.
        assert_eq!(state.count(owner::CLASS), 1_001);
        assert_eq!(opened(&told, "system.types_full"), 1, "{told:?}");
    }
}
