//! Lanes as threads: started, told to stop, joined; packs swapped between batches.
//!
//! [`run`] is the same for a Kafka cluster and for the log in memory; what differs is how a
//! lane connects, and that is what a [`Connect`] knows. A connection that is of no more use
//! is replaced by a new one, ever more slowly: nothing that the log does ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::baseline;
use crate::detect::{Rules, Scratch};
use crate::event::Millis;
use crate::inspect::{Readers, StreamNotes, Table};
use crate::pipeline::asking::Asking;
use crate::pipeline::control::{Board, ControlLog, Read, Standing, follow};
use crate::pipeline::lane::{self, Lane};
use crate::pipeline::log::{InRecord, Log, LogError, Now, OutRecord};
use crate::pipeline::memory::{Cluster, Connection, MemoryControl, MemoryShared};
use crate::pipeline::metrics::{LaneState, Metrics};
use crate::pipeline::rekey::{Forwarding, Rekey};
use crate::pipeline::shared::{Known, SharedLog, follow as follow_shared};
use crate::pipeline::step::{Outcome, Scanned, Step};
use crate::pipeline::work::{Poison, Scanner, Work};
use crate::state::{Partition, Staged};

/// How lanes and the control reader reach the log.
pub trait Connect: Sync {
    /// A lane's connection.
    type Log: Log;
    /// The control topic.
    type Control: ControlLog;
    /// The topic of what partitions share.
    type Shared: SharedLog;

    /// Connects lane number `lane`; called again after the connection broke for good.
    ///
    /// # Errors
    /// Any [`LogError`]; it is tried again.
    fn lane(&self, lane: usize) -> Result<Self::Log, LogError>;

    /// Connects the lane that re-keys, where there is to be one.
    ///
    /// # Errors
    /// Any [`LogError`]; it is tried again.
    fn rekeying(&self) -> Result<Option<Self::Log>, LogError> {
        Ok(None)
    }

    /// Connects the control reader.
    ///
    /// # Errors
    /// Any [`LogError`]; it is tried again.
    fn control(&self) -> Result<Self::Control, LogError>;

    /// Connects the reader of what partitions share.
    ///
    /// # Errors
    /// Any [`LogError`]; it is tried again.
    fn shared(&self) -> Result<Self::Shared, LogError>;
}

/// The log in memory; transactional ids are the lanes' numbers.
impl Connect for Arc<Cluster> {
    type Log = Connection;
    type Control = MemoryControl;
    type Shared = MemoryShared;

    fn lane(&self, lane: usize) -> Result<Connection, LogError> {
        Ok(self.connect(&format!("lane-{lane}")))
    }

    fn control(&self) -> Result<MemoryControl, LogError> {
        Ok(Cluster::control(self))
    }

    fn shared(&self) -> Result<MemoryShared, LogError> {
        Ok(Cluster::shared(self))
    }
}

/// A compiled pack and everything that decides beside it.
pub struct Pack {
    /// What to look for.
    pub rules: Rules,
    /// What to do about it.
    pub step: Step,
}

/// The pack in force. Lanes look at it between batches.
pub struct Packs {
    current: Mutex<Arc<Pack>>,
    trouble: Mutex<Option<Arc<Trouble>>>,
    version: AtomicU64,
}

/// Why another pack could not be put in force: for the SOC, told once.
struct Trouble {
    /// When it was found: names it in the state of the partition that has told it.
    at: Millis,
    message: String,
    /// The partition whose next record tells it; -1 until one has come.
    teller: AtomicI32,
}

impl Trouble {
    /// Whether this partition is the one to tell.
    fn is_told_by(&self, partition: i32) -> bool {
        let order = Ordering::Relaxed;
        match self.teller.compare_exchange(-1, partition, order, order) {
            Ok(_) => true,
            Err(teller) => teller == partition,
        }
    }
}

impl Packs {
    /// Begins with this pack.
    #[must_use]
    pub fn new(pack: Pack) -> Self {
        Self {
            current: Mutex::new(Arc::new(pack)),
            trouble: Mutex::default(),
            version: AtomicU64::new(0),
        }
    }

