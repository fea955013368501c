//! The table of settings: each key once, with where it lands and what it may be.
//!
//! Reading a file, taking `--set` and the environment, printing what is in force and the
//! documentation's test all walk this table, so a setting cannot be known to one and not
//! to another.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::config::choice::Choice;
use crate::config::keys::Secret;
use crate::config::yaml::{Node, Spot};
use crate::config::{Config, FieldTake};

/// One key: its path and what it is for.
pub struct Setting {
    /// Dotted path, such as `kafka.group_id`.
    pub path: &'static str,
    /// One sentence for `config check --explain` and the documentation.
    pub about: &'static str,
    pub(super) slot: fn(&mut Config) -> Slot<'_>,
}

/// Where a value lands and what it may be.
pub(super) enum Slot<'c> {
    Text(&'c mut String),
    MaybeText(&'c mut Option<String>),
    Number(&'c mut u64, RangeInclusive<u64>),
    Choice(&'c mut dyn Choice),
    Texts(&'c mut Vec<String>),
    /// Members are settings of somebody else, here the Kafka client's.
    Properties(&'c mut BTreeMap<String, String>),
    FieldMap(&'c mut BTreeMap<String, FieldTake>),
    Key(&'c mut Option<Secret>),
}

macro_rules! settings {
    ($($path:literal $about:literal |$c:ident| $slot:expr;)+) => {
        /// Every setting, in the order in which they are shown.
        pub static SETTINGS: &[Setting] = &[
            $(Setting { path: $path, about: $about, slot: |$c| $slot }),+
        ];
    };
}

settings! {
    "kafka.bootstrap_servers" "brokers to begin with: `host:port`, separated by commas" |c| Slot::Text(&mut c.kafka.bootstrap_servers);
    "kafka.group_id" "consumer group; instances of one group share the partitions" |c| Slot::Text(&mut c.kafka.group_id);
    "kafka.properties" "settings of the Kafka client (librdkafka), passed on as they are: TLS, SASL, timeouts" |c| Slot::Properties(&mut c.kafka.properties);
    "topics.events" "input" |c| Slot::Text(&mut c.topics.events);
    "topics.verdicts" "one verdict for each event" |c| Slot::Text(&mut c.topics.verdicts);
    "topics.clean" "events that may go on, redacted where needed" |c| Slot::Text(&mut c.topics.clean);
    "topics.alerts" "for the SOC" |c| Slot::Text(&mut c.topics.alerts);
    "topics.audit" "every decision, hash-chained by partition" |c| Slot::Text(&mut c.topics.audit);
    "topics.anchors" "signed heads of the audit chains; one partition" |c| Slot::Text(&mut c.topics.anchors);
    "topics.dlq" "what could not be read" |c| Slot::Text(&mut c.topics.dlq);
    "topics.control" "orders of the SOC; one partition, compacted" |c| Slot::Text(&mut c.topics.control);
    "topics.shared" "what other partitions must know; compacted" |c| Slot::Text(&mut c.topics.shared);
    "topics.state" "changelog of state; compacted" |c| Slot::Text(&mut c.topics.state);
    "topics.by_agent" "events re-keyed; used where `repartition` is on" |c| Slot::Text(&mut c.topics.by_agent);
    "repartition" "whether events are put on the partitions of their agents first, for producers with another partitioner or another key" |c| Slot::Choice(&mut c.repartition);
    "delivery" "how often an event's outputs may appear" |c| Slot::Choice(&mut c.delivery);
    "lanes" "threads that read, decide and write; each a member of the group" |c| Slot::Number(&mut c.lanes, 1..=256);
    "instance" "name of this process in transactional ids; null: random" |c| Slot::MaybeText(&mut c.instance);
    "mode" "whether decisions are carried out or only told" |c| Slot::Choice(&mut c.mode);
    "engine" "which automata find candidates; both give the same findings" |c| Slot::Choice(&mut c.engine);
    "patterns" "folders or files of rules, read and watched; empty: the packs compiled into the binary" |c| Slot::Texts(&mut c.patterns);
    "policy" "policy file, read and watched; null: the shipped policy" |c| Slot::MaybeText(&mut c.policy);
    "classifier.enabled" "whether a model scores text beside the rules" |c| Slot::Choice(&mut c.classifier.enabled);
    "classifier.model" "folder of the model" |c| Slot::Text(&mut c.classifier.model);
    "classifier.library" "ONNX Runtime library; null: ORT_DYLIB_PATH, then where `make onnxruntime` puts it, then the system's folders" |c| Slot::MaybeText(&mut c.classifier.library);
    "classifier.sha256" "SHA-256 that `model.onnx` must have; null: only the folder's own SHA256SUMS is asked" |c| Slot::MaybeText(&mut c.classifier.sha256);
    "classifier.when" "which events the model is asked about: untrusted texts that rules have not decided, of these those of which rules are uncertain, or all" |c| Slot::Choice(&mut c.classifier.when);
    "classifier.low" "threshold of a finding of low confidence: a probability, or its name in the model's config.json" |c| Slot::Text(&mut c.classifier.low);
    "classifier.medium" "threshold from which a finding is acted on" |c| Slot::Text(&mut c.classifier.medium);
    "classifier.high" "threshold of a finding of high confidence" |c| Slot::Text(&mut c.classifier.high);
    "classifier.positive" "classes that count as an injection, separated by commas; null: as the model says, or one of a known name" |c| Slot::MaybeText(&mut c.classifier.positive);
    "classifier.deadline_ms" "how long an event waits for its scores; what cannot be scored by then is shed" |c| Slot::Number(&mut c.classifier.deadline_ms, 1..=60_000);
    "classifier.second_look" "whether what was late is scored all the same, when there is time, and may still raise an alert" |c| Slot::Choice(&mut c.classifier.second_look);
    "classifier.window_tokens" "tokens of a window, the model's own included; 0: as the model says" |c| Slot::Number(&mut c.classifier.window_tokens, 0..=8_192);
    "classifier.stride_tokens" "tokens from one window to the next; 0: as the model says, or half a window" |c| Slot::Number(&mut c.classifier.stride_tokens, 0..=8_192);
    "classifier.respace" "whether texts get the white-space treatment of the Prompt Guard family; auto: as the model says" |c| Slot::Choice(&mut c.classifier.respace);
    "classifier.threads" "threads that run the model, each with a copy of it; 0: half the cores, and always fewer than there are" |c| Slot::Number(&mut c.classifier.threads, 0..=256);
    "classifier.batch_tokens" "tokens of one run of the model, padding included" |c| Slot::Number(&mut c.classifier.batch_tokens, 16..=65_536);
    "classifier.cache_entries" "texts of which the score is remembered" |c| Slot::Number(&mut c.classifier.cache_entries, 0..=10_000_000);
    "classifier.queue_bytes" "bytes of texts that wait for the model; what comes on top gets no second look" |c| Slot::Number(&mut c.classifier.queue_bytes, 1_024..=1_073_741_824);
    "classifier.hang_ms" "a run of the model that takes longer is ended" |c| Slot::Number(&mut c.classifier.hang_ms, 50..=600_000);
    "classifier.memory_mb" "a model that would take more is not loaded" |c| Slot::Number(&mut c.classifier.memory_mb, 1..=1_048_576);
    "alerts.format" "body of an alert" |c| Slot::Choice(&mut c.alerts.format);
    "alerts.first_update_ms" "an update of an alert comes this long after its opening at the earliest; the wait then doubles" |c| Slot::Number(&mut c.alerts.first_update_ms, 1_000..=86_400_000);
    "alerts.last_update_ms" "the wait doubles up to this" |c| Slot::Number(&mut c.alerts.last_update_ms, 1_000..=604_800_000);
    "alerts.idle_ms" "an alert closes when nothing of its kind has happened for so long" |c| Slot::Number(&mut c.alerts.idle_ms, 1_000..=604_800_000);
    "alerts.per_agent" "alerts that one agent may open in an hour; what more there is goes into one alert that counts it, critical ones only beyond twice as many; 0 is no limit" |c| Slot::Number(&mut c.alerts.per_agent, 0..=1_000_000);
    "behavior.mode" "which judgement of behaviour is sent as alerts: the calibrated one, the fixed rules as they stand, or none" |c| Slot::Choice(&mut c.behavior.mode);
    "behavior.mean" "what the fixed rules compare with: the mean of active hours, or of all" |c| Slot::Choice(&mut c.behavior.buckets);
    "behavior.warnings" "false warnings that you will live with, in a thousand agent-weeks" |c| Slot::Number(&mut c.behavior.warnings, 1..=1_000_000);
    "behavior.criticals" "false critical alerts that you will live with, in a thousand agent-weeks" |c| Slot::Number(&mut c.behavior.criticals, 1..=1_000_000);
    "behavior.time_zone" "POSIX rule of the time zone in which hours and weekends are counted, such as `CET-1CEST,M3.5.0,M10.5.0/3`" |c| Slot::Text(&mut c.behavior.time_zone);
    "keys.fingerprint" "key of the fingerprints of secrets in alerts, and of values across sessions; the same on all instances: `file:PATH` or `env:NAME`; null: fingerprints are left out" |c| Slot::Key(&mut c.keys.fingerprint);
    "keys.control" "key that signs orders" |c| Slot::Key(&mut c.keys.control);
    "keys.audit" "key that signs anchors of the audit chain" |c| Slot::Key(&mut c.keys.audit);
    "keys.redaction" "key of redaction tags; the same on all instances" |c| Slot::Key(&mut c.keys.redaction);
    "admin.listen" "address of /metrics, /livez and /readyz; keep it on loopback or behind a proxy" |c| Slot::Text(&mut c.admin.listen);
    "log.format" "how a log line looks" |c| Slot::Choice(&mut c.log.format);
    "log.filter" "what is logged, in the syntax of RUST_LOG, which wins where it is set" |c| Slot::Text(&mut c.log.filter);
    "batch.records" "records in one transaction" |c| Slot::Number(&mut c.batch.records, 1..=100_000);
    "batch.bytes" "bytes of records in one transaction" |c| Slot::Number(&mut c.batch.bytes, 1_024..=1_073_741_824);
    "batch.gather_ms" "how long a batch may be gathered while records keep coming" |c| Slot::Number(&mut c.batch.gather_ms, 0..=25);
    "field_map" "where the fields of an event stand in foreign JSON; empty: records are event v1 or carry GenAI attributes" |c| Slot::FieldMap(&mut c.field_map);
    "limits.record_bytes" "a longer record is unreadable" |c| Slot::Number(&mut c.limits.record_bytes, 1_024..=1_073_741_824);
    "limits.json_depth" "JSON containers inside one another" |c| Slot::Number(&mut c.limits.json_depth, 4..=10_000);
    "limits.values" "keys and values of a record together" |c| Slot::Number(&mut c.limits.values, 16..=10_000_000);
    "limits.id_bytes" "bytes of each id: event, tenant, agent, session, user" |c| Slot::Number(&mut c.limits.id_bytes, 16..=65_536);
    "limits.fields" "strings that are scanned in one event; more is a finding that blocks" |c| Slot::Number(&mut c.limits.fields, 1..=10_000_000);
    "limits.findings" "findings of one event; more is a finding that blocks" |c| Slot::Number(&mut c.limits.findings, 1..=1_000_000);
    "limits.candidates" "places of one text that the first pass may offer; more is a finding that blocks" |c| Slot::Number(&mut c.limits.candidates, 100..=100_000_000);
    "limits.decode_depth" "how deep texts inside texts are decoded; text encoded deeper is a finding that blocks" |c| Slot::Number(&mut c.limits.decode_depth, 1..=8);
    "limits.decoded_texts" "decoded texts of one string; more is a finding that blocks" |c| Slot::Number(&mut c.limits.decoded_texts, 1..=1_000_000);
    "limits.decoded_ratio" "bytes of decoded text for each byte of a string, at all depths together; more is a finding that blocks" |c| Slot::Number(&mut c.limits.decoded_ratio, 1..=64);
    "limits.sessions" "sessions of a partition with a table of redaction tags; with more, the one that would end first is forgotten" |c| Slot::Number(&mut c.limits.sessions, 1..=10_000_000);
    "limits.session_idle_ms" "a session's table is forgotten when nothing was added for so long" |c| Slot::Number(&mut c.limits.session_idle_ms, 1_000..=86_400_000);
    "limits.session_keep_ms" "the labels and used quotas of a session with a name are forgotten when nothing happened in it for so long" |c| Slot::Number(&mut c.limits.session_keep_ms, 1_000..=2_592_000_000);
    "limits.holds" "calls of a partition that wait for an approval; with more, the one that waited longest is forgotten" |c| Slot::Number(&mut c.limits.holds, 1..=1_000_000);
    "limits.hold_ms" "a call waits so long for an approval, and an approval so long for its call" |c| Slot::Number(&mut c.limits.hold_ms, 1_000..=2_592_000_000);
    "limits.agents" "agents of a partition with a count of backdated events; with more, the oldest count is forgotten" |c| Slot::Number(&mut c.limits.agents, 1..=10_000_000);
    "limits.ahead_ms" "a `ts` this far after the log's clock counts as that clock" |c| Slot::Number(&mut c.limits.ahead_ms, 0..=86_400_000);
    "limits.late_ms" "a `ts` this far before the log's clock is backdated" |c| Slot::Number(&mut c.limits.late_ms, 1_000..=31_536_000_000);
    "limits.late_often" "so many backdated events of an agent within `limits.late_window_ms` are an alert" |c| Slot::Number(&mut c.limits.late_often, 1..=1_000_000);
    "limits.late_window_ms" "see `limits.late_often`" |c| Slot::Number(&mut c.limits.late_window_ms, 1_000..=86_400_000);
    "limits.profiles" "agents of a partition with a behaviour profile; with more, the one silent for longest is forgotten" |c| Slot::Number(&mut c.limits.profiles, 1..=10_000_000);
    "limits.taint_values" "secrets and personal data of a partition whose holders are known, where the policy has `taint`; with more, what was seen longest ago is forgotten; each takes 620 bytes at most" |c| Slot::Number(&mut c.limits.taint_values, 1..=10_000_000);
    "limits.taint_rows" "likewise rows of words" |c| Slot::Number(&mut c.limits.taint_rows, 1..=10_000_000);
    "limits.taint_keep_ms" "they are forgotten when they were not seen for so long, or an eighth less" |c| Slot::Number(&mut c.limits.taint_keep_ms, 1_000..=31_536_000_000);
    "limits.streams" "streamed answers of a partition that go on; with more, the one silent for longest is ended" |c| Slot::Number(&mut c.limits.streams, 1..=1_000_000);
    "limits.streams_per_agent" "of these, those of one agent; a further one is refused" |c| Slot::Number(&mut c.limits.streams_per_agent, 1..=1_000_000);
    "limits.stream_idle_ms" "a streamed answer is closed, and what is held back of it decided, when no chunk has come for so long" |c| Slot::Number(&mut c.limits.stream_idle_ms, 1_000..=3_600_000);
    "limits.stream_hold_ms" "text of a streamed answer is held back no longer than this; what is then still open is a finding that blocks" |c| Slot::Number(&mut c.limits.stream_hold_ms, 1_000..=86_400_000);
    "limits.stream_keep_ms" "late chunks of an ended stream are refused quietly for so long" |c| Slot::Number(&mut c.limits.stream_keep_ms, 1_000..=86_400_000);
    "limits.episodes" "open alert episodes of a partition; with more, the one that would close first closes early" |c| Slot::Number(&mut c.limits.episodes, 1..=1_000_000);
}

/// A value that a slot does not take: the problem and what is allowed.
pub(super) struct Refused {
    pub(super) problem: String,
    pub(super) allowed: String,
}

fn refused(problem: impl Into<String>, allowed: impl Into<String>) -> Refused {
    Refused { problem: problem.into(), allowed: allowed.into() }
}

fn not(wanted: &str, node: &Node) -> Refused {
    refused(format!("must be {wanted}, not {}", node.kind()), "")
}

impl Slot<'_> {
    /// Takes a value. `literal_keys` says whether a key itself may stand here.
    pub(super) fn take(self, spot: &Spot, literal_keys: bool) -> Result<(), Refused> {
        match self {
            Self::Text(to) => match &spot.node {
                Node::Text(text) => text.clone_into(to),
                Node::Number(_) | Node::Bool(_) => {
                    return Err(refused("must be text; put it in quotation marks", ""));
                }
                node => return Err(not("text", node)),
            },
            Self::MaybeText(to) => match &spot.node {
                Node::Null => *to = None,
                Node::Text(text) => *to = Some(text.clone()),
                Node::Number(_) | Node::Bool(_) => {
                    return Err(refused("must be text; put it in quotation marks", ""));
                }
                node => return Err(not("text or null", node)),
            },
            Self::Number(to, range) => {
                let allowed = format!("{} to {}", range.start(), range.end());
                let Node::Number(text) = &spot.node else {
                    return Err(Refused { allowed, ..not("a whole number", &spot.node) });
                };
                match text.parse() {
                    Ok(number) if range.contains(&number) => *to = number,
                    _ => return Err(refused(format!("`{text}` is out of range"), allowed)),
                }
            }
            Self::Choice(to) => {
                let allowed = to.names().join(", ");
                // YAML reads a bare `on` or `off` as text or as a boolean, by its version.
                let word = match &spot.node {
                    Node::Text(text) => text.clone(),
                    Node::Bool(true) => "on".to_owned(),
                    Node::Bool(false) => "off".to_owned(),
                    node => return Err(Refused { allowed, ..not("one word", node) }),
                };
                if !to.choose(&word) {
                    return Err(refused(format!("unknown value `{word}`"), allowed));
                }
            }
            Self::Texts(to) => match &spot.node {
                Node::List(list) => {
                    *to = list
                        .iter()
                        .map(|item| match &item.node {
                            Node::Text(text) => Ok(text.clone()),
                            node => Err(not("a list of texts", node)),
                        })
                        .collect::<Result<_, _>>()?;
                }
                Node::Text(text) => *to = vec![text.clone()],
                node => return Err(not("a list of texts", node)),
            },
            Self::Properties(to) => {
                let Node::Map(members) = &spot.node else {
                    return Err(not("a group of keys", &spot.node));
                };
                for (key, value) in members {
                    let (Some(key), Some(value)) = (key.node.scalar(), value.node.scalar()) else {
                        return Err(refused(
                            "every property must be text, a number, true or false",
                            "",
                        ));
                    };
                    to.insert(key, value);
                }
            }
            Self::FieldMap(to) => return take_field_map(to, spot),
            Self::Key(to) => return take_key(to, spot, literal_keys),
        }
        Ok(())
    }

    /// The value in force, with what is secret masked.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::MaybeText(text) => text.as_deref().map_or_else(|| "null".to_owned(), quoted),
            Self::Number(number, _) => number.to_string(),
            Self::Choice(choice) => choice.name().to_owned(),
            Self::Texts(list) => {
                format!("[{}]", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
            }
            Self::Properties(map) => {
                let members = map.iter().map(|(key, value)| {
                    let shown =
                        if is_secret_property(key) { "***".to_owned() } else { quoted(value) };
                    format!("{key}: {shown}")
                });
                braced(&members.collect::<Vec<_>>())
            }
            Self::FieldMap(map) => braced(
                &map.iter()
                    .map(|(key, take)| format!("{key}: {}", take.show()))
                    .collect::<Vec<_>>(),
            ),
            Self::Key(key) => if key.is_some() { "*** (32 bytes)" } else { "null" }.to_owned(),
        }
    }
}

/// Whether a client property's value must not be shown.
pub(super) fn is_secret_property(key: &str) -> bool {
    ["password", "secret", "token", "jaas", "ssl.key.pem", "oauthbearer.config", "private"]
        .iter()
        .any(|part| key.contains(part))
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn braced(members: &[String]) -> String {
    if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
}

impl FieldTake {
    fn show(&self) -> String {
        match self {
            Self::At(at) => quoted(at),
            Self::Const(value) => format!("{{ const: {} }}", quoted(value)),
            Self::Renamed { at, values } => {
                let values: Vec<_> =
                    values.iter().map(|(from, to)| format!("{from}: {to}")).collect();
                format!("{{ at: {}, values: {} }}", quoted(at), braced(&values))
            }
        }
    }
}

fn take_field_map(to: &mut BTreeMap<String, FieldTake>, spot: &Spot) -> Result<(), Refused> {
    let shape = "a JSON pointer, { at: POINTER, values: { theirs: ours } } or { const: TEXT }";
    let Node::Map(members) = &spot.node else {
        return Err(not("a group of keys", &spot.node));
    };
    to.clear();
    for (key, value) in members {
        let Some(key) = key.node.scalar() else {
            return Err(refused("every field must be named by text", ""));
        };
        let wrong = |problem: &str| refused(format!("`{key}` {problem}"), shape);
        let take = match &value.node {
            Node::Text(at) => FieldTake::At(at.clone()),
            Node::Map(members) => {
                let (mut at, mut constant, mut values) = (None, None, Vec::new());
                for (name, value) in members {
                    match (name.node.scalar().as_deref(), &value.node) {
                        (Some("at"), Node::Text(text)) => at = Some(text.clone()),
                        (Some("const"), node) => constant = node.scalar(),
                        (Some("values"), Node::Map(pairs)) => {
                            for (from, to) in pairs {
                                let (Some(from), Some(to)) = (from.node.scalar(), to.node.scalar())
                                else {
                                    return Err(wrong("has values that are not text"));
                                };
                                values.push((from, to));
                            }
                        }
                        _ => return Err(wrong("has a member that is not known")),
                    }
                }
                match (at, constant) {
                    (Some(at), None) => FieldTake::Renamed { at, values },
                    (None, Some(value)) if values.is_empty() => FieldTake::Const(value),
                    _ => return Err(wrong("must have either `at` or `const`")),
                }
            }
            _ => return Err(wrong("is neither text nor a group of keys")),
        };
        to.insert(key, take);
    }
    Ok(())
}

fn take_key(to: &mut Option<Secret>, spot: &Spot, literal: bool) -> Result<(), Refused> {
    let allowed = "file:PATH, env:NAME, null";
    let text = match &spot.node {
        Node::Null => {
            *to = None;
            return Ok(());
        }
        Node::Text(text) => text,
        node if literal && node.scalar().is_some() => {
            return Err(refused("is not a key", "64 hexadecimal digits, or base64 of 32 bytes"));
        }
        node => return Err(Refused { allowed: allowed.to_owned(), ..not("text or null", node) }),
    };
    let (material, place) = if let Some(path) = text.strip_prefix("file:") {
        let read = std::fs::read_to_string(path)
            .map_err(|error| refused(format!("cannot read key file `{path}`: {error}"), ""))?;
        (read, format!("key file `{path}`"))
    } else if let Some(name) = text.strip_prefix("env:") {
        let value = std::env::var(name)
            .map_err(|_| refused(format!("environment variable `{name}` is not set"), ""))?;
        (value, format!("environment variable `{name}`"))
    } else if literal {
        (text.clone(), "the value".to_owned())
    } else {
        return Err(refused("a key itself must not stand here, where others can read it", allowed));
    };
    let secret = Secret::parse(&material).ok_or_else(|| {
        refused(
            format!("{place} does not hold a key"),
            "64 hexadecimal digits, or base64 of 32 bytes (try `openssl rand -hex 32`)",
        )
    })?;
    *to = Some(secret);
    Ok(())
}
