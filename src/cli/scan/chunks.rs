//! A text in pieces, as a stream would bring it: the same inspection, the same redaction as it goes.

use std::str::FromStr;

use crate::detect::{Scan, Stream, Streamer};
use crate::event::{Carrier, Event};
use crate::finding::{Action, Family, Finding};
use crate::inspect::Setup;
use crate::pipeline::run::Pack;
use crate::redact::{Cutter, Tags, is_redacted, plain_tag, written};
use crate::state::{Partition, Staged};

use super::super::failure::Failure;

/// Longest piece of random length, in bytes.
const RANDOM_MAX: u64 = 32;

/// How a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Into pieces of so many bytes.
    Bytes(usize),
    /// Into pieces of random lengths, the same for the same seed.
    Random(u64),
}

impl FromStr for Chunks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of = match text.strip_prefix("random:") {
            Some(seed) => seed.parse().ok().map(Self::Random),
            None => text.parse().ok().filter(|&bytes| bytes > 0).map(Self::Bytes),
        };
        of.ok_or_else(|| "write a number of bytes from 1 on, or `random:` and a number".to_owned())
    }
}

impl Chunks {
    /// The text's pieces: none ends inside a character.
    pub(super) fn pieces(self, text: &str) -> impl Iterator<Item = &str> {
        let mut random = match self {
            Self::Bytes(_) => 0,
            Self::Random(seed) => seed,
        };
        // Places in the text: of the bytes that have come, and of the characters.
        let (mut come, mut done) = (0, 0);
        std::iter::from_fn(move || {
            if done >= text.len() {
                return None;
            }
            come += match self {
                Self::Bytes(bytes) => bytes,
                Self::Random(_) => {
                    // SplitMix64.
                    random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
                    let mixed = (random ^ random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
                    ((mixed ^ mixed >> 31) % RANDOM_MAX) as usize + 1
                }
            };
            come = come.min(text.len());
            let end = text.floor_char_boundary(come).max(done);
            let piece = text.get(done..end);
            done = end;
            piece
        })
    }
}

/// What a text in pieces came to.
pub(super) struct Streamed {
    pub(super) scan: Scan,
    /// What was let go, joined: the spans that policy redacts cut out.
    pub(super) released: String,
    /// The same with every finding cut out.
    pub(super) covered: String,
}

/// Reads texts in pieces.
pub(super) struct Streams<'p> {
    pack: &'p Pack,
    chunks: Chunks,
    by_carrier: [Option<Streamer<'p>>; Carrier::ALL.len()],
}

impl<'p> Streams<'p> {
    pub(super) fn new(pack: &'p Pack, chunks: Chunks) -> Self {
        Self { pack, chunks, by_carrier: Default::default() }
    }

    pub(super) fn read(
        &mut self,
        event: &Event<'_>,
        text: &str,
        carrier: Carrier,
    ) -> Result<Streamed, Failure> {
        let slot = &mut self.by_carrier[carrier as usize];
        let streamer = match slot {
            Some(streamer) => streamer,
            None => {
                slot.insert(Streamer::new(&self.pack.rules, carrier).map_err(Failure::runtime)?)
            }
        };
        let state = Partition::default();
        let staged = Staged::new(&state);
        let setup = &self.pack.step.setup;
        let mut outlet = Outlet {
            setup,
            event,
            text,
            tags: Tags::of_session(setup.keys.redaction.as_ref(), &staged, event),
            redacted: (Cutter::default(), String::new()),
            covered: (Cutter::default(), String::new()),
        };
        let mut stream = Stream::default();
        let mut findings = Vec::new();
        for piece in self.chunks.pieces(text) {
            let found = streamer.push(&mut stream, piece);
            outlet.take(&found, &mut stream);
            findings.extend(found);
        }
        let found = streamer.finish(&mut stream);
        outlet.take(&found, &mut stream);
        findings.extend(found);
        findings.extend(streamer.limits(&mut stream));
        findings.sort_by(Finding::by_place);
        let scan = Scan { findings, coverage: stream.coverage() };
        Ok(Streamed { scan, released: outlet.redacted.1, covered: outlet.covered.1 })
    }
}

/// Lets go of what is settled.
struct Outlet<'o> {
    setup: &'o Setup,
    event: &'o Event<'o>,
    text: &'o str,
    tags: Tags<'o>,
    redacted: (Cutter, String),
    covered: (Cutter, String),
}

impl Outlet<'_> {
    fn take(&mut self, found: &[Finding], stream: &mut Stream) {
        for finding in found {
            let value = self.text.get(finding.span.start..finding.span.end);
            if value.is_some_and(is_redacted) {
                continue;
            }
            let (source, confidence, span) = (&finding.source, finding.confidence, finding.span);
            let action = self.setup.policy.ruling(self.event, finding).action;
            // What could not be held back was not read either.
            let unread = source.family == Family::System && action > Action::Alert;
            if action == Action::Redact || unread {
                self.redacted.0.add(source, confidence, span);
            }
            if !matches!(source.family, Family::Policy | Family::Flow) {
                self.covered.0.add(source, confidence, span);
            }
        }
        let Self { setup, tags, .. } = self;
        let settled = stream.settled();
        let (cutter, out) = &mut self.redacted;
        let rest = stream.text_from(cutter.released());
        out.push_str(&cutter.release(rest, settled, |kind, value| {
            written(setup.policy.operator(kind), kind, value, tags)
        }));
        let (cutter, out) = &mut self.covered;
        let rest = stream.text_from(cutter.released());
        out.push_str(&cutter.release(rest, settled, |kind, _| plain_tag(kind)));
        stream.keep_from(self.redacted.0.released().min(self.covered.0.released()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_nothing_is_lost() {
        for chunks in ["1", "3", "100", "random:7"] {
            let chunks: Chunks = chunks.parse().unwrap();
            let text = "ab é 漢 𝒳 end";
            assert_eq!(chunks.pieces(text).collect::<String>(), text);
        }
        for wrong in ["0", "-1", "random", "random:x", ""] {
            assert!(wrong.parse::<Chunks>().is_err(), "{wrong}");
        }
    }
}