    /// The pack in force.
    #[must_use]
    pub fn current(&self) -> Arc<Pack> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another pack in force; each lane takes it up at its next batch. What stood in
    /// its way is over.
    pub fn swap(&self, pack: Pack) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(pack);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Lets the SOC know that another pack could not be put in force: an alert goes out
    /// with the next record of one partition.
    pub fn tell(&self, at: Millis, message: String) {
        let trouble = Trouble { at, message, teller: AtomicI32::new(-1) };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(trouble));
        self.version.fetch_add(1, Ordering::Release);
    }

    fn trouble(&self) -> Option<Arc<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// Re-keying, beside the lanes that read what it writes.
pub struct Rekeying {
    /// What it does with a record.
    pub rekey: Rekey,
    /// What its lane counts.
    pub metrics: Arc<Metrics>,
}

/// Everything that lanes share.
pub struct Site {
    /// How many lanes.
    pub lanes: usize,
    /// How they cut batches.
    pub settings: lane::Settings,
    /// How long a lane may take to finish its batch once it is told to stop.
    pub drain: Duration,
    /// What to look for and what to do about it.
    pub packs: Packs,
    /// The standing orders.
    pub board: Board,
    /// What other partitions know.
    pub known: Known,
    /// Re-keying, where there is any.
    pub rekeying: Option<Rekeying>,
    /// The classifier, where there is one.
    pub asking: Option<Asking>,
    /// What lanes count.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub now: Now,
    /// Set once to drain and return.
    pub stop: Arc<AtomicBool>,
}

impl Site {
    /// A site with the settings that Weir ships with.
    #[must_use]
    pub fn new(pack: Pack, now: Now) -> Self {
        let setup = &pack.step.setup;
        // Without a key no value is remembered, whatever a policy to come may ask; signs that many
        // agents show need none.
        let crowds = setup.behavior.mode == baseline::Mode::Calibrated;
        let known = Known::new(crowds || setup.keys.fingerprint.is_some());
        let board = Board::new(5_000);
        if known.is_wanted() {
            board.shut();
        }
        Self {
            lanes: 1,
            settings: lane::Settings::default(),
            drain: Duration::from_secs(10),
            packs: Packs::new(pack),
            board,
            known,
            rekeying: None,
            asking: None,
            metrics: Arc::default(),
            now,
            stop: Arc::default(),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs all lanes and the control reader until `site.stop` is set and every batch is
/// finished. `read` reads control records.
pub fn run<C: Connect>(connect: &C, site: &Site, mut read: Box<Read>) {
    let spawn_failed = "the process may start a handful of threads";
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("weir-control".into())
            .spawn_scoped(scope, move || read_control(connect, site, &mut *read))
            .expect(spawn_failed);
        if site.known.is_wanted() {
            std::thread::Builder::new()
                .name("weir-shared".into())
                .spawn_scoped(scope, move || read_shared(connect, site))
                .expect(spawn_failed);
        }
        if let Some(rekeying) = &site.rekeying {
            std::thread::Builder::new()
                .name("weir-rekey".into())
                .spawn_scoped(scope, move || {
                    keep(site, (&rekeying.metrics, 0), || match connect.rekeying()? {
                        Some(log) => forward(log, site, rekeying),
                        None => Ok(()),
                    });
                })
                .expect(spawn_failed);
        }
        for number in 0..site.lanes {
            std::thread::Builder::new()
                .name(format!("weir-lane-{number}"))
                .spawn_scoped(scope, move || {
                    keep(site, (&site.metrics, number), || {
                        let log = connect.lane(number)?;
                        let (settings, now) = (site.settings.clone(), Arc::clone(&site.now));
                        drive(
                            Lane::new(log, number, settings, now, Arc::clone(&site.metrics)),
                            site,
                        )
                    });
                })
                .expect(spawn_failed);
        }
    });
}

fn read_control<C: Connect>(connect: &C, site: &Site, read: &mut Read) {
    let mut pause = Pause::default();
    while !site.stopped() {
        match connect.control() {
            Ok(mut source) => follow(&mut source, read, &site.board, &site.now, &site.stop),
            Err(error) => {
                pause.tell(&error, "cannot reach the control topic, trying again");
                pause.sleep(&site.stop);
            }
        }
    }
}

fn read_shared<C: Connect>(connect: &C, site: &Site) {
    let mut pause = Pause::default();
    while !site.stopped() {
        let ended = connect.shared().and_then(|mut source| {
            follow_shared(&mut source, &site.known, &site.board, &site.stop)
        });
        if let Err(error) = ended {
            pause.tell(&error, "cannot read what partitions share, trying again");
            pause.sleep(&site.stop);
        }
    }
}

/// Keeps a lane at work until it is told to stop.
fn keep(site: &Site, (metrics, number): (&Metrics, usize), run: impl Fn() -> Result<(), LogError>) {
    let mut pause = Pause::default();
    metrics.lane(number, |lane| lane.ticked = (site.now)());
    while !site.stopped() {
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(&run));
        if begun.elapsed() > Duration::from_mins(1) {
            pause = Pause::default();
        }
        match ended {
            Ok(Ok(())) => break,
            Ok(Err(error)) => pause.tell(&error, "a lane lost its connection, starting it anew"),
            Err(_) => {
                metrics.panics.add(1);
                tracing::error!(lane = number, "a lane panicked, starting it anew");
            }
        }
        metrics.lane(number, |lane| {
            lane.state = LaneState::Waiting;
            lane.ticked = (site.now)();
            lane.lag.clear();
            lane.partitions = 0;
        });
        pause.sleep(&site.stop);
    }
    metrics.lane(number, |lane| {
        lane.state = LaneState::Stopped;
        lane.lag.clear();
        lane.partitions = 0;
    });
}

