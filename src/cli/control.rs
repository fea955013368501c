//! `weir control`: the SOC's switch.
//!
//! An order is one record of the control topic, written with all replicas' acknowledgement;
//! every instance obeys it within a second. With `keys.control` the record is signed, and
//! instances that have the key obey nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::audit::hex;
use crate::clock;
use crate::config::Config;
use crate::inspect::call_hash;
use crate::policy::{Mode, Orders, Scope};
use crate::redact::Key32;
use crate::wire::control::{Body, ControlRecord, Reader, write};
use crate::wire::event::{self, FieldMap, ReadLimits};
use crate::wire::time::rfc3339;

use super::Done;
use super::config::{ConfigArgs, load};
use super::failure::Failure;
use super::kafka;
use super::out::Out;
use super::when::span;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Blocks everything in the scope, until `resume`.
    ///
    /// No event that is appended more than one second after the order is allowed, on any
    /// instance. Verdicts still come: they say `block` and name the order.
    Kill(OrderArgs),
    /// Lifts a kill of the same scope.
    Resume(OrderArgs),
    /// Sets the mode of the scope; the narrowest scope wins.
    ///
    /// In `shadow` everything is decided and told, and nothing is changed or held back;
    /// `policy` gives the scope back to the policy file and the configuration.
    Mode {
        /// The mode
        mode: ModeWord,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Names the pack that is to serve, by the hash that `weir patterns lint` prints.
    ///
    /// An instance whose folders hold that pack takes it up; one that does not have it keeps
    /// what it has, says so and is not ready. `configured` lifts the order: each instance
    /// follows its own folders again.
    Pack {
        /// Hash of the pack, or `configured`
        hash: String,
        #[command(flatten)]
        order: OrderArgs,
    },
    /// Approves a call that waits: the same call, sent again, passes once.
    ///
    /// The id stands in the verdict that holds the call back, as `hold.id`.
    Approve {
        /// Id of the hold
        hold: String,
        #[command(flatten)]
        given: GivenArgs,
    },
    /// Approves calls of one tool before anybody asks.
    ///
    /// Where policy asks for an approval of such a call, the next ones pass. `--uses 0` takes
    /// the grant back. What policy denies stays denied.
    ///
    /// Examples:
    ///   weir control grant --agent payments-bot --tool bank.transfer --params '{"to":"DE…","amount":250}' --for 1h --reason INC-1
    ///   weir control grant --agent etl-7 --tool crm.export --any-params --uses 20 --for 8h --reason CHG-12
    #[command(verbatim_doc_comment)]
    Grant(GrantArgs),
    /// Prints the orders that stand.
    Status {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ModeWord {
    Enforce,
    Shadow,
    Policy,
}

#[derive(Args)]
pub(super) struct OrderArgs {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Tenant of the agent or session; alone: everything of that tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    #[command(flatten)]
    given: GivenArgs,
}

#[derive(Args)]
pub(super) struct GrantArgs {
    /// Agent
    #[arg(long, value_name = "ID")]
    agent: String,

    /// Tenant of the agent
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,

    /// Tool
    #[arg(long, value_name = "NAME")]
    tool: String,

    /// Exactly these parameters, as JSON
    #[arg(long, value_name = "JSON", required_unless_present = "any_params")]
    params: Option<String>,

    /// Whatever the parameters
    #[arg(long, conflicts_with = "params")]
    any_params: bool,

    /// How many calls
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,

    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = span)]
    span: i64,

    #[command(flatten)]
    given: GivenArgs,
}

impl GrantArgs {
    fn body(&self) -> Result<Body, Failure> {
        let params = match &self.params {
            None => "*".to_owned(),
            Some(text) => hash_of(&self.tool, text)?,
        };
        Ok(Body::Grant {
            scope: Scope::Agent(self.tenant.clone(), self.agent.clone()),
            tool: self.tool.clone(),
            params,
            uses: self.uses,
            expires: clock::now().plus(self.span),
        })
    }
}

/// The hash of parameters, as a call with them would have it.
fn hash_of(tool: &str, params: &str) -> Result<String, Failure> {
    let params: serde_json::Value =
        serde_json::from_str(params).context("--params is not JSON").map_err(Failure::usage)?;
    let call = serde_json::json!({"v": 1, "id": "grant", "ts": 0, "kind": "tool_call",
        "agent": {"id": "grant"}, "tool": {"name": tool, "params": params}});
    let call = call.to_string();
    let event = event::read(call.as_bytes(), &FieldMap::default(), &ReadLimits::default())
        .map_err(|unreadable| Failure::usage(anyhow!("{}", unreadable.message)))?;
    let hash = call_hash(&event).unwrap_or_default();
    Ok(hex(&hash))
}

