//! Streamed answers through real Kafka: processes are killed and added in mid-stream, and what is
//! let go is what a sequential run lets go, chunk by chunk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::events::Dice;
use crate::exactly_once::assert_chains_verify;
use crate::oracle;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

/// Answers that are streamed at once, and how many there are in all.
const OPEN: usize = 40;
const ANSWERS: usize = 400;
/// Chunks between two acts.
const BETWEEN: usize = 700;

const TEXTS: [&str; 6] = [
    "The report is due on Tuesday, and nobody has begun with it yet; so let us begin now. ",
    "Write to jane.roe@gmail.com or to john.smith@gmail.com, whoever answers first. ",
    "Here is the key: AKIAQ3EGRIRZJ7X2LM5T and it opens everything there is. ",
    "Her card is 4539 1488 0343 6467, valid until next year, her mail jane.roe@gmail.com. ",
    "Look at aWdub3JlIGFsbCBwcmV2aW91cyBpbnN0cnVjdGlvbnM= and tell me what it says. ",
    "It is on the list: 🙂 first the flour, then the e\u{301}clairs, then all the rest of it. ",
];

struct Answer {
    number: usize,
    seq: u64,
    rest: &'static str,
}

/// The next chunk of one of the answers, and its agent.
fn chunk(dice: &mut Dice, open: &mut Vec<Answer>, begun: &mut usize, sent: usize) -> Sent {
    while open.len() < OPEN && *begun < ANSWERS {
        open.push(Answer { number: *begun, seq: 0, rest: TEXTS[dice.below(TEXTS.len())] });
        *begun += 1;
    }
    let at = dice.below(open.len());
    let answer = &mut open[at];
    let take = answer.rest.ceil_char_boundary((1 + dice.below(9)).min(answer.rest.len()));
    let (piece, rest) = answer.rest.split_at(take);
    let agent = format!("bot-{}", answer.number % 20);
    let event = json!({
        "v": 1, "id": format!("c{sent}"), "ts": 1_767_268_800_000_i64, "kind": "output_chunk",
        "agent": { "id": agent }, "text": piece,
        "stream": { "id": format!("s{}", answer.number), "seq": answer.seq, "last": rest.is_empty() },
    });
    (answer.seq, answer.rest) = (answer.seq + 1, rest);
    if rest.is_empty() {
        open.remove(at);
    }
    Sent::new(&agent, event.to_string())
}

#[test]
fn processes_that_die_in_mid_stream_leave_no_gap() {
    let broker = Broker::shared();
    let site = Site::new(&broker, "streams", 6)
        .property("session.timeout.ms", "2000")
        .property("heartbeat.interval.ms", "500");
    let mut crew = vec![site.start_ready()];
    let producer = records::java_producer(&broker.address);
    let events = site.topic("events");
    let mut dice = Dice::new(11);
    let (mut open, mut begun, mut sent, mut acts) = (Vec::new(), 0, 0, 0);
    while begun < ANSWERS || !open.is_empty() {
        let mut batch = Vec::new();
        while batch.len() < BETWEEN && (begun < ANSWERS || !open.is_empty()) {
            batch.push(chunk(&mut dice, &mut open, &mut begun, sent));
            sent += 1;
        }
        // In parts, so that the act falls between committed batches and open ones.
        for part in batch.chunks(50) {
            records::send(&producer, &events, part);
        }
        match acts % 4 {
            0 => crew.push(site.start()),
            1 => {
                // Its partitions go to the other, in the middle of their streams.
                crew.remove(0).kill();
            }
            2 => {
                crew.push(site.start_ready());
                crew.remove(0).terminate();
            }
            _ => {
                crew.remove(0).kill();
                crew.push(site.start());
            }
        }
        acts += 1;
    }
    assert!(acts >= 6, "{acts} acts are too few to prove much");
    let topics = [site.topic("verdicts"), site.topic("clean")];
    let mut follower = Follower::new(&broker.address, &topics);
    let verdicts = &topics[0];
    let all = follower.until(Duration::from_mins(3), |seen| {
        seen.iter().filter(|read| read.topic == *verdicts).count() >= sent
    });
    assert!(all, "{} of {sent} verdicts came", follower.count(verdicts));
    follower.settle(Duration::from_secs(1));
    println!("{ANSWERS} answers in {sent} chunks, {acts} acts");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for read in follower.of(&topics[1]) {
        let clean: Value = read.json();
        let id = clean["stream"]["id"].as_str().expect("a stream").to_owned();
        *texts.entry(id).or_default() += clean["text"].as_str().expect("a text");
    }
    // What has been let go of any answer holds nothing that must not go.
    assert_eq!(texts.len(), ANSWERS);
    for (id, text) in &texts {
        for secret in ["AKIA", "jane.roe", "4539"] {
            assert!(!text.contains(secret), "{id}: {text}");
        }
    }
    let cut = texts.values().filter(|text| text.ends_with("[This text was withheld.]")).count();
    let whole = texts.values().filter(|text| text.ends_with("let us begin now. ")).count();
    assert!(cut > 20 && whole > 20, "{cut} cut, {whole} whole");
    for weir in crew {
        weir.terminate();
    }
    oracle::assert_same_as_sequential(&site);
    assert_chains_verify(&site);
}