/// Ticks a lane until it is told to stop and stands between batches.
fn drive<L: Log>(mut lane: Lane<L, Scanned<'static>>, site: &Site) -> Result<(), LogError> {
    let mut stopping: Option<Instant> = None;
    let mut former: Option<Arc<Pack>> = None;
    loop {
        let version = site.packs.version();
        let pack = site.packs.current();
        let trouble = site.packs.trouble();
        let asking = site.asking.as_ref();
        let mut scanner = Scanning { pack: &pack, scratch: pack.rules.scratch(), asking };
        let mut readers = Readers::new(&pack.rules, &pack.step.pack);
        if let Some(former) = &former {
            readers = readers.and_former(&former.rules, &former.step.pack);
        }
        let (known, shared) = (&site.known, site.known.pin());
        let mut work = Inspecting { pack: &pack, readers, trouble, asking, known, shared };
        loop {
            let swapped = site.packs.version() != version;
            lane.look_ahead(!swapped && !site.stopped());
            if is_drained(&lane, site, &mut stopping) {
                return Ok(());
            }
            if lane.at_boundary() && swapped {
                break;
            }
            lane.tick(&mut scanner, &mut work, &site.board)?;
        }
        drop(work);
        if !Arc::ptr_eq(&pack, &site.packs.current()) {
            // Streams that began with it keep it until they end.
            former = Some(pack);
        }
    }
}

/// Whether a lane that was told to stop stands between batches, or had its time. `stopping` is
/// since when it knows.
fn is_drained<L: Log, S: Send>(
    lane: &Lane<L, S>,
    site: &Site,
    stopping: &mut Option<Instant>,
) -> bool {
    site.stopped() && {
        let since = *stopping.get_or_insert_with(Instant::now);
        lane.at_boundary() || since.elapsed() > site.drain
    }
}

/// Ticks the lane that re-keys, likewise.
fn forward<L: Log>(log: L, site: &Site, rekeying: &Rekeying) -> Result<(), LogError> {
    let (settings, now) = (site.settings.clone(), Arc::clone(&site.now));
    let mut lane = Lane::new(log, 0, settings, now, Arc::clone(&rekeying.metrics));
    let mut reading = rekeying.rekey.reading();
    let mut stopping: Option<Instant> = None;
    loop {
        lane.look_ahead(!site.stopped());
        if is_drained(&lane, site, &mut stopping) {
            return Ok(());
        }
        lane.tick(&mut reading, &mut Forwarding, &site.board)?;
    }
}

