//! `weir tail`: alerts, or verdicts, as they come.
//!
//! Follows a topic or reads a file of records, one a line. What is shown is chosen by
//! conditions; of an alert nothing is left out that a person needs to act on it, and of an
//! event's text nothing is there to show.

#[cfg(feature = "kafka")]
mod follow;
mod told;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::event::Millis;
use crate::finding::{Action, Family, Severity};
use crate::policy::Glob;

use super::Done;
#[cfg(feature = "kafka")]
use super::config::ConfigArgs;
use super::failure::Failure;
use super::out::{Out, colours, note};
use super::when::instant;

use told::Told;

#[derive(Args)]
pub(super) struct TailArgs {
    /// File of alerts or verdicts, one a line, instead of the topic; `-` is standard input
    #[arg(value_name = "FILE")]
    file: Option<String>,

    /// Follows the verdicts topic instead of the alerts
    #[cfg(feature = "kafka")]
    #[arg(long, conflicts_with = "file")]
    verdicts: bool,

    /// Begins with what was told since then: an instant, a day in UTC, or how long ago (15m, 2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Millis>,

    /// Ends at the end of the topic instead of waiting for more
    #[cfg(feature = "kafka")]
    #[arg(long, conflicts_with = "file")]
    no_follow: bool,

    /// Waits for more at the end of the file, until interrupted
    #[arg(long, requires = "file")]
    follow: bool,

    /// At least as grave as this
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,

    /// Agent; `*` stands for any letters
    #[arg(long, value_name = "ID")]
    agent: Option<String>,

    /// Tenant; only alerts have one
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Session; only alerts have one
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Rule; `*` stands for any letters
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Family
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    family: Option<Family>,

    /// What was decided; may be given more than once
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Vec<Action>,

    /// Only alerts that open, update or close an episode; may be given more than once
    #[arg(long, value_enum)]
    state: Vec<Phase>,

    /// How records are written
    #[arg(long, value_enum, default_value_t = Form::Human)]
    output: Form,

    /// Ends after so many
    #[arg(short = 'n', long, value_name = "N")]
    max: Option<u64>,

    #[cfg(feature = "kafka")]
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Human,
    /// The records as they are, one a line
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// The first sign of trouble
    Open,
    /// More of the same
    Update,
    /// It has ended
    Closed,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Closed => "closed",
        }
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| one_of(Severity::ALL, |one| one.name()))
}

fn family(text: &str) -> Result<Family, String> {
    Family::from_name(text).ok_or_else(|| one_of(Family::ALL, |one| one.name()))
}

fn action(text: &str) -> Result<Action, String> {
    Action::from_name(text).ok_or_else(|| one_of(Action::ALL, |one| one.name()))
}

fn one_of<T>(all: &[T], name: impl Fn(&T) -> &'static str) -> String {
    format!("must be one of {}", all.iter().map(name).collect::<Vec<_>>().join(", "))
}

pub(super) fn run(args: &TailArgs, out: &mut Out) -> Result<Done, Failure> {
    let mut view = View::new(args, out);
    if let Some(file) = &args.file {
        from_file(args, file, &mut view)?;
    } else {
        from_topic(args, &mut view)?;
    }
    if view.strange > 0 {
        note(format_args!("{} records are neither alerts nor verdicts", view.strange));
    }
    Ok(Done::Well)
}

#[cfg(feature = "kafka")]
fn from_topic(args: &TailArgs, view: &mut View<'_>) -> Result<(), Failure> {
    follow::follow(args, view)
}

#[cfg(not(feature = "kafka"))]
fn from_topic(_: &TailArgs, _: &mut View<'_>) -> Result<(), Failure> {
    Err(Failure::usage(anyhow::anyhow!("this build has no Kafka client"))
        .hint("name a file of alerts"))
}

/// How often the end of a followed file is looked at again.
const LOOK: Duration = Duration::from_millis(200);

fn from_file(args: &TailArgs, name: &str, view: &mut View<'_>) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::runtime(anyhow::Error::new(error).context(format!("cannot read `{name}`")))
    };
    let mut from: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(name).map_err(failed)?))
    };
    let mut line = Vec::new();
    loop {
        let read = from.read_until(b'\n', &mut line).map_err(failed)?;
        let whole = line.last() == Some(&b'\n');
        if args.follow && !whole {
            // Its writer may be in the midst of a line.
            view.out.finish()?;
            std::thread::sleep(LOOK);
            continue;
        }
        let text = line.trim_ascii();
        if !text.is_empty() && view.take(text, None, None)? {
            return Ok(());
        }
        if read == 0 {
            return Ok(());
        }
        line.clear();
    }
}

/// What is chosen and how it is shown.
struct View<'o> {
    args: &'o TailArgs,
    agent: Option<Glob>,
    rule: Option<Glob>,
    colour: bool,
    out: &'o mut Out,
    shown: u64,
    /// Records that are neither alert nor verdict.
    strange: u64,
}

impl<'o> View<'o> {
    fn new(args: &'o TailArgs, out: &'o mut Out) -> Self {
        let glob = |text: &Option<String>| text.as_deref().map(Glob::new);
        Self {
            args,
            agent: glob(&args.agent),
            rule: glob(&args.rule),
            colour: colours(),
            out,
            shown: 0,
            strange: 0,
        }
    }

    /// Shows a record if it meets every condition; tells whether that was the last one asked
    /// for. `key` and `time` are the topic's, where there is one.
    fn take(
        &mut self,
        bytes: &[u8],
        key: Option<&[u8]>,
        time: Option<Millis>,
    ) -> Result<bool, Failure> {
        let Some(told) = Told::read(bytes, key, time) else {
            self.strange += 1;
            return Ok(false);
        };
        if !self.wants(&told) {
            return Ok(false);
        }
        match self.args.output {
            Form::Human => self.out.text(&told.show(self.colour))?,
            Form::Jsonl => self.out.line(String::from_utf8_lossy(bytes))?,
        }
        self.shown += 1;
        if io::stdout().is_terminal() {
            self.out.finish()?;
        }
        Ok(self.args.max.is_some_and(|max| self.shown >= max))
    }

    fn wants(&self, told: &Told) -> bool {
        let args = self.args;
        let is =
            |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
        let fits = |glob: &Option<Glob>, value: &Option<String>| {
            glob.as_ref().is_none_or(|glob| value.as_deref().is_some_and(|name| glob.matches(name)))
        };
        args.since.is_none_or(|since| told.time.is_none_or(|time| time >= since))
            && is(&args.tenant, &told.tenant)
            && is(&args.session, &told.session)
            && fits(&self.agent, &told.agent)
            && (args.action.is_empty() || told.action.is_some_and(|a| args.action.contains(&a)))
            && (args.state.is_empty()
                || args.state.iter().any(|state| told.state.as_deref() == Some(state.name())))
            && told.because(args.severity, args.family, self.rule.as_ref())
    }
}
