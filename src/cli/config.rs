//! `weir config check`, and how every command finds its configuration.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::config::{Layers, Loaded};

use super::Done;
use super::failure::Failure;
use super::out::{Out, note};
use super::pack;

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ConfigArgs {
    /// Configuration file [default: weir.yml where there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Sets one key, over file and environment: `--set kafka.group_id=weir`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Prints every setting with its value, secrets masked, and its origin.
    ///
    /// Layers, later ones win: defaults, the file, the environment (`WEIR_KAFKA__GROUP_ID=…`),
    /// --set. What is wrong is told with file, line, key and what is allowed. The rules and
    /// the policy that the settings name are read, too.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Prints what each setting is for, too
        #[arg(long)]
        explain: bool,
    },
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    let Command::Check { config, explain } = command;
    let loaded = load(config)?;
    for (setting, value, origin) in loaded.in_force() {
        if *explain {
            out.line(format_args!("# {}", setting.about))?;
        }
        out.line(format_args!("{}: {value}  # {origin}", setting.path))?;
    }
    // What the settings point at must be usable, too: that is what `weir run` would find out.
    let policy = pack::governing(&loaded.config)?;
    let rules = pack::rule_set(&loaded.config.patterns)?;
    note(format_args!(
        "{} rules, pack {:.12}, policy {:.12}",
        rules.rules.len(),
        rules.hash,
        policy.hash
    ));
    Ok(Done::Well)
}

/// Reads all layers.
pub(super) fn load(args: &ConfigArgs) -> Result<Loaded, Failure> {
    let standard = Path::new("weir.yml");
    let path = match &args.config {
        Some(path) => Some(path.as_path()),
        None => standard.exists().then_some(standard),
    };
    let file = match path {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration `{}`", path.display()))
                .map_err(Failure::usage)?;
            Some((path.display().to_string(), text))
        }
    };
    let layers = Layers {
        file,
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("WEIR_"))
            .collect(),
        sets: args.sets.clone(),
    };
    layers.load().map_err(|error| {
        Failure::usage(anyhow::Error::new(error).context("the configuration cannot be used"))
            .hint("`weir config check` prints what is in force; docs/configuration.md lists every setting")
    })
}
