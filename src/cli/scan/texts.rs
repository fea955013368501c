//! Texts and JSONL lines: each judged on its own, as an event with one string.

use std::borrow::Cow;

use serde::Deserialize;

use crate::detect::{Scan, Scratch};
use crate::event::{Carrier, Event, Kind, Millis};
use crate::inspect::{At, Decision, Incoming, Prints, Table, decide, item};
use crate::pipeline::run::Pack;
use crate::policy::Orders;
use crate::state::{Partition, Staged};

use super::super::classifier::Scorer;
use super::super::failure::Failure;
use super::super::out::{Out, note};
use super::chunks::{Streamed, Streams};
use super::input::Input;
use super::report::{Report, Subject};
use super::{InputKind, ScanArgs, Tally};

/// One line of JSONL input.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    id: Option<Id<'l>>,
    #[serde(borrow)]
    text: Cow<'l, str>,
    kind: Option<String>,
    source: Option<String>,
    agent: Option<String>,
}

/// Data sets number their lines as often as they name them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id<'l> {
    #[serde(borrow)]
    Text(Cow<'l, str>),
    Number(serde_json::Number),
}

pub(super) fn scan(
    args: &ScanArgs,
    mut judge: Judge<'_>,
    inputs: Vec<Input>,
    out: &mut Out,
    tally: &mut Tally,
) -> Result<(), Failure> {
    judge.streams = args.chunk.map(|chunks| Streams::new(judge.pack, chunks));
    let mut report = Report::new(args.output, args.redact, args.input == InputKind::Text);
    report.begin(out)?;
    for mut input in inputs {
        if args.input == InputKind::Text {
            tally.inputs += 1;
            let name = input.name.clone();
            let Ok(text) = String::from_utf8(input.all()?) else {
                tally.unreadable += 1;
                note(format_args!("{name}: not UTF-8"));
                continue;
            };
            let id = serde_json::Value::from(name.as_str());
            let subject = Subject { file: &name, line: None, id: &id, text: &text };
            judge.one(&subject, Kind::Prompt, Carrier::User, "scan", |decision, streamed| {
                report.write(&subject, decision, streamed, (&mut *out, &mut *tally))
            })?;
            continue;
        }
        let mut line = Vec::new();
        while let Some(number) = input.line(&mut line)? {
            tally.inputs += 1;
            match read(&line) {
                Ok((id, text, kind, carrier, agent)) => {
                    let subject =
                        Subject { file: &input.name, line: Some(number), id: &id, text: &text };
                    judge.one(&subject, kind, carrier, &agent, |decision, streamed| {
                        report.write(&subject, decision, streamed, (&mut *out, &mut *tally))
                    })?;
                }
                Err(problem) => {
                    tally.unreadable += 1;
                    note(format_args!("{}:{number}: {problem}", input.name));
                    report.unreadable(number, &problem, out)?;
                }
            }
        }
    }
    report.end(out)
}

type Read<'l> = (serde_json::Value, Cow<'l, str>, Kind, Carrier, String);

/// Reads a line; the error never quotes it.
fn read(line: &[u8]) -> Result<Read<'_>, String> {
    let line: Line<'_> = serde_json::from_slice(line)
        .map_err(|error| format!("not an object with a `text`: column {}", error.column()))?;
    let kind = match line.kind.as_deref() {
        None => Kind::Prompt,
        Some(name) => Kind::from_name(name).ok_or_else(|| {
            let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            format!("unknown `kind`; known are {}", names.join(", "))
        })?,
    };
    let carrier = match line.source.as_deref() {
        None => Carrier::of_kind(kind),
        Some(name) => Carrier::from_name(name).ok_or_else(|| {
            let names: Vec<_> = Carrier::ALL.iter().map(|carrier| carrier.name()).collect();
            format!("unknown `source`; known are {}", names.join(", "))
        })?,
    };
    // The id goes back as it came: a number stays a number.
    let id = match line.id {
        None => serde_json::Value::Null,
        Some(Id::Text(text)) => text.into_owned().into(),
        Some(Id::Number(number)) => number.into(),
    };
    let agent = line.agent.filter(|agent| !agent.is_empty()).unwrap_or_else(|| "scan".to_owned());
    Ok((id, line.text, kind, carrier, agent))
}

/// Judges texts, each with no past.
pub(in crate::cli) struct Judge<'p> {
    pack: &'p Pack,
    scratch: Scratch<'p>,
    scorer: Option<&'p Scorer>,
    /// Where texts are read in pieces.
    streams: Option<Streams<'p>>,
}

impl<'p> Judge<'p> {
    pub(in crate::cli) fn new(pack: &'p Pack, scorer: Option<&'p Scorer>) -> Self {
        Self { pack, scratch: pack.rules.scratch(), scorer, streams: None }
    }

    fn one(
        &mut self,
        subject: &Subject<'_>,
        kind: Kind,
        carrier: Carrier,
        agent: &str,
        then: impl FnOnce(&Decision<'_>, Option<&Streamed>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let id = subject.id.as_str().filter(|id| !id.is_empty()).unwrap_or("-");
        let event =
            event(Event::new(kind, id.into(), agent.into(), Millis(0)), subject.text, carrier);
        match &mut self.streams {
            None => self.decided(&event, |decision| then(decision, None)),
            Some(streams) => {
                let mut streamed = streams.read(&event, subject.text, carrier)?;
                self.score(&event, &mut streamed.scan);
                self.decide(&event, &streamed.scan, |decision| then(decision, Some(&streamed)))
            }
        }
    }

    /// A text that nobody in particular said.
    pub(in crate::cli) fn text<R>(
        &mut self,
        text: &str,
        kind: Kind,
        carrier: Carrier,
        then: impl FnOnce(&Decision<'_>) -> R,
    ) -> R {
        let event = event(Event::new(kind, "-".into(), "scan".into(), Millis(0)), text, carrier);
        self.decided(&event, then)
    }

    fn decided<R>(&mut self, event: &Event<'_>, then: impl FnOnce(&Decision<'_>) -> R) -> R {
        let mut scan = self.scratch.scan(event);
        self.score(event, &mut scan);
        self.decide(event, &scan, then)
    }

    /// Adds what the model says, where there is one.
    fn score(&self, event: &Event<'_>, scan: &mut Scan) {
        if let Some(scorer) = self.scorer {
            scorer.join(event, scan, &self.pack.step.setup.policy);
        }
    }

    fn decide<R>(
        &self,
        event: &Event<'_>,
        scan: &Scan,
        then: impl FnOnce(&Decision<'_>) -> R,
    ) -> R {
        let state = Partition::default();
        let mut staged = Staged::new(&state);
        let at = At { topic: "scan", partition: 0, offset: 0, now: Millis(0) };
        let text = event.fields.first().map_or("", |field| &field.text);
        let item = item(event, text.as_bytes());
        let (prints, shared) = (Prints::NONE, Table::NONE);
        let (partitions, chunk) = (0, None);
        let incoming = Incoming { event, at, item, partitions, scan, prints, shared, chunk };
        let decision = decide(&self.pack.step.setup, &Orders::default(), &mut staged, &incoming);
        then(&decision)
    }
}

/// The event with one string.
fn event<'t>(mut event: Event<'t>, text: &'t str, carrier: Carrier) -> Event<'t> {
    event.push_text("text".into(), text.into(), carrier);
    event
}
