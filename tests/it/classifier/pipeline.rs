//! The classifier between the halves of the pipeline, on the log in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir::classify::{Settings, When};
use weir::detect::{EngineKind, Rules, ScanLimits};
use weir::finding::Scoring;
use weir::patterns::RuleSet;
use weir::pipeline::asking::Asking;
use weir::pipeline::control::Board;
use weir::pipeline::log::{Now, Topic};
use weir::pipeline::memory::{self, Cluster};
use weir::pipeline::run::{Pack, Site, run};
use weir::pipeline::step::Step;

use super::{ATTACK, open, settings};

struct Ran {
    verdicts: Vec<Value>,
    audit: Vec<Value>,
    alerts: Vec<Value>,
    site: Site,
}

/// Runs prompts through lanes until each has its verdict and `done` is content with the alerts.
fn ran(asking: Asking, texts: &[String], done: impl Fn(usize) -> bool) -> Ran {
    let now: Now = Arc::new(weir::clock::now);
    let of_log = memory::Settings { partitions: 1, ..memory::Settings::default() };
    let cluster = Cluster::new(of_log, Arc::clone(&now));
    let rules = Rules::compile(RuleSet::default(), ScanLimits::default(), EngineKind::Rust);
    let step = Step::new("weir.events", 1, "pack");
    let mut site = Site::new(Pack { rules: rules.unwrap(), step }, now);
    site.board = Board::fixed(weir::policy::Orders::default());
    site.asking = Some(asking);
    for (number, text) in texts.iter().enumerate() {
        let event = serde_json::json!({"v": 1, "id": format!("e{number}"), "kind": "prompt",
            "ts": weir::clock::now().0, "agent": {"id": "bot"}, "session": "s", "text": text});
        let value = Some(event.to_string().into_bytes());
        cluster.produce(Topic::Events, 0, Some(b"bot".to_vec()), value, Vec::new());
    }
    let read = |topic| cluster.read(topic, 0, 0, usize::MAX).0;
    std::thread::scope(|scope| {
        let lanes = scope.spawn(|| run(&cluster, &site, Box::new(|_| None)));
        let deadline = Instant::now() + Duration::from_mins(1);
        while read(Topic::Verdicts).len() < texts.len() || !done(read(Topic::Alerts).len()) {
            assert!(Instant::now() < deadline, "{} verdicts", read(Topic::Verdicts).len());
            cluster.wait(cluster.version(), Duration::from_millis(20));
        }
        site.stop.store(true, Ordering::Relaxed);
        lanes.join().unwrap();
    });
    let json = |topic| -> Vec<Value> {
        let values = read(topic);
        let values = values.iter().map(|stored| stored.value.as_deref().unwrap_or_default());
        values.map(|bytes| serde_json::from_slice(bytes).unwrap()).collect()
    };
    let (verdicts, audit, alerts) =
        (json(Topic::Verdicts), json(Topic::Audit), json(Topic::Alerts));
    Ran { verdicts, audit, alerts, site }
}

fn rules(verdict: &Value) -> Vec<&str> {
    verdict["reasons"].as_array().unwrap().iter().map(|r| r["rule"].as_str().unwrap()).collect()
}

#[test]
fn scores_join_their_events_in_order_before_they_are_decided() {
    let asking =
        Asking::new(open(&settings("three")), When::Untrusted, Duration::from_secs(30), true);
    let texts: Vec<String> = (0..200)
        .map(|n| match n % 4 {
            0 => format!("hello team number {n}, {ATTACK}"),
            1 => format!("the weather in the garden, note {n}"),
            2 => format!("{} {n}", "the weather today ".repeat(40)),
            _ => "1234".to_owned(),
        })
        .collect();
    let ran = ran(asking, &texts, |_| true);
    for (n, verdict) in ran.verdicts.iter().enumerate() {
        assert_eq!(verdict["event_id"], format!("e{n}"), "in order");
        let attack = n % 4 == 0;
        assert_eq!(verdict["action"], if attack { "block" } else { "allow" }, "{verdict}");
        assert_eq!(rules(verdict).contains(&"classifier.injection"), attack);
        let coverage = &verdict["coverage"];
        assert_eq!(coverage["classifier"], if n % 4 == 3 { "skipped" } else { "scored" });
        // Whoever reads verdicts could try words out against a score.
        assert!(!verdict.to_string().contains("millionths"));
    }
    let decisions: Vec<&Value> = ran.audit.iter().filter(|r| r["what"] == "decision").collect();
    assert_eq!(decisions.len(), texts.len());
    for (n, record) in decisions.iter().enumerate() {
        let kept = &record["classifier"];
        assert_eq!(kept["model"].as_str().map(str::len), Some(16));
        match n % 4 {
            0 => assert_eq!(kept["score_millionths"], 982_014),
            3 => assert!(kept["score_millionths"].is_null()),
            _ => assert!(kept["score_millionths"].as_u64().unwrap() < 10),
        }
    }
    let asking = ran.site.asking.as_ref().unwrap();
    assert_eq!((asking.seen(Scoring::Scored), asking.seen(Scoring::Skipped)), (150, 50));
    assert!(asking.classifier().counters().runs < 150, "windows of a batch run together");
}

#[test]
fn what_was_shed_is_looked_at_a_second_time_and_may_raise_an_alert() {
    let texts: Vec<String> =
        (0..40)
            .map(|n| {
                if n == 7 {
                    format!("{ATTACK}, note {n}")
                } else {
                    format!("the weather, note {n}")
                }
            })
            .collect();
    let asking = |second_look| {
        Asking::new(open(&settings("three")), When::Untrusted, Duration::ZERO, second_look)
    };
    let looked = ran(asking(true), &texts, |alerts| alerts > 0);
    for verdict in &looked.verdicts {
        assert_eq!(verdict["coverage"]["classifier"], "shed");
        assert_eq!(verdict["action"], "allow", "rules alone decide");
    }
    let [alert] = looked.alerts.as_slice() else { panic!("{:?}", looked.alerts) };
    let told = &alert["unmapped"]["weir"];
    assert_eq!(
        (&told["rule"], &told["family"]),
        (&"classifier.injection".into(), &"injection".into())
    );
    assert_eq!(told["event_ids"], serde_json::json!(["e7"]));
    assert_eq!(told["session"], "s");
    let looks = looked.site.asking.as_ref().unwrap().looks();
    assert_eq!(looks.raised, 1);

    let blind = ran(asking(false), &texts, |_| true);
    assert!(blind.alerts.is_empty());
    assert_eq!(blind.site.asking.as_ref().unwrap().classifier().counters().windows, 0);
}

#[test]
fn a_model_that_breaks_is_told_and_rules_decide_alone() {
    let asking = Asking::new(
        open(&Settings { hang_ms: 200, ..settings("faulty") }),
        When::Untrusted,
        Duration::from_secs(30),
        true,
    );
    let texts = ["nanword in the weather", "the garden today", "hangword in the weather", ATTACK];
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let ran = ran(asking, &texts, |alerts| alerts > 0);
    for (n, verdict) in ran.verdicts.iter().enumerate() {
        let failed = n % 2 == 0;
        let state = &verdict["coverage"]["classifier"];
        // Windows that run together fail together: what has no score says so.
        assert!(state == "failed" || !failed && state == "scored", "{n}: {state}");
        assert_eq!(rules(verdict).contains(&"classifier.failed"), state == "failed", "{n}");
    }
    let told = &ran.alerts[0]["unmapped"]["weir"];
    assert_eq!((&told["rule"], &told["family"]), (&"classifier.failed".into(), &"system".into()));
}
