//! A `weir run` of the tests' own: started, signalled, asked, and ended when dropped.
//!
//! Signals go through the `kill` command, since the crate holds no `unsafe`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to become ready: a debug build compiles its pack in seconds.
const READY: Duration = Duration::from_secs(90);

/// One process.
pub(crate) struct Weir {
    child: Child,
    admin: String,
    log: PathBuf,
}

impl Weir {
    pub(crate) fn start(config: &Path, log: &Path) -> Self {
        let admin = free_address();
        let file = std::fs::File::create(log).expect("the log file is made");
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["run", "-c"])
            .arg(config)
            .arg("--set")
            .arg(format!("admin.listen={admin}"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file is shared"))
            .stderr(file)
            .spawn()
            .expect("weir starts");
        Self { child, admin, log: log.to_owned() }
    }

    /// Sends a signal by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("the kill command runs");
        assert!(status.success(), "no SIG{name} could be sent; log: {}", self.log_text());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process is killed");
        self.child.wait().expect("the process ends");
    }

    /// SIGTERM, and the exit must be an orderly one.
    pub(crate) fn terminate(mut self) {
        self.signal("TERM");
        let status = self.ended(Duration::from_secs(30));
        assert!(
            status.is_some_and(|status| status.success()),
            "after SIGTERM weir ended with {status:?}; log: {}",
            self.log_text()
        );
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the process can be asked").is_none()
    }

    /// Status and body of the admin listener's answer; `None` where there is none.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// Waits until it is ready.
    pub(crate) fn await_ready(&self) {
        let deadline = Instant::now() + READY;
        while !self.is_ready() {
            assert!(
                Instant::now() < deadline,
                "weir was not ready within {READY:?}: {:?}; log: {}",
                self.get("/readyz"),
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The sum of a metric over its label sets that hold all of `labels` (as in `reason="x"`).
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics").expect("metrics are served");
        text.lines()
            .filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // Gone already, or gone now: both are what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log_text();
            let from = log.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("--- end of {}\n{}", self.log.display(), log.get(from..).unwrap_or_default());
        }
    }
}

/// Runs another command of the binary to its end.
pub(crate) fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("weir starts")
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
