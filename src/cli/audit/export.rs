//! `weir audit export`: the audit topic as files that can be kept elsewhere.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Done;
use super::super::config::{ConfigArgs, load};
use super::super::failure::Failure;
use super::super::out::Out;
use super::{chains, complain};

#[derive(Args)]
pub(in crate::cli) struct ExportArgs {
    /// File for the audit records; partitions one after the other
    #[arg(value_name = "FILE")]
    to: PathBuf,

    /// File for the anchors, without which nobody vouches for the end of a chain
    #[arg(long, value_name = "FILE")]
    anchors: PathBuf,

    /// Only this partition; may be given more than once
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &ExportArgs, out: &mut Out) -> Result<Done, Failure> {
    let config = load(&args.config)?.config;
    let public = chains::public(&config);
    let mut records = Lines::create(&args.to)?;
    let mut anchors = Lines::create(&args.anchors)?;
    let only = &args.partition;
    let known = chains::read_anchors(&config, |anchor, bytes| {
        if only.is_empty() || only.contains(&anchor.partition) {
            anchors.write(bytes)
        } else {
            Ok(())
        }
    })?;
    let reports = chains::from_kafka(&config, public.as_ref(), only, known, &mut |_, record| {
        records.write(record)
    })?;
    let (records, anchors) = (records.finish()?, anchors.finish()?);
    let chains = reports.len();
    out.line(format_args!("{records} records of {chains} chains and {anchors} anchors exported"))?;
    Ok(complain(&reports))
}

/// A file that is written line by line.
struct Lines {
    to: BufWriter<File>,
    name: String,
    count: u64,
}

impl Lines {
    /// Makes the file; one that is there already may be evidence.
    fn create(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = File::create_new(path).map_err(|error| {
            let there = error.kind() == std::io::ErrorKind::AlreadyExists;
            let failure =
                Failure::usage(anyhow::Error::new(error).context(format!("cannot write `{name}`")));
            if there { failure.hint("give another name, or move the file away") } else { failure }
        })?;
        Ok(Self { to: BufWriter::with_capacity(1 << 16, file), name, count: 0 })
    }

    fn write(&mut self, line: &[u8]) -> Result<(), Failure> {
        // Nothing that Weir writes holds a line end. What does becomes two lines here, and the
        // check of the chain has told of it.
        self.count += 1;
        let done = self.to.write_all(line).and_then(|()| self.to.write_all(b"\n"));
        done.map_err(|error| self.failed(error))
    }

    fn finish(mut self) -> Result<u64, Failure> {
        let done = self.to.flush().and_then(|()| self.to.get_ref().sync_all());
        done.map_err(|error| self.failed(error))?;
        Ok(self.count)
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot write `{}`", self.name)))
    }
}
