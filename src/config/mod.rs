//! What Weir is told: defaults, then `weir.yml`, then the environment, then `--set`.
//!
//! A setting is one line of the table in `settings`; a later layer replaces the value of
//! an earlier one, key by key. Everything that is wrong is told at once, with file, line,
//! key and what would be right. [`Loaded`] remembers where each value came from.

mod check;
mod choice;
mod error;
mod keys;
mod layers;
mod settings;
mod yaml;

use std::collections::BTreeMap;

use crate::alert::Folding;
use crate::baseline;
use crate::classify::{self, When};
use crate::detect::{EngineKind, ScanLimits};
use crate::inspect;
use crate::policy::Mode;
use crate::telemetry::logs::Format;
use crate::wire::event::{FieldMap, FieldMapError, ReadLimits, Take};

pub use choice::{AlertFormat, ClassifierUse, Delivery, Switch, Word};
pub use error::{ConfigError, Origin, Wrong};
pub use keys::Secret;
pub use layers::{Layers, Loaded};
pub use settings::{SETTINGS, Setting};

/// Where a field of foreign JSON comes from.
pub type FieldTake = Take;

/// Everything that Weir is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Brokers and group.
    pub kafka: Kafka,
    /// Names of topics.
    pub topics: Topics,
    /// Whether events are put on the partitions of their agents first.
    pub repartition: Switch,
    /// How often an event's outputs may appear.
    pub delivery: Delivery,
    /// Threads.
    pub lanes: u64,
    /// Name of this process in transactional ids.
    pub instance: Option<String>,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// Which automata find candidates.
    pub engine: EngineKind,
    /// Folders or files of rules; empty: compiled in.
    pub patterns: Vec<String>,
    /// Policy file; none: shipped.
    pub policy: Option<String>,
    /// The model beside the rules.
    pub classifier: Classifier,
    /// What alerts look like.
    pub alerts: Alerts,
    /// How behaviour is judged.
    pub behavior: Behavior,
    /// Key material.
    pub keys: Keys,
    /// The admin listener.
    pub admin: Admin,
    /// Log lines.
    pub log: Log,
    /// Sizes of transactions.
    pub batch: Batch,
    /// Where the fields of an event stand in foreign JSON.
    pub field_map: BTreeMap<String, FieldTake>,
    /// What one event may cost.
    pub limits: Limits,
}

/// Brokers and group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Consumer group.
    pub group_id: String,
    /// For the client library, as they are.
    pub properties: BTreeMap<String, String>,
}

/// Names of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "a field is named as its topic is, and SETTINGS says what that is for"
)]
pub struct Topics {
    pub events: String,
    pub verdicts: String,
    pub clean: String,
    pub alerts: String,
    pub audit: String,
    pub anchors: String,
    pub dlq: String,
    pub control: String,
    pub shared: String,
    pub state: String,
    pub by_agent: String,
}

/// The model beside the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// Whether it runs.
    pub enabled: ClassifierUse,
    /// Its folder.
    pub model: String,
    /// The runtime library.
    pub library: Option<String>,
    /// Hash of the model's graph.
    pub sha256: Option<String>,
    /// Which events it is asked about.
    pub when: When,
    /// Thresholds: a probability, or a name that the model's configuration gives one.
    pub low: String,
    /// See `low`.
    pub medium: String,
    /// See `low`.
    pub high: String,
    /// Classes that count.
    pub positive: Option<String>,
    /// How long an event waits for its scores.
    pub deadline_ms: u64,
    /// Whether what was late is scored all the same.
    pub second_look: Switch,
    /// Tokens of a window.
    pub window_tokens: u64,
    /// Tokens from one window to the next.
    pub stride_tokens: u64,
    /// The white-space treatment of the Prompt Guard family.
    pub respace: ClassifierUse,
    /// Threads.
    pub threads: u64,
    /// Tokens of one run.
    pub batch_tokens: u64,
    /// Texts of which the score is remembered.
    pub cache_entries: u64,
    /// Bytes of texts that wait.
    pub queue_bytes: u64,
    /// When a run is ended.
    pub hang_ms: u64,
    /// What the model may take.
    pub memory_mb: u64,
}

