//! What the demo shows while it runs: a line for each event that was not simply allowed.
//!
//! In a terminal there are colours (unless `NO_COLOR` is set) and a line at the bottom that
//! counts; elsewhere the same lines come out plain.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use crate::event::Millis;
use crate::finding::{Action, Severity};

use super::super::failure::Failure;
use super::super::out::{Out, colours};
use super::super::paint;
use super::traffic::Moment;
use super::{DemoArgs, Reason, Verdict};

/// Longest piece of an event that is shown.
const EXCERPT: usize = 64;

pub(super) struct Screen<'o> {
    out: &'o mut Out,
    colour: bool,
    live: bool,
    allowed: u64,
    acted: u64,
}

impl<'o> Screen<'o> {
    pub(super) fn new(out: &'o mut Out) -> Self {
        let live = std::io::stdout().is_terminal();
        let colour = colours();
        Self { out, colour, live, allowed: 0, acted: 0 }
    }

    pub(super) fn title(
        &mut self,
        rules: usize,
        compiled: Duration,
        events: usize,
        args: &DemoArgs,
    ) -> Result<(), Failure> {
        let pace = if args.fast { "all at once" } else { "in real time" };
        self.line(format_args!(
            "weir demo: {events} events of 6 agents over {} s, {pace}; {rules} rules, ready in {:.1} s",
            args.seconds,
            compiled.as_secs_f64()
        ))?;
        self.line("the pipeline of `weir run` on a log in memory: no broker, no network\n")
    }

    /// `shown`: what the reader of a streamed answer has seen of it so far.
    pub(super) fn verdict(
        &mut self,
        start: Millis,
        (moment, shown): (&Moment, Option<&str>),
        action: Action,
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        if action == Action::Allow {
            self.allowed += 1;
            return Ok(());
        }
        self.acted += 1;
        let second = (start.0.rem_euclid(86_400_000) + moment.at_ms as i64) / 1_000;
        let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        let kind = moment.event["kind"].as_str().unwrap_or_default();
        self.erase()?;
        let painted = paint::action(action.name(), self.colour);
        self.line(format_args!(
            "{time}  {painted}  {:<13}  {kind:<12}  {}",
            moment.agent,
            match shown {
                Some(shown) => format!("the reader has seen “{shown}”"),
                None => excerpt(moment),
            }
        ))?;
        // The gravest reason of each family tells the story; the verdict holds them all.
        let mut told: Vec<&Reason> = Vec::new();
        for reason in verdict.reasons.iter().filter(|reason| reason.confidence != "low") {
            match told.iter_mut().find(|other| other.family == reason.family) {
                None => told.push(reason),
                Some(other) if rank(reason) > rank(other) => *other = reason,
                Some(_) => {}
            }
        }
        for reason in told {
            let Reason { rule, severity, message, .. } = reason;
            self.line(format_args!("          └ {rule} ({severity}): {message}"))?;
        }
        if let Some(hint) = &verdict.retry_hint {
            self.line(format_args!("          └ hint to the sender: {}", hint.trim()))?;
        }
        self.out.finish()
    }

    /// The line at the bottom.
    pub(super) fn status(&mut self, seen: usize, all: usize) -> Result<(), Failure> {
        if !self.live {
            return Ok(());
        }
        self.erase()?;
        self.out.text(&format!(
            "{seen} of {all} events: {} allowed, {} acted on",
            self.allowed, self.acted
        ))?;
        self.out.finish()
    }

    pub(super) fn done(&mut self) -> Result<(), Failure> {
        self.erase()
    }

    pub(super) fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        self.out.line(line)
    }

    /// A word in the colour of its action, padded to a column.
    pub(super) fn action(&self, action: Action) -> impl fmt::Display + use<> {
        paint::action(action.name(), self.colour)
    }

    fn erase(&mut self) -> Result<(), Failure> {
        if self.live { self.out.text("\r\u{1b}[2K") } else { Ok(()) }
    }
}

fn rank(reason: &Reason) -> Option<Severity> {
    Severity::from_name(&reason.severity)
}

/// The beginning of what was said. An answer with a secret in it is not shown, here as in logs.
fn excerpt(moment: &Moment) -> String {
    if matches!(moment.expected, Action::Redact | Action::Replace)
        || moment.story.is_some_and(|story| story.starts_with("a credential"))
    {
        return format!("({})", moment.story.unwrap_or("withheld"));
    }
    let event = &moment.event;
    let text = [&event["text"], &event["tool"]["params"]["input"], &event["tool"]["result"]]
        .into_iter()
        .find_map(|value| value.as_str())
        .unwrap_or_default();
    let visible: String = text.chars().filter(|c| !c.is_control() && *c != '\u{200b}').collect();
    let short: String = visible.chars().take(EXCERPT).collect();
    let end = if short.len() < visible.len() { "…" } else { "" };
    format!("“{short}{end}”")
}
