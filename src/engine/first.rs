//! The first pass: places where an expression may match.
//!
//! Expressions made of words are looked for by their rarest words, in the text's skeleton;
//! shapes by bounded pieces, in the text itself, and those of numbers only where the text has a
//! row of digits. Automata only append to a bounded buffer: a panic inside Vectorscan's callback
//! would end the process, and a full buffer means that the text was not searched.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_syntax::hir::Hir;

use super::confirm::{Candidate, Source};
use super::superset::{Keyword, keywords, skeleton};
use super::{CompileError, Kind, Overflow};

/// Keywords of so many bytes in all get a full table, some 200 bytes of memory for each.
const MAX_TABLE: usize = 50_000;

/// An expression to look for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'h> {
    pub(super) hir: &'h Hir,
    /// Whether it is made of words, in any case.
    pub(super) words: bool,
}

pub(super) enum FirstPass {
    /// All by words.
    Keywords(Keywords<AhoCorasick>),
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Automata),
}

pub(super) enum FirstScan<'a> {
    Keywords(&'a Keywords<AhoCorasick>, Vec<u8>),
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Scans<'a>),
}

impl FirstPass {
    #[cfg(feature = "vectorscan")]
    pub(super) fn compile(all: &[Wanted<'_>], kind: Kind) -> Result<Self, CompileError> {
        if kind == Kind::Rust {
            return Self::keywords(all);
        }
        match vectorscan::Automata::compile(all) {
            Ok(automata) => Ok(Self::Vectorscan(automata)),
            Err(_) if kind == Kind::Auto => Self::keywords(all),
            Err(reason) => Err(CompileError { spec: None, reason }),
        }
    }

    #[cfg(not(feature = "vectorscan"))]
    pub(super) fn compile(all: &[Wanted<'_>], kind: Kind) -> Result<Self, CompileError> {
        if kind == Kind::Vectorscan {
            let reason = "this build has no Vectorscan (feature `vectorscan`)".to_owned();
            return Err(CompileError { spec: None, reason });
        }
        Self::keywords(all)
    }

    fn keywords(all: &[Wanted<'_>]) -> Result<Self, CompileError> {
        let words = Words::of((0..).zip(all), keywords);
        let bytes: usize = words.words.iter().map(Vec::len).sum();
        let automaton = AhoCorasick::builder()
            .kind(Some(if bytes < MAX_TABLE {
                AhoCorasickKind::DFA
            } else {
                AhoCorasickKind::ContiguousNFA
            }))
            .build(&words.words)
            .map_err(|error| CompileError { spec: None, reason: error.to_string() })?;
        Ok(Self::Keywords(Keywords { automaton, words }))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Keywords(_) => "rust",
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(_) => "vectorscan",
        }
    }

    /// What is looked for, and for which spec.
    pub(super) fn sources(&self) -> Vec<(String, Source)> {
        match self {
            Self::Keywords(keywords) => keywords.words.shown(),
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(automata) => automata.sources(),
        }
    }

    pub(super) fn scanner(&self) -> FirstScan<'_> {
        match self {
            Self::Keywords(keywords) => FirstScan::Keywords(keywords, Vec::new()),
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(automata) => FirstScan::Vectorscan(automata.scanner()),
        }
    }
}

impl FirstScan<'_> {
    /// Appends the candidates of the specs that are wanted.
    pub(super) fn find(
        &mut self,
        haystack: &[u8],
        wanted: &dyn Fn(u32) -> bool,
        limit: usize,
        out: &mut Vec<Candidate>,
    ) -> Result<(), Overflow> {
        match self {
            Self::Keywords(keywords, buffer) => {
                if keywords.words.words.is_empty() {
                    return Ok(());
                }
                skeleton_into(haystack, buffer);
                for found in keywords.automaton.find_overlapping_iter(&*buffer) {
                    let word = found.pattern().as_usize();
                    keywords.words.found(word, found.end(), wanted, limit, out)?;
                }
                Ok(())
            }
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(scans) => scans.find(haystack, wanted, limit, out),
        }
    }
}

fn skeleton_into(haystack: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend(haystack.iter().map(|&byte| skeleton(byte)));
}

/// Words in an automaton over skeletons.
pub(super) struct Keywords<A> {
    automaton: A,
    words: Words,
}

/// Literals, each once, with those who wait for it.
struct Words {
    words: Vec<Vec<u8>>,
    sources: Vec<Vec<Source>>,
}

