//! `weir policy`: is the file right, and which line of it decides.

mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use crate::config::Config;
use crate::event::{Event, Kind, Millis, Tool};
use crate::finding::{Confidence, Family, Finding, Severity, Source};
use crate::policy::{Because, Policy};

use super::Done;
use super::failure::Failure;
use super::out::Out;
use super::pack;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Reads a policy file and tells a mistake with file, line, key and the word that was meant.
    ///
    /// With --tests it also decides the events of that file and compares; exit code 1 where one
    /// is decided otherwise. Without it, `NAME.tests.yml` beside the policy is run where it is there.
    Check {
        /// The policy
        #[arg(value_name = "FILE")]
        file: String,
        /// Events and what is expected of them
        #[arg(long, value_name = "FILE")]
        tests: Option<PathBuf>,
        /// Rules instead of those that are compiled in, for the tests; may be given more than once
        #[arg(long, value_name = "DIR")]
        patterns: Vec<String>,
    },
    /// Says what the policy does about a finding, or about a tool, and which line says so.
    ///
    /// Examples:
    ///   weir policy explain --rule pii.email --kind output --agent bot
    ///   weir policy explain policy.yml --tool mail.send --type support
    #[command(verbatim_doc_comment)]
    Explain(ExplainArgs),
}

#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The policy [default: the shipped one]
    #[arg(value_name = "FILE")]
    file: Option<String>,

    /// Id of the rule that made the finding
    #[arg(long, value_name = "ID", required_unless_present = "tool")]
    rule: Option<String>,

    /// Kind of the event
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,

    /// Id of the agent
    #[arg(long, value_name = "ID", default_value = "agent")]
    agent: String,

    /// Type of the agent
    #[arg(long = "type", value_name = "TYPE")]
    agent_type: Option<String>,

    /// Tenant
    #[arg(long, value_name = "TENANT", default_value = "")]
    tenant: String,

    /// Name of the tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,

    /// Rules instead of those that are compiled in; may be given more than once
    #[arg(long, value_name = "DIR")]
    patterns: Vec<String>,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    match command {
        Command::Check { file, tests, patterns } => {
            let policy = policy(Some(file))?;
            out.line(format_args!("{file}: no mistakes, policy {:.12}", policy.hash))?;
            for (line, id) in policy.ended_windows(crate::clock::now()) {
                out.line(format_args!(
                    "{file}:{line}: maintenance window `{id}` is over for good and keeps nothing back"
                ))?;
            }
            let beside = beside(file);
            match tests.as_ref().or(beside.as_ref().filter(|path| path.exists())) {
                Some(tests) => tests::run(&policy, tests, patterns, out),
                None => Ok(Done::Well),
            }
        }
        Command::Explain(args) => explain(args, out),
    }
}

fn policy(file: Option<&String>) -> Result<Policy, Failure> {
    let config = Config { policy: file.cloned(), ..Config::default() };
    pack::policy(&config)
}

/// `policy.tests.yml` for `policy.yml`.
fn beside(file: &str) -> Option<PathBuf> {
    let (stem, end) = file.rsplit_once('.')?;
    Some(PathBuf::from(format!("{stem}.tests.{end}")))
}

fn explain(args: &ExplainArgs, out: &mut Out) -> Result<Done, Failure> {
    let policy = policy(args.file.as_ref())?;
    let file = args.file.as_deref().unwrap_or("policy/default.yml");
    let kind = args.kind.unwrap_or(if args.tool.is_some() { Kind::ToolCall } else { Kind::Prompt });
    let mut event =
        Event::new(kind, "explain".into(), Cow::Borrowed(&args.agent), Millis::default());
    event.agent_type = args.agent_type.as_deref().map(Cow::Borrowed);
    event.tenant = Cow::Borrowed(&args.tenant);
    event.tool =
        args.tool.as_deref().map(|name| Tool { name: Cow::Borrowed(name), ..Tool::default() });
    if let Some(rule) = &args.rule {
        finding(&policy, file, &event, rule, &args.patterns, out)?;
    }
    if let Some(tool) = &args.tool {
        let said = policy.governance.explain(&event);
        if said.is_empty() {
            out.line(format_args!("{tool}: allowed; no line is about it"))?;
        }
        for (line, text) in said {
            out.line(format_args!("{tool}: {text}  # {file}:{line}"))?;
        }
    }
    for (line, text) in policy.explain_windows(&event) {
        out.line(format_args!("maintenance: {text}  # {file}:{line}"))?;
    }
    Ok(Done::Well)
}

fn finding(
    policy: &Policy,
    file: &str,
    event: &Event<'_>,
    id: &str,
    patterns: &[String],
    out: &mut Out,
) -> Result<(), Failure> {
    let finding = Finding::whole(source(id, patterns)?, Confidence::High);
    let explained = policy.explain(event, &finding);
    let because = |why: Because| match why {
        Because::Line(line) => format!("{file}:{line}"),
        Because::Rule => format!("the rule's own default, in its file ({id})"),
        Because::Defaults => {
            format!("no line is about it: `defaults` of {file}, or the built-in one")
        }
        Because::LowConfidence => "findings of low confidence are left alone".to_owned(),
        Because::Failures => format!("`failures` of {file}"),
    };
    out.line(format_args!("action: {}  # {}", explained.ruling.action, because(explained.action)))?;
    out.line(format_args!(
        "mode: {}  # {}",
        explained.ruling.mode.name(),
        because(explained.mode)
    ))?;
    out.line(format_args!("operator: {}", policy.operator(&finding.source.kind).name()))?;
    if let Some(hint) = policy.hint(event, &finding) {
        out.line(format_args!("hint: {hint}"))?;
    }
    if explained.lines.len() > 1 {
        let lines: Vec<String> = explained.lines.iter().map(u64::to_string).collect();
        out.line(format_args!("lines about it, most specific first: {}", lines.join(", ")))?;
    }
    Ok(())
}

/// What a rule lends its findings; of what no pack holds, what its id says.
fn source(id: &str, patterns: &[String]) -> Result<Arc<Source>, Failure> {
    let set = pack::rule_set(patterns)?;
    if let Some(rule) = set.rules.iter().find(|rule| rule.source.rule == id) {
        return Ok(Arc::clone(&rule.source));
    }
    let first = id.split('.').next().unwrap_or_default();
    let family = match first {
        "limit" | "unreadable" => Some(Family::System),
        name => Family::from_name(name),
    };
    let family = family
        .with_context(|| format!("no rule `{id}`, and `{first}` is no family of rules"))
        .map_err(|error| Failure::usage(error).hint("`weir patterns list` prints the ids"))?;
    if id.len() > 200 {
        return Err(Failure::usage(anyhow!("`{id:.40}…` is no id of a rule")));
    }
    Ok(Arc::new(Source {
        rule: id.to_owned(),
        family,
        kind: id.to_owned(),
        severity: Severity::Medium,
        message: String::new(),
        action: None,
        tags: Vec::new(),
    }))
}