/// What alerts look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Their body.
    pub format: AlertFormat,
    /// Wait before the first update.
    pub first_update_ms: u64,
    /// Longest wait between updates.
    pub last_update_ms: u64,
    /// Quiet after which an alert closes.
    pub idle_ms: u64,
    /// Alerts that one agent may open in an hour; 0 is no limit.
    pub per_agent: u64,
}

/// How behaviour is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behavior {
    /// Which judgement is sent.
    pub mode: baseline::Mode,
    /// What the fixed rules compare with.
    pub buckets: baseline::Buckets,
    /// Budget of false warnings in a thousand agent-weeks.
    pub warnings: u64,
    /// Budget of false critical alerts in a thousand agent-weeks.
    pub criticals: u64,
    /// POSIX rule of the time zone.
    pub time_zone: String,
}

/// Key material.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// For fingerprints of secrets.
    pub fingerprint: Option<Secret>,
    /// For orders.
    pub control: Option<Secret>,
    /// For anchors of the audit chain.
    pub audit: Option<Secret>,
    /// For redaction tags.
    pub redaction: Option<Secret>,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address and port.
    pub listen: String,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How they look.
    pub format: Format,
    /// Which there are.
    pub filter: String,
}

/// Sizes of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Records.
    pub records: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// How long one may be gathered.
    pub gather_ms: u64,
}

/// What one event may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a record.
    pub record_bytes: u64,
    /// JSON containers inside one another.
    pub json_depth: u64,
    /// Keys and values of a record together.
    pub values: u64,
    /// Bytes of each id.
    pub id_bytes: u64,
    /// Strings that are scanned.
    pub fields: u64,
    /// Findings.
    pub findings: u64,
    /// Candidates of one text.
    pub candidates: u64,
    /// Texts inside texts.
    pub decode_depth: u64,
    /// Decoded texts of one string.
    pub decoded_texts: u64,
    /// Bytes of decoded text for each byte of a string.
    pub decoded_ratio: u64,
    /// Sessions of a partition with a table of redaction tags.
    pub sessions: u64,
    /// When such a table is forgotten.
    pub session_idle_ms: u64,
    /// When a named session's labels and quotas are forgotten.
    pub session_keep_ms: u64,
    /// Calls of a partition that wait for an approval.
    pub holds: u64,
    /// How long they wait.
    pub hold_ms: u64,
    /// Agents of a partition with a count of backdated events.
    pub agents: u64,
    /// How far a `ts` may lie ahead.
    pub ahead_ms: u64,
    /// When a `ts` is backdated.
    pub late_ms: u64,
    /// How many backdated events are an alert.
    pub late_often: u64,
    /// Within which time.
    pub late_window_ms: u64,
    /// Open alert episodes of a partition.
    pub episodes: u64,
    /// Agents of a partition with a behaviour profile.
    pub profiles: u64,
    /// Secrets and personal data of a partition whose holders are known.
    pub taint_values: u64,
    /// Rows of words of a partition whose holders are known.
    pub taint_rows: u64,
    /// When they are forgotten.
    pub taint_keep_ms: u64,
    /// `limits.streams`
    pub streams: u64,
    /// `limits.streams_per_agent`
    pub streams_per_agent: u64,
    /// `limits.stream_idle_ms`
    pub stream_idle_ms: u64,
    /// `limits.stream_hold_ms`
    pub stream_hold_ms: u64,
    /// `limits.stream_keep_ms`
    pub stream_keep_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        let (read, scan) = (ReadLimits::default(), ScanLimits::default());
        let decide = inspect::Limits::default();
        let topic = |name: &str| format!("weir.{name}");
        Self {
            kafka: Kafka {
                bootstrap_servers: "127.0.0.1:9092".to_owned(),
                group_id: "weir".to_owned(),
                properties: BTreeMap::new(),
            },
            topics: Topics {
                events: topic("events"),
                verdicts: topic("verdicts"),
                clean: topic("clean"),
                alerts: topic("alerts"),
                audit: topic("audit"),
                anchors: topic("anchors"),
                dlq: topic("dlq"),
                control: topic("control"),
                shared: topic("shared"),
                state: topic("state"),
                by_agent: topic("events.by-agent"),
            },
            repartition: Switch::Off,
            delivery: Delivery::default(),
            lanes: 1,
            instance: None,
            mode: Mode::default(),
            engine: EngineKind::default(),
            patterns: Vec::new(),
            policy: None,
            classifier: Classifier::default(),
            alerts: Alerts {
                format: AlertFormat::default(),
                first_update_ms: decide.folding.first_update_ms as u64,
                last_update_ms: decide.folding.last_update_ms as u64,
                idle_ms: decide.folding.idle_ms as u64,
                per_agent: decide.folding.per_agent,
            },
            behavior: Behavior {
                mode: baseline::Mode::default(),
                buckets: baseline::Buckets::default(),
                warnings: 100,
                criticals: 2,
                time_zone: "UTC0".to_owned(),
            },
            keys: Keys::default(),
            admin: Admin { listen: "127.0.0.1:9465".to_owned() },
            log: Log { format: Format::default(), filter: "info".to_owned() },
            batch: Batch { records: 2_000, bytes: 8 << 20, gather_ms: 10 },
            field_map: BTreeMap::new(),
            limits: Limits {
                record_bytes: read.record_bytes as u64,
                json_depth: read.depth as u64,
                values: read.values as u64,
                id_bytes: read.id_bytes as u64,
                fields: scan.fields as u64,
                findings: scan.findings as u64,
                candidates: scan.candidates as u64,
                decode_depth: scan.decode_depth as u64,
                decoded_texts: scan.decoded_texts as u64,
                decoded_ratio: scan.decoded_ratio as u64,
                sessions: decide.sessions as u64,
                session_idle_ms: decide.session_idle_ms as u64,
                session_keep_ms: decide.session_keep_ms as u64,
                holds: decide.holds as u64,
                hold_ms: decide.hold_ms as u64,
                agents: decide.agents as u64,
                ahead_ms: decide.ahead_ms as u64,
                late_ms: decide.late_ms as u64,
                late_often: decide.late_often,
                late_window_ms: decide.late_window_ms as u64,
                episodes: decide.folding.episodes as u64,
                profiles: decide.profiles as u64,
                taint_values: decide.taint_values as u64,
                taint_rows: decide.taint_rows as u64,
                taint_keep_ms: decide.taint_keep_ms as u64,
                streams: decide.streams as u64,
                streams_per_agent: decide.streams_per_agent,
                stream_idle_ms: decide.stream_idle_ms as u64,
                stream_hold_ms: decide.stream_hold_ms as u64,
                stream_keep_ms: decide.stream_keep_ms as u64,
            },
        }
    }
}

