//! The first pass: places where an expression may match.
//!
//! Two automata do it. Vectorscan reports the end of each piece; aho-corasick the end of each
//! keyword. Both only append to a bounded buffer: a panic inside Vectorscan's callback would end
//! the process, and a full buffer means that the text was not searched.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_syntax::hir::Hir;

use super::confirm::{Candidate, Source};
use super::superset::{keywords, pieces};
use super::{CompileError, Kind, Overflow};

/// Keywords of so many bytes in all get a full table, some 200 bytes of memory for each.
const MAX_TABLE: usize = 50_000;

pub(super) enum FirstPass {
    /// Nothing to look for: every expression runs everywhere, or there is none.
    Nothing,
    Keywords(Keywords),
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Pieces),
}

pub(super) enum FirstScan<'a> {
    Nothing,
    Keywords(&'a Keywords),
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::PieceScan<'a>),
}

impl FirstPass {
    #[cfg(feature = "vectorscan")]
    pub(super) fn compile(hirs: &[Hir], kind: Kind) -> Result<Self, CompileError> {
        if kind == Kind::Rust {
            return Keywords::compile(hirs);
        }
        match vectorscan::Pieces::compile(hirs) {
            Ok(pass) => Ok(pass),
            Err(_) if kind == Kind::Auto => Keywords::compile(hirs),
            Err(reason) => Err(CompileError { spec: None, reason }),
        }
    }

    #[cfg(not(feature = "vectorscan"))]
    pub(super) fn compile(hirs: &[Hir], kind: Kind) -> Result<Self, CompileError> {
        if kind == Kind::Vectorscan {
            let reason = "this build has no Vectorscan (feature `vectorscan`)".to_owned();
            return Err(CompileError { spec: None, reason });
        }
        Keywords::compile(hirs)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Keywords(_) => "rust",
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(_) => "vectorscan",
        }
    }

    /// What is looked for, and for which spec.
    pub(super) fn sources(&self) -> Vec<(String, Source)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Keywords(keywords) => keywords.sources(),
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(pieces) => pieces.sources(),
        }
    }

    pub(super) fn scanner(&self) -> FirstScan<'_> {
        match self {
            Self::Nothing => FirstScan::Nothing,
            Self::Keywords(keywords) => FirstScan::Keywords(keywords),
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(pieces) => FirstScan::Vectorscan(pieces.scanner()),
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
            Self::Nothing => Ok(()),
            Self::Keywords(keywords) => keywords.find(haystack, wanted, limit, out),
            #[cfg(feature = "vectorscan")]
            Self::Vectorscan(scan) => scan.find(haystack, wanted, limit, out),
        }
    }
}

/// Literals of all expressions in one automaton, caseless.
pub(super) struct Keywords {
    automaton: AhoCorasick,
    words: Vec<Vec<u8>>,
    /// Those who wait for each word.
    sources: Vec<Vec<Source>>,
}

impl Keywords {
    fn compile(hirs: &[Hir]) -> Result<FirstPass, CompileError> {
        let mut waiting: std::collections::BTreeMap<Vec<u8>, Vec<Source>> =
            std::collections::BTreeMap::new();
        for (spec, hir) in (0..).zip(hirs) {
            for word in keywords(hir).into_iter().flatten() {
                let source = Source { spec, lead_min: word.lead_min, lead_max: word.lead_max };
                waiting.entry(word.bytes).or_default().push(source);
            }
        }
        if waiting.is_empty() {
            return Ok(FirstPass::Nothing);
        }
        let (words, sources): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let bytes: usize = words.iter().map(Vec::len).sum();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(if bytes < MAX_TABLE {
                AhoCorasickKind::DFA
            } else {
                AhoCorasickKind::ContiguousNFA
            }))
            .build(&words)
            .map_err(|error| CompileError { spec: None, reason: error.to_string() })?;
        Ok(FirstPass::Keywords(Self { automaton, words, sources }))
    }

    fn sources(&self) -> Vec<(String, Source)> {
        let shown = |word: &Vec<u8>| word.escape_ascii().to_string();
        let each = self.words.iter().zip(&self.sources);
        each.flat_map(|(word, sources)| sources.iter().map(move |source| (shown(word), *source)))
            .collect()
    }

    fn find(
        &self,
        haystack: &[u8],
        wanted: &dyn Fn(u32) -> bool,
        limit: usize,
        out: &mut Vec<Candidate>,
    ) -> Result<(), Overflow> {
        for found in self.automaton.find_overlapping_iter(haystack) {
            for source in &self.sources[found.pattern().as_usize()] {
                if !wanted(source.spec) {
                    continue;
                }
                if out.len() == limit {
                    return Err(Overflow);
                }
                out.extend(source.candidate(found.end()));
            }
        }
        Ok(())
    }
}