/// By whom an order is given, and why.
#[derive(Args)]
pub(super) struct GivenArgs {
    /// Why; kept in the audit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    /// Who gives the order; kept in the audit [default: the user's name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Args)]
struct ScopeArgs {
    /// Everybody
    #[arg(long, conflicts_with_all = ["agent", "agent_type", "session", "tenant"])]
    all: bool,

    /// One agent
    #[arg(long, value_name = "ID", conflicts_with = "agent_type")]
    agent: Option<String>,

    /// All agents of a type
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "tenant")]
    agent_type: Option<String>,

    /// One session of the agent
    #[arg(long, value_name = "ID", requires = "agent")]
    session: Option<String>,
}

fn reason(text: &str) -> Result<String, String> {
    let some = text.chars().any(|c| !c.is_whitespace());
    if some { Ok(text.to_owned()) } else { Err("must say why".to_owned()) }
}

impl OrderArgs {
    fn scope(&self) -> Result<Scope, Failure> {
        let tenant = self.tenant.clone();
        let in_tenant = || tenant.clone().unwrap_or_default();
        match (&self.scope, &self.tenant) {
            (ScopeArgs { agent: Some(agent), session: Some(session), .. }, _) => {
                Ok(Scope::Session(in_tenant(), agent.clone(), session.clone()))
            }
            (ScopeArgs { agent: Some(agent), .. }, _) => {
                Ok(Scope::Agent(in_tenant(), agent.clone()))
            }
            (ScopeArgs { agent_type: Some(name), .. }, _) => Ok(Scope::Type(name.clone())),
            (_, Some(tenant)) => Ok(Scope::Tenant(tenant.clone())),
            (ScopeArgs { all: true, .. }, None) => Ok(Scope::All),
            _ => Err(Failure::usage(anyhow!("no scope is given")).hint(
                "say whom: --all, --tenant T, --type T, --agent A, or --agent A --session S",
            )),
        }
    }
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    let (args, body) = match command {
        Command::Status { config } => return status(&load(config)?.config, out),
        Command::Kill(args) => (&args.given, Body::Kill { scope: args.scope()?, on: true }),
        Command::Resume(args) => (&args.given, Body::Kill { scope: args.scope()?, on: false }),
        Command::Approve { hold, given } => {
            if hold.len() != 32 || !hold.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Failure::usage(anyhow!("`{hold}` is no id of a hold"))
                    .hint("a hold's id is 32 hexadecimal digits, as `hold.id` of a verdict"));
            }
            let id = uuid::Uuid::new_v4().to_string();
            (given, Body::Approve { id, hold: hold.to_ascii_lowercase() })
        }
        Command::Mode { mode, order } => {
            let mode = match mode {
                ModeWord::Enforce => Some(Mode::Enforce),
                ModeWord::Shadow => Some(Mode::Shadow),
                ModeWord::Policy => None,
            };
            (&order.given, Body::Mode { scope: order.scope()?, mode })
        }
        Command::Pack { hash, order } => (&order.given, pack_order(hash, order)?),
        Command::Grant(args) => (&args.given, args.body()?),
    };
    give(body, args, out)
}

/// Gives one order, and says where it stands.
pub(super) fn give(body: Body, args: &GivenArgs, out: &mut Out) -> Result<Done, Failure> {
    let config = load(&args.config)?.config;
    let key = control_key(&config);
    let mut reader = Reader::new(key.clone());
    if key.is_some() {
        // The counter must lie above every order before it.
        standing(&config, &mut reader)?;
    }
    let by = args.by.clone().unwrap_or_else(|| {
        std::env::var("USER")
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    });
    let record = ControlRecord {
        body,
        by,
        reason: args.reason.clone(),
        counter: reader.next_counter(clock::now()),
    };
    let offset = send(&config, &record, key.as_ref())?;
    out.line(format_args!("{} is order {offset} of {}", record.body.key(), config.topics.control))?;
    Ok(Done::Well)
}

fn pack_order(hash: &str, order: &OrderArgs) -> Result<Body, Failure> {
    let scope = order.scope()?;
    if scope != Scope::All {
        return Err(Failure::usage(anyhow!("a pack serves everybody"))
            .hint("give --all; rules for one agent are chosen by policy"));
    }
    let is_hash =
        hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match hash {
        "configured" => Ok(Body::Pack { scope, hash: String::new() }),
        hash if is_hash => Ok(Body::Pack { scope, hash: hash.to_owned() }),
        hash => Err(Failure::usage(anyhow!("`{hash}` is no hash of a pack"))
            .hint("`weir patterns lint FOLDER` prints the hash: 64 hexadecimal digits")),
    }
}

/// The key in the form that `wire` signs with.
pub(super) fn control_key(config: &Config) -> Option<Key32> {
    config.keys.control.as_ref().map(|key| Key32(*key.bytes()))
}

