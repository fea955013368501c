//! From a configuration to what decides: rules compiled, policy read, limits and keys set.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::audit::Signer;
use crate::clock;
use crate::config::{AlertFormat, Config, Delivery, Secret};
use crate::detect::{EngineKind, Rules};
use crate::inspect;
use crate::patterns::{self, PatternError, RuleSet, SourceFile};
use crate::pipeline::run::Pack;
use crate::pipeline::step::Step;
use crate::policy::Policy;
use crate::redact::Key32;
use crate::wire::alert::Format;

use super::config::{ConfigArgs, load};
use super::failure::Failure;

/// The configuration, and rules and policy in place of those that it names.
#[derive(Args)]
pub(super) struct RuleArgs {
    /// Rules instead of those that are compiled in: a folder or a file; may be given more than once
    #[arg(long, value_name = "DIR")]
    patterns: Vec<String>,

    /// Policy file instead of the shipped policy
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

impl RuleArgs {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let mut config = load(&self.config)?.config;
        if !self.patterns.is_empty() {
            config.patterns.clone_from(&self.patterns);
        }
        if let Some(policy) = &self.policy {
            config.policy = Some(policy.clone());
        }
        Ok(config)
    }
}

/// Compiles the pack and reads the policy that a configuration names. `partitions` is that of
/// the events topic, or 0 where agents are not spread.
pub(super) fn build(config: &Config, engine: EngineKind, partitions: u32) -> Result<Pack, Failure> {
    compile(config, rule_set(&config.patterns)?, (engine, None), partitions)
}

/// The same for rules that are read already; of those that `earlier` has too, nothing is compiled.
#[cfg(feature = "kafka")]
pub(super) fn build_after(
    earlier: &Rules,
    config: &Config,
    set: RuleSet,
    partitions: u32,
) -> Result<Pack, Failure> {
    compile(config, set, (config.engine, Some(earlier)), partitions)
}

fn compile(
    config: &Config,
    set: RuleSet,
    (engine, earlier): (EngineKind, Option<&Rules>),
    partitions: u32,
) -> Result<Pack, Failure> {
    let hash = set.hash.clone();
    let rules = Rules::compile_after(set, config.scan_limits(), engine, earlier)
        .context("cannot compile the rules")
        .map_err(Failure::usage)?;
    Ok(Pack { rules, step: step(config, partitions, hash)? })
}

/// Reads the packs compiled in, or those of folders and files.
pub(super) fn rule_set(paths: &[String]) -> Result<RuleSet, Failure> {
    read(&sources(paths)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(anyhow!("the rules cannot be used:\n{}", lines.join("\n")))
    })
}

/// Reads rule files as of today.
pub(super) fn read(files: &[SourceFile]) -> Result<RuleSet, Vec<PatternError>> {
    let now = jiff::Timestamp::from_millisecond(clock::now().0).unwrap_or(jiff::Timestamp::MAX);
    // RFC 3339 begins with the day.
    let today: String = now.to_string().chars().take(10).collect();
    patterns::load_at(files, &today)
}

/// The files that a list of folders and files stands for; the compiled-in ones for an empty list.
pub(super) fn sources(paths: &[String]) -> Result<Vec<SourceFile>, Failure> {
    if paths.is_empty() {
        return Ok(patterns::builtin());
    }
    let mut files = Vec::new();
    for path in paths {
        let root = Path::new(path);
        if root.is_dir() {
            let mut found = Vec::new();
            walk(root, &mut found)?;
            found.sort();
            for file in found {
                let inside = file.strip_prefix(root).unwrap_or(&file);
                let parts: Vec<_> =
                    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
                files.push(SourceFile { path: parts.join("/"), text: text(&file)? });
            }
        } else {
            files.push(SourceFile { path: path.clone(), text: text(root)? });
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(anyhow!("no rule file (*.yml) in {}", paths.join(", "))));
    }
    Ok(files)
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(
            anyhow::Error::new(error).context(format!("cannot read folder `{}`", folder.display())),
        )
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            walk(&path, into)?;
        } else if path.extension().is_some_and(|end| end == "yml" || end == "txt") {
            into.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))
        .map_err(Failure::usage)
}

/// Reads the policy that a configuration names, or the shipped one.
pub(super) fn policy(config: &Config) -> Result<Policy, Failure> {
    match &config.policy {
        None => Ok(Policy::shipped()),
        Some(path) => Policy::read(path, &text(Path::new(path))?)
            .context("the policy cannot be used")
            .map_err(Failure::usage),
    }
}

/// The same, to decide with: what it asks for must be there.
pub(super) fn governing(config: &Config) -> Result<Policy, Failure> {
    let policy = policy(config)?;
    if policy.taint.is_some() && config.keys.fingerprint.is_none() {
        return Err(Failure::usage(anyhow!(
            "the policy asks for `taint`, and `keys.fingerprint` is not set: values are \
             remembered as keyed hashes only"
        ))
        .hint("write 32 random bytes to a file and set `keys: { fingerprint: \"file:PATH\" }`"));
    }
    Ok(policy)
}

fn step(config: &Config, partitions: u32, pack: String) -> Result<Step, Failure> {
    let key = |secret: &Option<Secret>| secret.as_ref().map(|secret| Key32(*secret.bytes()));
    let map = config.field_map().context("the field map cannot be used").map_err(Failure::usage)?;
    let mut step = Step::new(config.lanes_topic(), partitions, pack);
    step.control_topic.clone_from(&config.topics.control);
    step.setup = inspect::Setup {
        policy: governing(config)?.with_mode(config.mode),
        keys: inspect::Keys {
            fingerprint: key(&config.keys.fingerprint),
            redaction: key(&config.keys.redaction),
        },
        limits: config.inspect_limits(),
        behavior: config
            .behavior()
            .context("the time zone cannot be used")
            .map_err(Failure::usage)?,
    };
    step.map = map;
    step.read = config.read_limits();
    // What the producer would refuse must not be tried.
    let largest = config.kafka.properties.get("message.max.bytes");
    if let Some(bytes) = largest.and_then(|bytes| bytes.parse().ok()) {
        step.message_bytes_max = bytes;
    }
    step.chain = config.delivery == Delivery::ExactlyOnce;
    step.signer = key(&config.keys.audit).as_ref().map(Signer::new);
    step.alerts = match config.alerts.format {
        AlertFormat::Ocsf => Format::Ocsf,
        AlertFormat::Ecs => Format::Ecs,
    };
    Ok(step)
}