impl Words {
    /// The words of expressions; one that has none is left out.
    fn of<'h>(
        all: impl Iterator<Item = (u32, &'h Wanted<'h>)>,
        keywords: impl Fn(&Hir) -> Option<Vec<Keyword>>,
    ) -> Self {
        let mut waiting: BTreeMap<Vec<u8>, Vec<Source>> = BTreeMap::new();
        for (spec, wanted) in all {
            for word in keywords(wanted.hir).into_iter().flatten() {
                let source = Source { spec, lead_min: word.lead_min, lead_max: word.lead_max };
                waiting.entry(word.bytes).or_default().push(source);
            }
        }
        let (words, sources) = waiting.into_iter().unzip();
        Self { words, sources }
    }

    fn shown(&self) -> Vec<(String, Source)> {
        let shown = |word: &Vec<u8>| word.escape_ascii().to_string();
        let each = self.words.iter().zip(&self.sources);
        each.flat_map(|(word, sources)| sources.iter().map(move |source| (shown(word), *source)))
            .collect()
    }

    fn found(
        &self,
        word: usize,
        end: usize,
        wanted: &dyn Fn(u32) -> bool,
        limit: usize,
        out: &mut Vec<Candidate>,
    ) -> Result<(), Overflow> {
        for source in self.sources.get(word).into_iter().flatten() {
            offer(*source, end, wanted, limit, out)?;
        }
        Ok(())
    }
}

/// Appends the candidate of a piece that ends there, if its spec is wanted and there is room.
fn offer(
    source: Source,
    end: usize,
    wanted: &dyn Fn(u32) -> bool,
    limit: usize,
    out: &mut Vec<Candidate>,
) -> Result<(), Overflow> {
    if wanted(source.spec) {
        if out.len() == limit {
            return Err(Overflow);
        }
        out.extend(source.candidate(end));
    }
    Ok(())
}

#[cfg(feature = "vectorscan")]
mod vectorscan {
    //! The binding is used for block scans without start-of-match and nothing else.

    use std::fmt::Write as _;

    use vectorscan_rs::{BlockDatabase, BlockScanner, Error, Flag, Pattern, Scan};

    use super::super::superset::{Digits, pieces, rare_keywords};
    use super::{Candidate, Keywords, Overflow, Source, Wanted, Words, offer, skeleton_into};

    /// Four databases: words, pieces of expressions made of words that are all common, pieces of
    /// shapes, and those of shapes that hold a row of digits. A view that is read for words alone
    /// costs nothing of the last two.
    pub(in crate::engine) struct Automata {
        words: Option<Keywords<BlockDatabase>>,
        pieces: Vec<Pieces>,
    }

    struct Pieces {
        /// Whether each holds a row of digits: a text without one need not be searched.
        digits: bool,
        database: BlockDatabase,
        texts: Vec<String>,
        sources: Vec<Source>,
    }

