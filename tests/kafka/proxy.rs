//! A Kafka proxy that reads request headers, and so can hold one request back.
//!
//! It stands where the broker's second listener sends its clients. It can refuse every
//! connection, which is how a test takes Kafka away from one process alone, and it can
//! play the network that delivers a request late: an `EndTxn` is taken from the client,
//! whose connection is closed, and reaches the broker only after the same producer has
//! written into its next transaction.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::broker::Broker;

const PRODUCE: i16 = 0;
const ADD_PARTITIONS: i16 = 24;
const END_TXN: i16 = 26;

/// How an `EndTxn` is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The client's connection is closed, as by a lost network path.
    Disconnect,
    /// The connection stays open and silent until the client gives up.
    Silence,
}

/// What became of one held request.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    /// The broker's error code for the late `EndTxn`; 0 is success, `None` no answer.
    pub(crate) code: Option<i16>,
    /// Whether the next transaction had begun to write when it was delivered.
    pub(crate) inside_next: bool,
}

/// A running proxy. Only one can stand before a broker at a time.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    _only: MutexGuard<'static, ()>,
}

struct Shared {
    upstream: String,
    open: AtomicBool,
    ended: AtomicBool,
    links: Mutex<Vec<TcpStream>>,
    /// Armed with how to hold, taken by the first commit after.
    hold: Mutex<Option<Hold>>,
    added: AtomicUsize,
    produced: AtomicUsize,
    late: Mutex<Vec<Late>>,
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Proxy {
    /// Listens for the clients of the broker's second listener.
    pub(crate) fn start(broker: &Broker) -> Self {
        let only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = TcpListener::bind(&broker.proxy).expect("the proxy's port is free");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let shared = Arc::new(Shared {
            upstream: broker.behind.clone(),
            open: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            links: Mutex::default(),
            hold: Mutex::default(),
            added: AtomicUsize::new(0),
            produced: AtomicUsize::new(0),
            late: Mutex::default(),
        });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { address: broker.proxy.clone(), shared, accepting: Some(accepting), _only: only }
    }

    /// Lets clients through, or cuts them all off.
    pub(crate) fn set_open(&self, open: bool) {
        self.shared.open.store(open, Ordering::SeqCst);
        if !open {
            self.shared.cut();
        }
    }

    /// Holds the next commit back.
    pub(crate) fn hold_next_commit(&self, how: Hold) {
        *lock(&self.shared.hold) = Some(how);
    }

    /// The held requests that have reached the broker so far.
    pub(crate) fn late(&self) -> Vec<Late> {
        lock(&self.shared.late).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.cut();
        if let Some(accepting) = self.accepting.take() {
            // A panic in it has been printed already.
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn cut(&self) {
        for link in lock(&self.links).drain(..) {
            // Closed by its own end already: nothing left to do.
            drop(link.shutdown(Shutdown::Both));
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.ended.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((client, _)) if shared.open.load(Ordering::SeqCst) => link(client, shared),
            Ok((client, _)) => drop(client),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Joins a client to the broker by two threads.
fn link(client: TcpStream, shared: &Arc<Shared>) {
    let Ok(broker) = TcpStream::connect(&shared.upstream) else { return };
    let both = (|| {
        client.set_nonblocking(false)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        lock(&shared.links).extend([client.try_clone()?, broker.try_clone()?]);
        Ok::<_, std::io::Error>((client.try_clone()?, broker.try_clone()?))
    })();
    let Ok((client_in, broker_in)) = both else { return };
    let answers = Arc::new(AtomicBool::new(true));
    std::thread::spawn({
        let answers = Arc::clone(&answers);
        move || copy_answers(broker_in, client, &answers)
    });
    let shared = Arc::clone(shared);
    std::thread::spawn(move || requests(client_in, broker, &shared, &answers));
}

/// Broker to client. When a request of this connection is held, its answer is read by the holder instead.
fn copy_answers(mut broker: TcpStream, mut client: TcpStream, wanted: &AtomicBool) {
    drop(broker.set_read_timeout(Some(Duration::from_millis(50))));
    let mut buffer = vec![0; 64 * 1024];
    while wanted.load(Ordering::SeqCst) {
        match broker.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let Some(bytes) = buffer.get(..read) else { break };
                if client.write_all(bytes).is_err() {
                    break;
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    if wanted.load(Ordering::SeqCst) {
        drop(client.shutdown(Shutdown::Both));
    }
}

/// Client to broker, frame by frame.
fn requests(
    mut client: TcpStream,
    mut broker: TcpStream,
    shared: &Arc<Shared>,
    answers: &AtomicBool,
) {
    while let Some(frame) = read_frame(&mut client) {
        match api_key(&frame) {
            Some(PRODUCE) => {
                shared.produced.fetch_add(1, Ordering::SeqCst);
            }
            Some(ADD_PARTITIONS) => {
                shared.added.fetch_add(1, Ordering::SeqCst);
            }
            Some(END_TXN) => {
                // Taken in a statement of its own: the lock must be free while the request waits.
                let held = lock(&shared.hold).take();
                if let Some(how) = held {
                    answers.store(false, Ordering::SeqCst);
                    if how == Hold::Disconnect {
                        drop(client.shutdown(Shutdown::Both));
                    }
                    deliver_late(&frame, broker, shared);
                    return;
                }
            }
            _ => {}
        }
        if broker.write_all(&frame).is_err() {
            break;
        }
    }
    drop(broker.shutdown(Shutdown::Both));
}

/// Waits until the next transaction is being written, then gives the request to the broker.
fn deliver_late(frame: &[u8], mut broker: TcpStream, shared: &Shared) {
    // The thread that copies answers must have stopped, or it could take this one.
    std::thread::sleep(Duration::from_millis(60));
    let added = shared.added.load(Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_mins(1);
    while shared.added.load(Ordering::SeqCst) == added && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let inside_next = shared.added.load(Ordering::SeqCst) > added;
    let produced = shared.produced.load(Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_millis(500);
    while shared.produced.load(Ordering::SeqCst) == produced && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let code = broker
        .write_all(frame)
        .and_then(|()| broker.set_read_timeout(Some(Duration::from_secs(10))))
        .ok()
        .and_then(|()| read_frame(&mut broker))
        .and_then(|answer| end_txn_code(&answer));
    lock(&shared.late).push(Late { code, inside_next });
}

/// One length-prefixed frame, prefix included.
fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).ok()?;
    let length = usize::try_from(i32::from_be_bytes(prefix)).ok()?;
    let mut frame = vec![0; 4 + length];
    frame.get_mut(..4)?.copy_from_slice(&prefix);
    stream.read_exact(frame.get_mut(4..)?).ok()?;
    Some(frame)
}

fn api_key(frame: &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(frame.get(4..6)?.try_into().ok()?))
}

/// Length, correlation id, throttle time, error code (versions 0 to 2 of the answer).
fn end_txn_code(answer: &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(answer.get(12..14)?.try_into().ok()?))
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