impl Default for Classifier {
    fn default() -> Self {
        let own = classify::Settings::default();
        Self {
            enabled: ClassifierUse::default(),
            model: own.model.to_string_lossy().into_owned(),
            library: own.library,
            sha256: own.sha256,
            when: When::default(),
            low: own.low,
            medium: own.medium,
            high: own.high,
            positive: own.positive,
            deadline_ms: 15,
            second_look: Switch::default(),
            window_tokens: own.window_tokens as u64,
            stride_tokens: own.stride_tokens as u64,
            respace: ClassifierUse::default(),
            threads: own.threads as u64,
            batch_tokens: own.batch_tokens as u64,
            cache_entries: own.cache_entries as u64,
            queue_bytes: own.queue_bytes as u64,
            hang_ms: own.hang_ms,
            memory_mb: own.memory_mb,
        }
    }
}

impl Classifier {
    /// What the model is opened with.
    #[must_use]
    pub fn settings(&self) -> classify::Settings {
        classify::Settings {
            model: self.model.clone().into(),
            library: self.library.clone(),
            sha256: self.sha256.clone(),
            positive: self.positive.clone(),
            low: self.low.clone(),
            medium: self.medium.clone(),
            high: self.high.clone(),
            window_tokens: self.window_tokens as usize,
            stride_tokens: self.stride_tokens as usize,
            respace: match self.respace {
                ClassifierUse::Auto => None,
                ClassifierUse::On => Some(true),
                ClassifierUse::Off => Some(false),
            },
            threads: self.threads as usize,
            batch_tokens: self.batch_tokens as usize,
            cache_entries: self.cache_entries as usize,
            queue_bytes: self.queue_bytes as usize,
            hang_ms: self.hang_ms,
            memory_mb: self.memory_mb,
        }
    }
}