/// Keeps what became of the one record that is sent.
#[derive(Clone, Default)]
struct Receipt(Arc<Mutex<Option<Result<i64, KafkaError>>>>);

impl ClientContext for Receipt {}

impl ProducerContext for Receipt {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

fn send(config: &Config, record: &ControlRecord, key: Option<&Key32>) -> Result<i64, Failure> {
    let written = write(record, key);
    let receipt = Receipt::default();
    let producer: BaseProducer<Receipt> = kafka::client(config)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("allow.auto.create.topics", "false")
        .set("message.timeout.ms", "10000")
        .create_with_context(receipt.clone())
        .context("cannot make a Kafka client")
        .map_err(Failure::usage)?;
    let mut headers = OwnedHeaders::new();
    for (name, value) in &written.headers {
        headers = headers.insert(Header { key: name, value: Some(value) });
    }
    let topic = &config.topics.control;
    let failed = |error: KafkaError| {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot write to `{topic}`")))
            .hint("`weir topics check` says whether the topic is there")
    };
    let out = BaseRecord::to(topic)
        .partition(0)
        .key(&written.key)
        .payload(&written.value)
        .headers(headers);
    producer.send(out).map_err(|(error, _)| failed(error))?;
    producer.flush(2 * kafka::PATIENCE).map_err(failed)?;
    let told = receipt.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    match told {
        Some(Ok(offset)) => Ok(offset),
        Some(Err(error)) => Err(failed(error)),
        None => {
            Err(Failure::runtime(anyhow!("nothing is known of the order written to `{topic}`"))
                .hint("`weir control status` says which orders stand"))
        }
    }
}

/// Reads the topic to its end.
fn standing(config: &Config, reader: &mut Reader) -> Result<(Orders, Vec<String>), Failure> {
    let consumer = kafka::reader(config)?;
    let topic = &config.topics.control;
    if kafka::partitions(config, &consumer, topic, kafka::PATIENCE)?.is_none() {
        return Err(Failure::runtime(anyhow!(
            "topic `{topic}` is missing: run `weir topics create`"
        )));
    }
    let mut orders = Orders::default();
    let mut refused = Vec::new();
    let mut records = kafka::Committed::new(config, &consumer, topic, 0)?;
    while let Some(message) = records.message() {
        let read = reader.read(
            message.key().unwrap_or_default(),
            message.payload(),
            &kafka::headers(&message),
        );
        match read {
            Ok(record) => {
                if let Some(order) = record.order(message.offset()) {
                    orders.apply(&order);
                }
            }
            Err(error) => refused.push(format!("order {}: {error}", message.offset())),
        }
    }
    records.finish()?;
    Ok((orders, refused))
}

fn status(config: &Config, out: &mut Out) -> Result<Done, Failure> {
    let mut reader = Reader::new(control_key(config));
    let (orders, refused) = standing(config, &mut reader)?;
    for scope in &orders.kills {
        out.line(format_args!("killed  {}", describe(scope)))?;
    }
    for (scope, mode) in &orders.modes {
        out.line(format_args!("{:7} {}", mode.name(), describe(scope)))?;
    }
    for (scope, hash) in &orders.packs {
        out.line(format_args!("pack    {} for {}", hash, describe(scope)))?;
    }
    let now = clock::now();
    let silences = orders.silences.iter().filter(|(_, (_, until))| *until > now);
    let mut quiet = 0;
    for ((scope, signal, tool), (from, until)) in silences {
        quiet += 1;
        let signal = signal.as_deref().unwrap_or("all signals");
        let tool = tool.as_deref().map_or(String::new(), |tool| format!(" of tool {tool}"));
        let from = from.map_or(String::new(), |from| format!(" from {}", rfc3339(from)));
        let until = rfc3339(*until);
        out.line(format_args!(
            "quiet   {signal}{tool} for {}{from} until {until}",
            describe(scope)
        ))?;
    }
    if orders.kills.is_empty() && orders.modes.is_empty() && orders.packs.is_empty() && quiet == 0 {
        out.line("no order stands")?;
    }
    for line in refused {
        out.line(format_args!("ignored {line}"))?;
    }
    Ok(Done::Well)
}

fn describe(scope: &Scope) -> String {
    let of = |tenant: &str| {
        if tenant.is_empty() { String::new() } else { format!(" of tenant {tenant}") }
    };
    match scope {
        Scope::All => "everybody".to_owned(),
        Scope::Tenant(tenant) => format!("tenant {tenant}"),
        Scope::Type(name) => format!("agents of type {name}"),
        Scope::Agent(tenant, agent) => format!("agent {agent}{}", of(tenant)),
        Scope::Session(tenant, agent, session) => {
            format!("session {session} of agent {agent}{}", of(tenant))
        }
    }
}