/// A growing pause between attempts, told about once.
#[derive(Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    fn tell(&self, error: &LogError, what: &'static str) {
        if self.failures == 0 {
            tracing::warn!(%error, "{what}");
        } else {
            tracing::debug!(%error, "{what}");
        }
    }

    fn sleep(&mut self, stop: &AtomicBool) {
        let pause = Duration::from_millis(100 << self.failures.min(6)).min(Duration::from_secs(5));
        self.failures = self.failures.saturating_add(1);
        let until = Instant::now() + pause;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The stateless half with its pack's working memory.
struct Scanning<'p> {
    pack: &'p Pack,
    scratch: Scratch<'p>,
    asking: Option<&'p Asking>,
}

impl Scanner for Scanning<'_> {
    type Scanned = Scanned<'static>;

    fn scan(&mut self, record: &InRecord) -> Scanned<'static> {
        let mut scanned = self.pack.step.scan(&mut self.scratch, record).into_owned();
        if let Some(asking) = self.asking {
            scanned.ask(asking);
        }
        scanned
    }

    fn poisoned(&mut self, record: &InRecord, why: Poison) -> Scanned<'static> {
        self.pack.step.refuse(record, why.name())
    }

    fn reset(&mut self) {
        self.scratch = self.pack.rules.scratch();
    }

    fn finish<'s>(&mut self, scanned: impl Iterator<Item = (&'s InRecord, &'s mut Self::Scanned)>) {
        let Some(asking) = self.asking else { return };
        for (record, scanned) in scanned {
            scanned.settle(asking, record, &self.pack.step.setup.policy);
        }
    }
}

/// The stateful half of one pack.
struct Inspecting<'p> {
    pack: &'p Pack,
    readers: Readers<'p>,
    trouble: Option<Arc<Trouble>>,
    asking: Option<&'p Asking>,
    known: &'p Known,
    /// What other partitions know, pinned for one partition's part of a transaction.
    shared: Arc<Table>,
}

impl Work for Inspecting<'_> {
    type Scanned = Scanned<'static>;

    fn control(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        standing: &Standing,
        out: &mut Vec<OutRecord>,
    ) {
        self.shared = self.known.pin();
        for second in self.asking.map(|asking| asking.take(partition)).unwrap_or_default() {
            self.pack.step.second_look(staged, partition, &second, out);
        }
        let applied = staged.control();
        if standing.orders.offset <= applied {
            return;
        }
        for order in standing.latest.iter().filter(|order| order.offset >= applied) {
            self.pack.step.control(staged, partition, order, out);
        }
        staged.set_control(standing.orders.offset);
    }

    fn record(
        &mut self,
        staged: &mut Staged<'_>,
        standing: &Standing,
        record: &InRecord,
        scanned: &Scanned<'static>,
        scan_time: Duration,
        out: &mut Vec<OutRecord>,
    ) -> Option<Outcome> {
        if let Some(trouble) = &self.trouble
            && trouble.is_told_by(record.partition)
        {
            self.pack.step.trouble(staged, record, trouble.at, &trouble.message, out);
        }
        let took_us = u64::try_from(scan_time.as_micros()).unwrap_or(u64::MAX);
        let with = ((&*self.shared, &standing.orders), &mut self.readers);
        Some(self.pack.step.record_among(staged, with, record, scanned, took_us, out))
    }

    fn timers(
        &mut self,
        staged: &mut Staged<'_>,
        partition: i32,
        standing: &Standing,
        now: Millis,
        out: &mut Vec<OutRecord>,
    ) -> StreamNotes {
        let with = (&standing.orders, &mut self.readers);
        self.pack.step.timers(staged, with, partition, now, out)
    }

    fn waiting(&self) -> Vec<i32> {
        self.asking.map(Asking::waiting).unwrap_or_default()
    }

    fn check(
        &self,
        partition: i32,
        state: &Partition,
        last_audit: Option<&[u8]>,
    ) -> Result<(), String> {
        self.pack.step.check(partition, state, last_audit)
    }
}