impl Config {
    /// What reading a record may cost.
    #[must_use]
    pub fn read_limits(&self) -> ReadLimits {
        ReadLimits {
            record_bytes: self.limits.record_bytes as usize,
            depth: self.limits.json_depth as usize,
            values: self.limits.values as usize,
            id_bytes: self.limits.id_bytes as usize,
        }
    }

    /// What a scan may cost.
    #[must_use]
    pub fn scan_limits(&self) -> ScanLimits {
        ScanLimits {
            fields: self.limits.fields as usize,
            findings: self.limits.findings as usize,
            candidates: self.limits.candidates as usize,
            decode_depth: self.limits.decode_depth as usize,
            decoded_texts: self.limits.decoded_texts as usize,
            decoded_ratio: self.limits.decoded_ratio as usize,
        }
    }

    /// What a partition remembers and lets pass.
    #[must_use]
    pub fn inspect_limits(&self) -> inspect::Limits {
        let (limits, alerts) = (&self.limits, &self.alerts);
        inspect::Limits {
            sessions: limits.sessions as usize,
            session_idle_ms: limits.session_idle_ms as i64,
            session_keep_ms: limits.session_keep_ms as i64,
            holds: limits.holds as usize,
            hold_ms: limits.hold_ms as i64,
            agents: limits.agents as usize,
            ahead_ms: limits.ahead_ms as i64,
            late_ms: limits.late_ms as i64,
            late_often: limits.late_often,
            late_window_ms: limits.late_window_ms as i64,
            profiles: limits.profiles as usize,
            taint_values: limits.taint_values as usize,
            taint_rows: limits.taint_rows as usize,
            taint_keep_ms: limits.taint_keep_ms as i64,
            streams: limits.streams as usize,
            streams_per_agent: limits.streams_per_agent,
            stream_idle_ms: limits.stream_idle_ms as i64,
            stream_hold_ms: limits.stream_hold_ms as i64,
            stream_keep_ms: limits.stream_keep_ms as i64,
            folding: Folding {
                episodes: limits.episodes as usize,
                first_update_ms: alerts.first_update_ms as i64,
                last_update_ms: alerts.last_update_ms as i64,
                idle_ms: alerts.idle_ms as i64,
                per_agent: alerts.per_agent,
            },
        }
    }

    /// How behaviour is judged.
    ///
    /// # Errors
    /// Where the time zone is none; a loaded configuration has been checked.
    pub fn behavior(&self) -> Result<baseline::Settings, baseline::BadZone> {
        Ok(baseline::Settings {
            mode: self.behavior.mode,
            buckets: self.behavior.buckets,
            warnings_per_week: self.behavior.warnings as f64 / 1000.0,
            criticals_per_week: self.behavior.criticals as f64 / 1000.0,
            zone: baseline::Zone::posix(&self.behavior.time_zone)?,
        })
    }

    /// The topic that lanes read: where agents stand on the partitions of their ids.
    #[must_use]
    pub fn lanes_topic(&self) -> &str {
        if self.repartition.is_on() { &self.topics.by_agent } else { &self.topics.events }
    }

    /// The field map.
    ///
    /// # Errors
    /// Where a field or pointer is none; a loaded configuration has been checked.
    pub fn field_map(&self) -> Result<FieldMap, FieldMapError> {
        FieldMap::new(self.field_map.iter().map(|(name, take)| (name.clone(), take.clone())))
    }
}

impl Topics {
    /// Setting and name of each topic, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &str); 11] {
        [
            ("events", &self.events),
            ("verdicts", &self.verdicts),
            ("clean", &self.clean),
            ("alerts", &self.alerts),
            ("audit", &self.audit),
            ("anchors", &self.anchors),
            ("dlq", &self.dlq),
            ("control", &self.control),
            ("shared", &self.shared),
            ("state", &self.state),
            ("by_agent", &self.by_agent),
        ]
    }
}
