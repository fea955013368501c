//! `weir simulate`: labelled agent traffic for tests, demos and for judging detectors.
//!
//! Event v1 as JSON lines on standard output, in order of arrival; what was done to whom
//! goes to `--incidents`. With `--evaluate` nothing is written: the same traffic is judged in
//! this process by the behaviour baselines and by simple detectors beside them.

mod dice;
mod evaluate;
mod incidents;
mod oracle;
mod simple;
mod world;
mod write;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::Done;
use super::failure::Failure;
use super::out::Out;

use world::World;

#[derive(Args)]
pub(super) struct SimulateArgs {
    /// Agents, in seven classes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    agents: u32,

    /// Days, from Monday 5 October 2026 on
    #[arg(long, value_name = "D", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,

    /// Agents, classes and incidents are drawn with it
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Days before the first incident; also what is left out of the figures [default: two thirds]
    #[arg(long, value_name = "D")]
    quiet_days: Option<u32>,

    /// Writes the labels of incidents, one JSON object a line
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,

    /// Judges the traffic instead of writing it, and prints how well that went
    #[arg(long)]
    evaluate: bool,

    /// With --evaluate: the budget of false warnings of one agent in a week
    #[arg(long, value_name = "RATE", default_value_t = crate::baseline::Settings::default().warnings_per_week, requires = "evaluate")]
    warnings_per_week: f64,

    /// With --evaluate: the budget of false critical alerts
    #[arg(long, value_name = "RATE", default_value_t = crate::baseline::Settings::default().criticals_per_week, requires = "evaluate")]
    criticals_per_week: f64,
}

pub(super) fn run(args: &SimulateArgs, out: &mut Out) -> Result<Done, Failure> {
    let quiet = args.quiet_days.unwrap_or(args.days * 2 / 3).min(args.days);
    let mut world = World::new(args.seed, args.agents, args.days as usize, quiet as usize);
    if let Some(path) = &args.incidents {
        labels(path, &world).map_err(Failure::runtime)?;
    }
    if args.evaluate {
        let settings = crate::baseline::Settings {
            warnings_per_week: args.warnings_per_week,
            criticals_per_week: args.criticals_per_week,
            ..crate::baseline::Settings::default()
        };
        let report = evaluate::run(&mut world, &settings, i64::from(quiet));
        out.text(&report)?;
        return Ok(Done::Well);
    }
    let mut line = String::new();
    while let Some(moments) = world.day() {
        for moment in &moments {
            line.clear();
            write::event(&mut line, &world.agents[moment.agent as usize], moment);
            out.line(&line)?;
        }
    }
    Ok(Done::Well)
}

fn labels(path: &std::path::Path, world: &World) -> anyhow::Result<()> {
    let name = path.display();
    let file = File::create(path).with_context(|| format!("cannot write `{name}`"))?;
    let mut to = BufWriter::new(file);
    for incident in &world.incidents {
        let agent = &world.agents[incident.agent as usize];
        writeln!(to, "{}", write::label(agent, incident))
            .with_context(|| format!("cannot write `{name}`"))?;
    }
    to.flush().with_context(|| format!("cannot write `{name}`"))
}

#[cfg(test)]
mod tests;
