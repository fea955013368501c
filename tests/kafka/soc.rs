//! What operators and the SOC do on a running installation: orders, alerts, audit, profiles.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::broker::Broker;
use crate::process::{self, Weir};
use crate::records::{self, Follower, Sent};
use crate::site::Site;

const POLICY: &str = "
agents: registered
registry: [{ agent: \"bot*\" }]
tools:
  - { id: no-deletes, tool: db.delete, access: deny }
  - { tool: bank.transfer, access: ask }
";

/// A running instance, and what is written to and read from it.
struct Desk {
    site: Site,
    weir: Weir,
    follower: Follower,
    config: String,
    sent: usize,
}

impl Desk {
    fn open() -> Self {
        let broker = Broker::shared();
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let policy = folder.join("policy.yml");
        std::fs::write(&policy, POLICY).expect("the policy is written");
        let site = Site::new(&broker, "soc", 3)
            .setting(&format!("policy: \"{}\"", policy.display()))
            .setting("behavior: { mode: calibrated }");
        let weir = site.start_ready();
        let names = ["verdicts", "alerts", "audit"].map(|name| site.topic(name));
        let follower = Follower::new(&broker.address, &names);
        let config = site.config().to_str().expect("a path in UTF-8").to_owned();
        Self { site, weir, follower, config, sent: 0 }
    }

    /// Sends one call, and gives back its verdict.
    fn call(&mut self, agent: &str, tool: &str) -> Value {
        let ts = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let ts = u64::try_from(ts.as_millis()).expect("a date");
        let id = format!("c{}", self.sent);
        let event = serde_json::json!({"v": 1, "id": id, "ts": ts, "kind": "tool_call", "session": "s",
            "user": "ann", "agent": {"id": agent}, "tool": {"name": tool, "params": {"n": self.sent}}});
        self.sent += 1;
        let producer = records::java_producer(&self.site.broker.address);
        records::send(
            &producer,
            &self.site.topic("events"),
            &[Sent::new(agent, event.to_string())],
        );
        let (topic, wanted) = (self.site.topic("verdicts"), self.sent);
        let came = self.follower.until(Duration::from_mins(1), |seen| {
            seen.iter().filter(|read| read.topic == topic).count() >= wanted
        });
        assert!(came, "no verdict for {id}; log: {}", self.weir.log_text());
        let verdicts = self.follower.of(&topic).map(records::Read::json);
        verdicts.into_iter().find(|verdict| verdict["event_id"] == id).expect("its verdict")
    }

    /// Runs a command on this installation; what it prints and how it ends.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = process::weir(&[arguments, &["-c", &self.config]].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    fn well(&self, arguments: &[&str]) -> String {
        let (code, shown, told) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {shown}{told}");
        shown
    }

    /// Gives an order, and waits until it stands in the audit: then it is obeyed.
    fn order(&mut self, arguments: &[&str], name: &str) {
        self.well(arguments);
        let topic = self.site.topic("audit");
        let came = self.follower.until(Duration::from_mins(1), |seen| {
            let audits = seen.iter().filter(|read| read.topic == topic);
            audits.filter(|read| read.json()["order"] == name).count() > 0
        });
        assert!(came, "{arguments:?} is not in the audit; log: {}", self.weir.log_text());
    }

    fn alerts(&self) -> usize {
        self.follower.count(&self.site.topic("alerts"))
    }
}

#[test]
fn orders_are_obeyed_and_everything_can_be_read_back() {
    let mut desk = Desk::open();
    assert_eq!(desk.call("bot", "db.read")["action"], "allow");
    assert_eq!(desk.call("stranger", "db.read")["reasons"][0]["rule"], "policy.unknown_agent");
    assert_eq!(desk.call("bot", "db.delete")["action"], "block");

    assert!(desk.call("bot", "bank.transfer")["hold"].is_object());
    let grant = [
        "control",
        "grant",
        "--agent",
        "bot",
        "--tool",
        "bank.transfer",
        "--any-params",
        "--uses",
        "1",
        "--by",
        "lee",
        "--reason",
        "INC-1",
    ];
    desk.order(&grant, "grant");
    assert_eq!(desk.call("bot", "bank.transfer")["action"], "allow");
    assert!(desk.call("bot", "bank.transfer")["hold"].is_object(), "a grant of one call");

    // Alerts of another agent are silenced before it gives cause for one.
    let quiet =
        ["agent", "suppress", "bot-2", "--signal", "policy.*", "--for", "1h", "--reason", "CHG-2"];
    desk.order(&quiet, "suppress");
    desk.follower.settle(Duration::from_secs(1));
    let before = desk.alerts();
    assert_eq!(desk.call("bot-2", "db.delete")["action"], "block");
    desk.follower.settle(Duration::from_secs(2));
    assert_eq!(desk.alerts(), before, "it is silent");
    assert!(desk.well(&["control", "status"]).contains("quiet   policy.* for agent bot-2 until "));

    let shown = desk.well(&["tail", "--no-follow"]);
    assert!(
        shown.contains("policy.unknown_agent") && shown.contains("tool_denied.no-deletes"),
        "{shown}"
    );
    assert!(!shown.contains("bot-2"), "{shown}");
    let verdicts =
        desk.well(&["tail", "--verdicts", "--since", "1h", "--no-follow", "--agent", "bot-2"]);
    assert!(verdicts.contains("block    bot-2"), "{verdicts}");

    let shown = desk.well(&["audit", "query", "--by", "lee"]);
    assert!(shown.contains("order    grant agent `` `bot`  by lee: INC-1"), "{shown}");
    let shown =
        desk.well(&["audit", "query", "--user", "ann", "--action", "block", "--output", "json"]);
    assert_eq!(shown.lines().count(), 5, "{shown}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (records, anchors, state) = (path("a.jsonl"), path("anchors.jsonl"), path("s.jsonl"));
    desk.well(&["audit", "export", &records, "--anchors", &anchors]);
    let (code, _, told) = desk.run(&["audit", "export", &records, "--anchors", &anchors]);
    assert!(code == 2 && told.contains("give another name"), "{told}");
    let shown = desk.well(&["audit", "verify", &records, "--anchors", &anchors]);
    assert!(shown.contains("in 3 chains, all intact") || shown.contains("all intact"), "{shown}");
    let from_file = desk.well(&[
        "audit", "query", &records, "--user", "ann", "--action", "block", "--output", "json",
    ]);
    assert_eq!(from_file.lines().count(), 5, "{from_file}");

    let shown = desk.well(&["agent", "show", "bot"]);
    assert!(shown.contains("calls.per_hour: "), "{shown}");
    desk.well(&["agent", "export", &state]);
    assert_eq!(desk.well(&["agent", "show", "bot", "--state", &state]), shown);
    desk.order(&["agent", "reset", "bot", "--reason", "CHG-3"], "reset");
    let (code, _, told) = desk.run(&["agent", "show", "bot"]);
    assert!(code == 3 && told.contains("nothing is known of agent `bot`"), "{told}");
    desk.weir.terminate();
}
