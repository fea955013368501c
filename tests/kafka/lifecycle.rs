//! A process's end and the next one's beginning: drain on SIGTERM, take-over after kill -9.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::events::Traffic;
use crate::oracle;
use crate::process::Weir;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

#[test]
fn sigterm_drains_and_leaves_nothing_to_wait_for() {
    let broker = Broker::shared();
    let site = Site::new(&broker, "drain", 3);
    let weir = site.start_ready();
    let mut follower = Follower::new(&broker.address, &[site.topic("verdicts")]);
    let producer = records::java_producer(&broker.address);
    let mut traffic = Traffic::new(3, "d", 20);
    let mut batch = |count| -> Vec<Sent> {
        traffic.take(count).into_iter().map(|event| Sent::new(&event.agent, event.json)).collect()
    };
    records::send(&producer, &site.topic("events"), &batch(3000));
    assert!(follower.until(Duration::from_mins(1), |seen| seen.len() >= 200), "no verdicts came");
    let asked = Instant::now();
    weir.terminate();
    println!("SIGTERM to exit: {:.2} s", asked.elapsed().as_secs_f64());
    assert!(asked.elapsed() < Duration::from_secs(10), "draining took {:?}", asked.elapsed());

    // An orderly end aborts nothing that others would have to wait for.
    records::send(&producer, &site.topic("events"), &batch(100));
    let again = Instant::now();
    let next = site.start_ready();
    let all = follower.until(Duration::from_mins(1), |seen| seen.len() >= 3100);
    assert!(all, "{} of 3100 verdicts came", follower.seen.len());
    println!("start to the last of what was left: {:.2} s", again.elapsed().as_secs_f64());
    next.terminate();
    oracle::assert_same_as_sequential(&site);
}

#[test]
fn another_process_takes_over_after_kill_9() {
    let broker = Broker::shared();
    // All time-outs as shipped.
    let site = Site::new(&broker, "takeover", 3);
    let first = site.start_ready();
    let second = site.start_ready();
    let producer = records::java_producer(&broker.address);
    let events = site.topic("events");
    let mut follower = Follower::new(&broker.address, &[site.topic("verdicts")]);
    let mut sent = 0;
    let mut write = |count: usize| {
        // To each partition, so that those of the killed process are among them.
        for number in 0..count {
            let partition = i32::try_from(number % 3).expect("a small number");
            let id = sent + number;
            let event = serde_json::json!({
                "v": 1, "id": format!("t{id}"), "ts": 1_700_000_000_000_u64, "kind": "prompt",
                "agent": {"id": format!("a{partition}")}, "text": "What time is it?",
            });
            let record = Sent::new(&format!("a{partition}"), event.to_string()).at(partition);
            records::send(&producer, &events, &[record]);
        }
        sent += count;
        sent
    };
    let total = write(30);
    assert!(follower.until(Duration::from_secs(30), |seen| seen.len() >= total), "no verdicts");

    let owned = |weir: &Weir| weir.metric("weir_partitions", &[]);
    assert!(owned(&first) > 0.0 && owned(&second) > 0.0, "the two do not share the partitions");
    first.kill();
    let killed = Instant::now();
    let total = write(3);
    let all = follower.until(Duration::from_secs(90), |seen| seen.len() >= total);
    assert!(all, "{} of {total} verdicts after kill -9", follower.seen.len());
    println!(
        "kill -9 to the next verdict of the killed process's partitions: {:.2} s \
         (session.timeout.ms as shipped)",
        killed.elapsed().as_secs_f64()
    );
    second.terminate();
    oracle::assert_same_as_sequential(&site);
}