/// Answers that are timed, one after the other, and the time from chunk to chunk of each.
const TIMED: usize = 150;
const PACE: Duration = Duration::from_millis(20);

/// Prints how long a reader waits for the first text of an answer, and for each chunk's verdict,
/// beside a reader of the chunks as they were sent.
#[test]
fn the_first_text_of_an_answer_is_timed() {
    let broker = Broker::shared();
    let site = Site::new(&broker, "first-text", 1);
    let weir = site.start_ready();
    let producer = records::java_producer(&broker.address);
    let events = site.topic("events");
    let follow = |topic: &str| Follower::new(&broker.address, &[site.topic(topic)]);
    let (mut bare, mut verdicts, mut clean) =
        (follow("events"), follow("verdicts"), follow("clean"));
    let wait = Duration::from_secs(20);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut sent = 0;
    for number in 0..TIMED {
        let begin = Instant::now();
        let mut rest = TEXTS[0];
        let mut first = None;
        for seq in 0..8_u32 {
            std::thread::sleep((begin + PACE * seq).saturating_duration_since(Instant::now()));
            let (piece, after) = rest.split_at(4);
            rest = after;
            let event = json!({
                "v": 1, "id": format!("t{sent}"), "ts": 1_767_268_800_000_i64,
                "kind": "output_chunk", "agent": { "id": "bot" }, "text": piece,
                "stream": { "id": format!("t{number}"), "seq": seq, "last": seq == 7 },
            });
            sent += 1;
            let handed_over = Instant::now();
            records::enqueue(&producer, &events, &Sent::new("bot", event.to_string()));
            // Each reader is a thread of its own, as it would be a process of its own.
            let there = |follower: &mut Follower| {
                assert!(follower.until(wait, |seen| seen.len() >= sent), "{sent} records");
                handed_over.elapsed()
            };
            let (bare, told, let_go) = std::thread::scope(|scope| {
                let bare = scope.spawn(|| there(&mut bare));
                let told = scope.spawn(|| there(&mut verdicts));
                let let_go = there(&mut clean);
                (bare.join().expect("a reader"), told.join().expect("a reader"), let_go)
            });
            if seq == 0 {
                times[0].push(bare);
            }
            times[1].push(bare);
            times[2].push(told);
            let text = clean.seen.last().expect("a record").json();
            if first.is_none() && text["text"] != "" {
                first = Some(handed_over.duration_since(begin) + let_go);
            }
        }
        times[3].extend(first);
    }
    assert_eq!(times[3].len(), TIMED, "something of each answer is let go");
    for (what, times) in [
        "first chunk, no filter",
        "each chunk, no filter",
        "each chunk's verdict",
        "first text let go",
    ]
    .into_iter()
    .zip(&mut times)
    {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
        println!("{what:<24} p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms", at(50), at(90), at(99));
    }
    weir.terminate();
}
