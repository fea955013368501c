//! Processes are killed, stopped, ended and added, and the broker restarts, while events flow.
//!
//! Whatever happened, the topics must hold what a sequential run gives: nothing lost,
//! nothing doubled, and audit chains that verify. The short form runs in `make test`, the
//! long one in `make soak`; a failure prints the seed and the acts, so that it can be
//! played again with `SOAK_SEED`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::broker::OwnBroker;
use crate::events::{Dice, Traffic};
use crate::exactly_once::assert_chains_verify;
use crate::oracle;
use crate::process::Weir;
use crate::records::{self, Follower, Sent};
use crate::site::Site;

/// Short, so that a stopped member is missed soon; the default is measured by another test.
const SESSION: Duration = Duration::from_secs(2);
/// Events written each second while things happen.
const RATE: usize = 400;

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    play(&Play { name: "chaos", seed: seed(), time: Duration::from_secs(50), restarts: 1 });
}

#[test]
#[ignore = "the long form: make soak"]
fn soak() {
    let minutes: u64 = std::env::var("SOAK_MINUTES")
        .map_or(30, |text| text.parse().expect("SOAK_MINUTES is a number"));
    let time = Duration::from_mins(minutes);
    play(&Play { name: "soak", seed: seed(), time, restarts: usize::MAX });
}

struct Play {
    name: &'static str,
    seed: u64,
    time: Duration,
    restarts: usize,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Kill,
    Stop,
    Terminate,
    ScaleUp,
    ScaleDown,
    RestartBroker,
}

/// Given by `SOAK_SEED`, or else new each time: a test that always does the same finds nothing new.
fn seed() -> u64 {
    match std::env::var("SOAK_SEED") {
        Ok(text) => text.parse().expect("SOAK_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_secs()),
    }
}

fn play(play: &Play) {
    println!("{}: SOAK_SEED={}", play.name, play.seed);
    let own = OwnBroker::start(play.name);
    let site = Site::new(&own.broker, play.name, 12)
        .property("session.timeout.ms", &SESSION.as_millis().to_string())
        .property("heartbeat.interval.ms", "500");
    let writer = Writer::start(&site, play.seed);
    let mut dice = Dice::new(play.seed);
    let mut crew = vec![site.start_ready()];
    let mut left = play.restarts;
    let deadline = Instant::now() + play.time;
    let mut acts = 0;
    // Every kind of act at least once, in random order, then at random.
    let mut due = vec![
        Act::Kill,
        Act::Stop,
        Act::Terminate,
        Act::ScaleUp,
        Act::ScaleDown,
        Act::RestartBroker,
    ];
    while Instant::now() < deadline || !due.is_empty() {
        let act = if due.is_empty() {
            *dice.pick(&[
                Act::Kill,
                Act::Kill,
                Act::Stop,
                Act::Terminate,
                Act::ScaleUp,
                Act::ScaleDown,
                Act::RestartBroker,
            ])
        } else {
            let at = dice.below(due.len());
            due.swap_remove(at)
        };
        if matches!(act, Act::RestartBroker) {
            if left == 0 {
                continue;
            }
            left -= 1;
        }
        println!(
            "{:>6.1} s left, {} processes: {act:?}",
            (deadline.saturating_duration_since(Instant::now())).as_secs_f64(),
            crew.len()
        );
        perform(act, &site, &own, &mut crew, &mut dice);
        acts += 1;
        std::thread::sleep(Duration::from_millis(500 + dice.below(2500) as u64));
    }
    let sent = writer.finish();
    let calm = Instant::now();
    let verdicts = site.topic("verdicts");
    let mut follower = Follower::new(&own.broker.address, std::slice::from_ref(&verdicts));
    let all = follower.until(Duration::from_mins(2), |seen| seen.len() >= sent);
    assert!(all, "{} of {sent} verdicts came", follower.count(&verdicts));
    println!(
        "{acts} acts, {sent} events; the last verdict came {:.1} s after the last act",
        calm.elapsed().as_secs_f64()
    );
    for weir in crew {
        weir.terminate();
    }
    oracle::assert_same_as_sequential(&site);
    assert_chains_verify(&site);
}

fn perform(act: Act, site: &Site, own: &OwnBroker, crew: &mut Vec<Weir>, dice: &mut Dice) {
    let one = dice.below(crew.len());
    match act {
        // In the middle of whatever it is doing; another takes its place.
        Act::Kill => {
            crew.swap_remove(one).kill();
            crew.push(site.start());
        }
        // Twice the session time-out: its partitions have gone to another when it wakes.
        Act::Stop => {
            if crew.len() == 1 {
                crew.push(site.start_ready());
            }
            let stopped = &crew[one];
            stopped.signal("STOP");
            std::thread::sleep(SESSION * 2);
            stopped.signal("CONT");
        }
        Act::Terminate => {
            crew.swap_remove(one).terminate();
            crew.push(site.start());
        }
        Act::ScaleUp => {
            while crew.len() < 3 {
                crew.push(site.start());
            }
        }
        Act::ScaleDown => {
            while crew.len() > 1 {
                let one = dice.below(crew.len());
                crew.swap_remove(one).terminate();
            }
        }
        Act::RestartBroker => own.restart(),
    }
    for weir in crew {
        assert!(weir.is_running(), "a process ended by itself; log: {}", weir.log_text());
    }
}

/// Writes events at a steady rate until told to end.
struct Writer {
    ended: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    fn start(site: &Site, seed: u64) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let (address, topic) = (site.broker.address.clone(), site.topic("events"));
        let thread = std::thread::spawn({
            let (ended, sent) = (Arc::clone(&ended), Arc::clone(&sent));
            move || {
                let mut traffic = Traffic::new(seed, "c", 60);
                let producer = records::java_producer(&address);
                while !ended.load(Ordering::SeqCst) {
                    let batch: Vec<Sent> = traffic
                        .take(RATE / 20)
                        .into_iter()
                        .map(|event| Sent::new(&event.agent, event.json))
                        .collect();
                    sent.fetch_add(batch.len(), Ordering::SeqCst);
                    records::send(&producer, &topic, &batch);
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Self { ended, sent, thread }
    }

    /// How many events reached the broker.
    fn finish(self) -> usize {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().expect("the writer wrote everything");
        self.sent.load(Ordering::SeqCst)
    }
}