    pub(in crate::engine) struct Scans<'a> {
        words: Option<(&'a Words, Block<'a>)>,
        pieces: Vec<(&'a Pieces, Block<'a>)>,
        skeleton: Vec<u8>,
    }

    /// `None` when there was no memory for it; every text is then "could not scan".
    type Block<'a> = Option<BlockScanner<'a>>;

    impl Automata {
        /// An expression that Vectorscan refuses is left to run everywhere.
        pub(in crate::engine) fn compile(all: &[Wanted<'_>]) -> Result<Self, String> {
            let all = || (0..).zip(all);
            let words = Words::of(all().filter(|(_, wanted)| wanted.words), rare_keywords);
            let mut by_words: Vec<u32> =
                words.sources.iter().flatten().map(|source| source.spec).collect();
            by_words.sort_unstable();
            let (mut runs, mut shapes, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
            for (spec, wanted) in all() {
                if by_words.binary_search(&spec).is_ok() {
                    continue;
                }
                let pieces = pieces(wanted.hir).unwrap_or_default();
                // All in one database, so that a refused expression is refused whole.
                let into = if wanted.words {
                    &mut runs
                } else if pieces.iter().all(|piece| piece.digits) {
                    &mut numbers
                } else {
                    &mut shapes
                };
                for piece in pieces {
                    let source =
                        Source { spec, lead_min: piece.lead_min, lead_max: piece.lead_max };
                    into.push((piece.text, source));
                }
            }
            Ok(Self {
                words: words_database(words)?,
                pieces: [(runs, false), (shapes, false), (numbers, true)]
                    .into_iter()
                    .filter_map(|(all, digits)| Pieces::compile(all, digits).transpose())
                    .collect::<Result<_, _>>()?,
            })
        }

        pub(in crate::engine) fn sources(&self) -> Vec<(String, Source)> {
            let words = self.words.iter().flat_map(|words| words.words.shown());
            let pieces = self.pieces.iter().flat_map(|pieces| {
                pieces.texts.iter().cloned().zip(pieces.sources.iter().copied())
            });
            words.chain(pieces).collect()
        }

        pub(in crate::engine) fn scanner(&self) -> Scans<'_> {
            Scans {
                words: self
                    .words
                    .as_ref()
                    .map(|words| (&words.words, words.automaton.create_scanner().ok())),
                pieces: self
                    .pieces
                    .iter()
                    .map(|pieces| (pieces, pieces.database.create_scanner().ok()))
                    .collect(),
                skeleton: Vec::new(),
            }
        }
    }

    fn words_database(words: Words) -> Result<Option<Keywords<BlockDatabase>>, String> {
        if words.words.is_empty() {
            return Ok(None);
        }
        let pattern = |(id, word): (u32, &Vec<u8>)| {
            let text = word.iter().fold(String::new(), |mut text, byte| {
                write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
                text
            });
            Pattern::new(text.into_bytes(), Flag::empty(), Some(id))
        };
        let patterns = (0..).zip(&words.words).map(pattern).collect();
        let automaton = BlockDatabase::new(patterns).map_err(|error| error.to_string())?;
        Ok(Some(Keywords { automaton, words }))
    }

    impl Pieces {
        fn compile(mut all: Vec<(String, Source)>, digits: bool) -> Result<Option<Self>, String> {
            while !all.is_empty() {
                let pattern = |(id, (text, _)): (u32, &(String, Source))| {
                    Pattern::new(text.clone().into_bytes(), Flag::empty(), Some(id))
                };
                match BlockDatabase::new((0..).zip(&all).map(pattern).collect()) {
                    Ok(database) => {
                        let (texts, sources) = all.into_iter().unzip();
                        return Ok(Some(Self { digits, database, texts, sources }));
                    }
                    Err(Error::HyperscanCompile(reason, index)) => {
                        let refused = usize::try_from(index).ok().and_then(|index| all.get(index));
                        let Some(spec) = refused.map(|(_, source)| source.spec) else {
                            return Err(reason);
                        };
                        all.retain(|(_, source)| source.spec != spec);
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
            Ok(None)
        }
    }

    impl Scans<'_> {
        pub(in crate::engine) fn find(
            &mut self,
            haystack: &[u8],
            wanted: &dyn Fn(u32) -> bool,
            limit: usize,
            out: &mut Vec<Candidate>,
        ) -> Result<(), Overflow> {
            // The library counts bytes in 32 bits.
            if u32::try_from(haystack.len()).is_err() {
                return Err(Overflow);
            }
            if let Some((words, block)) = &mut self.words
                && words.sources.iter().flatten().any(|source| wanted(source.spec))
            {
                skeleton_into(haystack, &mut self.skeleton);
                block_scan(block, &self.skeleton, &mut |word, end| {
                    words.found(word, end, wanted, limit, out)
                })?;
            }
            for (Pieces { sources, digits, .. }, block) in &mut self.pieces {
                if !sources.iter().any(|source| wanted(source.spec))
                    || (*digits && !Digits::in_text(haystack))
                {
                    continue;
                }
                block_scan(block, haystack, &mut |piece, end| {
                    let source = sources.get(piece).ok_or(Overflow)?;
                    offer(*source, end, wanted, limit, out)
                })?;
            }
            Ok(())
        }
    }

    fn block_scan(
        block: &mut Block<'_>,
        text: &[u8],
        found: &mut dyn FnMut(usize, usize) -> Result<(), Overflow>,
    ) -> Result<(), Overflow> {
        let block = block.as_mut().ok_or(Overflow)?;
        let outcome = block.scan(text, |pattern, _, end, _| {
            if found(pattern as usize, end as usize).is_ok() {
                Scan::Continue
            } else {
                Scan::Terminate
            }
        });
        match outcome {
            Ok(Scan::Continue) => Ok(()),
            Ok(Scan::Terminate) | Err(_) => Err(Overflow),
        }
    }
}
