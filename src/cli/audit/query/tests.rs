//! Conditions, one by one, over records as they stand in the topic.

use clap::Parser;
use serde_json::json;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: QueryArgs,
}

fn records() -> Vec<Value> {
    vec![
        json!({"v": 1, "seq": 0, "what": "decision", "now": 1000, "trace": "00-abc-1-01", "event_id": "e0", "kind": "prompt",
            "tenant": "t", "agent": "bot", "agent_type": "support", "session": "s", "user": "ann",
            "action": "block", "enforced": true, "mode": "enforce",
            "reasons": [{"rule": "injection.override", "family": "injection", "severity": "high", "confidence": "high", "action": "block"}]}),
        json!({"v": 1, "seq": 1, "what": "decision", "now": 2000, "event_id": "e1", "kind": "tool_call", "agent": "pay-1",
            "delegation": ["user:ann", "agent:front"], "action": "allow", "enforced": true, "mode": "enforce",
            "tool": {"name": "mail.send", "params": {"/to": "x"}},
            "reasons": [{"rule": "pii.email", "family": "pii", "severity": "medium", "confidence": "low", "action": "allow"},
                {"rule": "urls.internal", "family": "urls", "severity": "high", "confidence": "high", "action": "alert"}]}),
        json!({"v": 1, "seq": 2, "what": "control", "now": 3000, "order": "kill", "scope": "session", "of": ["t", "bot", "s"],
            "by": "lee", "reason": "INC-1"}),
        json!({"v": 1, "seq": 3, "what": "control", "now": 3500, "order": "kill", "scope": "all", "of": [], "by": "kim", "reason": ""}),
        json!({"v": 1, "seq": 4, "what": "swap", "now": 4000, "from": {"pack": "a", "policy": "b"}, "pack": "c", "policy": "d"}),
        json!({"v": 1, "seq": 5, "what": "unreadable", "now": 5000, "action": "block", "enforced": true, "mode": "enforce", "reasons": []}),
    ]
}

/// The numbers of the records that a command line finds.
fn found(line: &str) -> Vec<u64> {
    let words = std::iter::once("query").chain(line.split_whitespace());
    let args = Line::try_parse_from(words).unwrap().args;
    let wanted = Wanted::new(&args);
    let fits = records().into_iter().filter(|record| wanted.meets(record));
    fits.map(|record| record["seq"].as_u64().unwrap()).collect()
}

#[test]
fn every_condition_must_be_met() {
    for (line, expected) in [
        ("", &[0_u64, 1, 2, 3, 4, 5] as &[u64]),
        ("--agent bot", &[0, 2]),
        ("--agent pay-*", &[1]),
        ("--tenant t", &[0, 2]),
        ("--session s", &[0, 2]),
        ("--type support", &[0]),
        ("--user ann", &[0, 1]),
        ("--user user:ann", &[1]),
        ("--user agent:front", &[1]),
        ("--rule injection.*", &[0]),
        ("--family urls", &[1]),
        ("--severity high", &[0, 1]),
        ("--family pii --severity high", &[]),
        ("--near-misses", &[1]),
        ("--near-misses --rule urls.internal", &[]),
        ("--action block", &[0, 5]),
        ("--action block --action allow", &[0, 1, 5]),
        ("--what control", &[2, 3]),
        ("--what swap --what unreadable", &[4, 5]),
        ("--by kim", &[3]),
        ("--kind tool_call", &[1]),
        ("--tool mail.*", &[1]),
        ("--event e0", &[0]),
        ("--trace abc", &[0]),
        ("--since 1970-01-01T00:00:03Z", &[2, 3, 4, 5]),
        ("--since 1970-01-01T00:00:02Z --until 1970-01-01T00:00:03Z", &[1]),
        ("--agent bot --action allow", &[]),
    ] {
        assert_eq!(found(line), expected, "{line}");
    }
}

#[test]
fn the_latest_are_kept_and_come_in_the_order_of_time() {
    let mut found = Found { limit: 3, ..Found::default() };
    for (time, partition) in [(5, 1), (1, 0), (9, 1), (5, 0), (7, 2)] {
        found.keep(Millis(time), partition, format!("{time}").as_bytes());
    }
    assert_eq!(found.seen, 5);
    let times: Vec<_> = found.in_order().map(|(time, partition, _)| (time.0, partition)).collect();
    assert_eq!(times, [(5, 1), (7, 2), (9, 1)]);
}

#[test]
fn records_are_lines_for_people_and_rows_for_tables() {
    let place = |record: &Value| show::Place { time: time(record), partition: 3 };
    let shown: String =
        records().iter().map(|record| show::text(place(record), record, false)).collect();
    for expected in [
        "1970-01-01T00:00:01.000Z  block    bot  prompt  tenant t  session s  user ann  event e0  [3:0]\n",
        "    └ injection.override (high, high confidence): block\n",
        "tool_call mail.send",
        "    params /to = x\n",
        "order    kill session `t` `bot` `s`  by lee: INC-1  [3:2]",
        "swap     pack a to c, policy b to d",
        "unknown agent  unreadable",
    ] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
    let columns = show::HEADER.split(',').count();
    for record in records() {
        let row = show::csv(place(&record), &record);
        assert_eq!(row.split(',').count(), columns, "{row}");
    }
    let nasty = json!({"agent": "=cmd|' /C calc'!A0", "session": "a\",b", "user": "x\ny"});
    let row = show::csv(place(&nasty), &nasty);
    assert!(row.contains("'=cmd|' /C calc'!A0,") && row.contains("\"a\"\",b\""), "{row}");
    assert!(row.contains("\"x\ny\""), "{row}");
    let text = show::text(place(&nasty), &json!({"agent": "a\u{1b}[31m"}), false);
    assert!(text.contains("a\\u{1b}[31m"), "{text}");
}