#[cfg(feature = "vectorscan")]
mod vectorscan {
    //! The binding is used for block scans without start-of-match and nothing else.

    use vectorscan_rs::{BlockDatabase, BlockScanner, Error, Flag, Pattern, Scan};

    use super::{Candidate, FirstPass, Hir, Overflow, Source, pieces};

    /// All pieces in one database.
    pub(in crate::engine) struct Pieces {
        database: BlockDatabase,
        texts: Vec<String>,
        sources: Vec<Source>,
    }

    pub(in crate::engine) struct PieceScan<'a> {
        /// `None` when there was no memory for it; every text is then "could not scan".
        scanner: Option<BlockScanner<'a>>,
        sources: &'a [Source],
    }

    impl Pieces {
        /// An expression that Vectorscan refuses is left to run everywhere.
        pub(in crate::engine) fn compile(hirs: &[Hir]) -> Result<FirstPass, String> {
            let mut all: Vec<(String, Source)> = Vec::new();
            for (spec, hir) in (0..).zip(hirs) {
                for piece in pieces(hir).into_iter().flatten() {
                    let source =
                        Source { spec, lead_min: piece.lead_min, lead_max: piece.lead_max };
                    all.push((piece.text, source));
                }
            }
            while !all.is_empty() {
                let pattern = |(id, (text, _)): (u32, &(String, Source))| {
                    Pattern::new(text.clone().into_bytes(), Flag::empty(), Some(id))
                };
                match BlockDatabase::new((0..).zip(&all).map(pattern).collect()) {
                    Ok(database) => {
                        let (texts, sources) = all.into_iter().unzip();
                        return Ok(FirstPass::Vectorscan(Self { database, texts, sources }));
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
            Ok(FirstPass::Nothing)
        }

        pub(in crate::engine) fn sources(&self) -> Vec<(String, Source)> {
            self.texts.iter().cloned().zip(self.sources.iter().copied()).collect()
        }

        pub(in crate::engine) fn scanner(&self) -> PieceScan<'_> {
            PieceScan { scanner: self.database.create_scanner().ok(), sources: &self.sources }
        }
    }

    impl PieceScan<'_> {
        pub(in crate::engine) fn find(
            &mut self,
            haystack: &[u8],
            wanted: &dyn Fn(u32) -> bool,
            limit: usize,
            out: &mut Vec<Candidate>,
        ) -> Result<(), Overflow> {
            let scanner = self.scanner.as_mut().ok_or(Overflow)?;
            // The library counts bytes in 32 bits.
            if u32::try_from(haystack.len()).is_err() {
                return Err(Overflow);
            }
            let sources = self.sources;
            let outcome = scanner.scan(haystack, |pattern, _, end, _| {
                let Some(source) = sources.get(pattern as usize) else { return Scan::Terminate };
                if !wanted(source.spec) {
                    return Scan::Continue;
                }
                if out.len() == limit {
                    return Scan::Terminate;
                }
                out.extend(source.candidate(end as usize));
                Scan::Continue
            });
            match outcome {
                Ok(Scan::Continue) => Ok(()),
                Ok(Scan::Terminate) | Err(_) => Err(Overflow),
            }
        }
    }
}
