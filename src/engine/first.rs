//! The first pass: places where an expression may match.
//!
//! Words are looked for by literals in the text's skeleton, shapes by literals in the text, and
//! shapes without one by pieces, only where the text holds what such shapes are made of. The
//! parts around each hit are walked at once, and few hits are left for the exact automata.
//! Callbacks only append to a bounded buffer: a panic inside Vectorscan's would end the process,
//! and a full buffer means that the text was not searched.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_syntax::hir::Hir;

use super::confirm::Candidate;
use super::gate::Gate;
use super::literal::{Literals, Skeleton, Style};
use super::place::Place;
use super::superset::{Sought, What, sought};
use super::{CompileError, Kind, Overflow, Plan};

/// Literals of so many bytes in all get a full table, some 200 bytes of memory for each.
const MAX_TABLE: usize = 50_000;

/// An expression to look for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'h> {
    pub(super) hir: &'h Hir,
    /// Whether it is made of words, in any case.
    pub(super) words: bool,
}

/// How each expression is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// By these, of which each match holds one.
    First(Vec<String>),
    /// Run over every text that passes the gate.
    Everywhere(Gate),
}

impl From<&Served> for Plan {
    fn from(served: &Served) -> Self {
        match served {
            Served::First(texts) => Self::Gated(texts.clone()),
            Served::Everywhere(_) => Self::Everywhere,
        }
    }
}

pub(super) struct FirstPass {
    places: Vec<Place>,
    words: Table,
    bytes: Table,
    automata: Automata,
}

enum Automata {
    Rust {
        words: AhoCorasick,
        bytes: AhoCorasick,
    },
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Databases),
}

/// Working memory of one thread.
pub(super) struct FirstScan<'a> {
    pass: &'a FirstPass,
    skeleton: Skeleton,
    search: Search<'a>,
}

enum Search<'a> {
    Rust {
        words: &'a AhoCorasick,
        bytes: &'a AhoCorasick,
    },
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Scanners<'a>),
}

impl FirstPass {
    /// Compiles all expressions; says how each is served.
    pub(super) fn compile(
        all: &[Wanted<'_>],
        kind: Kind,
    ) -> Result<(Self, Vec<Served>), CompileError> {
        let mut served = Vec::with_capacity(all.len());
        let mut ways = Vec::new();
        for (spec, wanted) in (0..).zip(all) {
            let style = if wanted.words { Style::Words } else { Style::Bytes };
            let found = sought(spec, wanted.hir, style);
            served.push(match found {
                Some(_) => Served::First(Vec::new()),
                None => Served::Everywhere(Gate::Open),
            });
            ways.extend(found.into_iter().flatten().map(|way| (style, way)));
        }
        let error = |reason| CompileError { spec: None, reason };
        #[cfg(feature = "vectorscan")]
        if kind != Kind::Rust {
            match vectorscan::compile(&ways, served.clone()) {
                Err(_) if kind == Kind::Auto => {}
                compiled => return compiled.map_err(error),
            }
        }
        #[cfg(not(feature = "vectorscan"))]
        if kind == Kind::Vectorscan {
            return Err(error("this build has no Vectorscan (feature `vectorscan`)".to_owned()));
        }
        Self::rust(&ways, served).map_err(error)
    }

    /// With aho-corasick for literals; who needs a piece runs over every text that may hold one.
    fn rust(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
    ) -> Result<(Self, Vec<Served>), String> {
        for of_spec in ways.chunk_by(|(_, a), (_, b)| a.place.spec == b.place.spec) {
            let gates = of_spec.iter().map(|(_, way)| match &way.what {
                What::Literals(_) => None,
                What::Piece(piece) => Some(piece.gate),
            });
            if gates.clone().any(|gate| gate.is_some()) {
                // Only a gate that all pass keeps nothing out.
                let same = gates.reduce(|all, gate| all.filter(|_| all == gate)).flatten();
                let spec = of_spec[0].1.place.spec;
                served[spec as usize] = Served::Everywhere(same.unwrap_or(Gate::Open));
            }
        }
        Self::of(ways, served, |words, bytes| {
            Ok(Automata::Rust { words: automaton(words, false)?, bytes: automaton(bytes, true)? })
        })
    }

    /// The tables of what is served by literals, and automata over them.
    fn of(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
        automata: impl FnOnce(&Table, &Table) -> Result<Automata, String>,
    ) -> Result<(Self, Vec<Served>), String> {
        let places: Vec<Place> = ways.iter().map(|(_, way)| way.place.clone()).collect();
        let mut table = |wanted: Style| {
            let mut table = BTreeMap::new();
            let mut specs = Vec::new();
            for (at, (style, way)) in (0..).zip(ways) {
                if let What::Literals(literals) = &way.what
                    && *style == wanted
                    && let Served::First(texts) = &mut served[way.place.spec as usize]
                {
                    texts.extend(literals.texts.iter().map(|text| text.escape_ascii().to_string()));
                    specs.push(way.place.spec);
                    Table::add(&mut table, at, literals);
                }
            }
            specs.dedup();
            let (texts, waiting) = table.into_iter().unzip();
            Table { texts, waiting, specs }
        };
        let (words, bytes) = (table(Style::Words), table(Style::Bytes));
        let automata = automata(&words, &bytes)?;
        Ok((Self { places, words, bytes, automata }, served))
    }

    pub(super) fn name(&self) -> &'static str {
        match self.automata {
            Automata::Rust { .. } => "rust",
            #[cfg(feature = "vectorscan")]
            Automata::Vectorscan(_) => "vectorscan",
        }
    }

    pub(super) fn scanner(&self) -> FirstScan<'_> {
        let search = match &self.automata {
            Automata::Rust { words, bytes } => Search::Rust { words, bytes },
            #[cfg(feature = "vectorscan")]
            Automata::Vectorscan(databases) => Search::Vectorscan(databases.scanners()),
        };
        FirstScan { pass: self, skeleton: Skeleton::default(), search }
    }
}

fn automaton(table: &Table, caseless: bool) -> Result<AhoCorasick, String> {
    let bytes: usize = table.texts.iter().map(Vec::len).sum();
    AhoCorasick::builder()
        .ascii_case_insensitive(caseless)
        .kind(Some(if bytes < MAX_TABLE {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        }))
        .build(&table.texts)
        .map_err(|error| error.to_string())
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
        // Both the skeleton and Vectorscan count bytes in 32 bits.
        if u32::try_from(haystack.len()).is_err() {
            return Err(Overflow);
        }
        let Self { pass, skeleton, search } = self;
        let mut offers = Offers { places: &pass.places, haystack, wanted, limit, out };
        if pass.words.is_wanted(wanted) {
            skeleton.read(haystack);
            let text = skeleton.bytes();
            let mut found = |word: usize, end: usize| {
                for waiting in pass.words.waiting(word) {
                    let start = end - pass.words.texts[word].len() + waiting.lead;
                    offers.at(waiting.place, skeleton.place(start).ok_or(Overflow)?)?;
                }
                Ok(())
            };
            match search {
                Search::Rust { words, .. } => literals(words, text, &mut found)?,
                #[cfg(feature = "vectorscan")]
                Search::Vectorscan(scanners) => scanners.words(text, &mut found)?,
            }
        }
        if pass.bytes.is_wanted(wanted) {
            let mut found = |word: usize, end: usize| {
                for waiting in pass.bytes.waiting(word) {
                    offers.at(waiting.place, end - pass.bytes.texts[word].len())?;
                }
                Ok(())
            };
            match search {
                Search::Rust { bytes, .. } => literals(bytes, haystack, &mut found)?,
                #[cfg(feature = "vectorscan")]
                Search::Vectorscan(scanners) => scanners.bytes(haystack, &mut found)?,
            }
        }
        match search {
            Search::Rust { .. } => Ok(()),
            #[cfg(feature = "vectorscan")]
            Search::Vectorscan(scanners) => scanners.pieces(&mut offers),
        }
    }
}

/// What is done with a hit: the number of what was found, and where it ends.
type Found<'f> = dyn FnMut(usize, usize) -> Result<(), Overflow> + 'f;

fn literals(all: &AhoCorasick, text: &[u8], found: &mut Found<'_>) -> Result<(), Overflow> {
    all.find_overlapping_iter(text).try_for_each(|hit| found(hit.pattern().as_usize(), hit.end()))
}

/// Literals, each once, with those who wait for it.
struct Table {
    texts: Vec<Vec<u8>>,
    waiting: Vec<Vec<Waiting>>,
    /// Of all who wait; in order.
    specs: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Waiting {
    place: u32,
    /// Bytes of the literal before the place's part.
    lead: usize,
}

impl Table {
    fn add(table: &mut BTreeMap<Vec<u8>, Vec<Waiting>>, place: u32, literals: &Literals) {
        for text in &literals.texts {
            let waiting = Waiting { place, lead: literals.lead };
            table.entry(text.clone()).or_default().push(waiting);
        }
    }

    fn is_wanted(&self, wanted: &dyn Fn(u32) -> bool) -> bool {
        self.specs.iter().any(|&spec| wanted(spec))
    }

    fn waiting(&self, word: usize) -> &[Waiting] {
        self.waiting.get(word).map_or(&[], Vec::as_slice)
    }
}

/// The candidates of one text.
struct Offers<'o> {
    places: &'o [Place],
    haystack: &'o [u8],
    wanted: &'o dyn Fn(u32) -> bool,
    limit: usize,
    out: &'o mut Vec<Candidate>,
}

impl Offers<'_> {
    /// Appends the candidate of a place whose part begins at `start`, if it is one.
    fn at(&mut self, place: u32, start: usize) -> Result<(), Overflow> {
        let place = &self.places[place as usize];
        if (self.wanted)(place.spec)
            && let Some(candidate) = place.candidate(self.haystack, start)
        {
            if self.out.len() == self.limit {
                return Err(Overflow);
            }
            self.out.push(candidate);
        }
        Ok(())
    }

    /// The same of a piece that ends at `end`, wherever it begins.
    #[cfg(feature = "vectorscan")]
    fn piece(
        &mut self,
        place: u32,
        (min, max): (usize, usize),
        end: usize,
    ) -> Result<(), Overflow> {
        (min..=max.min(end)).try_for_each(|width| self.at(place, end - width))
    }
}

#[cfg(feature = "vectorscan")]
mod vectorscan {
    //! The binding is used for block scans without start-of-match and nothing else.

    use std::fmt::Write as _;

    use vectorscan_rs::{BlockDatabase, BlockScanner, Error, Flag, Pattern, Scan};

    use super::super::gate::Gate;
    use super::super::literal::Style;
    use super::super::superset::{Sought, What};
    use super::{Automata, FirstPass, Found, Offers, Overflow, Served, Table};

    /// A view that is read for words alone costs nothing of the others.
    pub(super) struct Databases {
        words: Option<BlockDatabase>,
        bytes: Option<BlockDatabase>,
        pieces: Vec<Pieces>,
    }

    /// Pieces of shapes without a literal.
    struct Pieces {
        gate: Gate,
        database: BlockDatabase,
        all: Vec<Pieced>,
        specs: Vec<u32>,
    }

    #[derive(Clone)]
    struct Pieced {
        text: String,
        width: (usize, usize),
        place: u32,
        spec: u32,
    }

    /// What Vectorscan does not compile, and why.
    struct Refused {
        spec: Option<u32>,
        reason: String,
    }

    pub(super) struct Scanners<'a> {
        words: Block<'a>,
        bytes: Block<'a>,
        pieces: Vec<(&'a Pieces, Block<'a>)>,
    }

    /// `None` when there was no memory for it; every text is then "could not scan".
    type Block<'a> = Option<BlockScanner<'a>>;

    /// An expression that Vectorscan refuses is left to run everywhere.
    pub(super) fn compile(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
    ) -> Result<(FirstPass, Vec<Served>), String> {
        let pieces = loop {
            let each = Gate::ALL.into_iter().map(|gate| {
                let of_gate = (0..).zip(ways).filter_map(|(place, (_, way))| match &way.what {
                    What::Piece(piece)
                        if piece.gate == gate
                            && matches!(served[way.place.spec as usize], Served::First(_)) =>
                    {
                        let (text, width) = (piece.text.clone(), piece.width);
                        Some(Pieced { text, width, place, spec: way.place.spec })
                    }
                    _ => None,
                });
                Pieces::compile(gate, of_gate.collect())
            });
            match each.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>() {
                Ok(pieces) => break pieces,
                Err(Refused { spec: Some(spec), .. }) => {
                    served[spec as usize] = Served::Everywhere(Gate::Open);
                }
                Err(Refused { reason, .. }) => return Err(reason),
            }
        };
        for piece in pieces.iter().flat_map(|pieces| &pieces.all) {
            if let Served::First(texts) = &mut served[piece.spec as usize] {
                texts.push(piece.text.clone());
            }
        }
        FirstPass::of(ways, served, |words, bytes| {
            Ok(Automata::Vectorscan(Databases {
                words: literals(words, Flag::empty())?,
                bytes: literals(bytes, Flag::CASELESS)?,
                pieces,
            }))
        })
    }

    fn literals(table: &Table, flags: Flag) -> Result<Option<BlockDatabase>, String> {
        if table.texts.is_empty() {
            return Ok(None);
        }
        let pattern = |(id, word): (u32, &Vec<u8>)| {
            let text = word.iter().fold(String::new(), |mut text, byte| {
                write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
                text
            });
            Pattern::new(text.into_bytes(), flags, Some(id))
        };
        let patterns = (0..).zip(&table.texts).map(pattern).collect();
        BlockDatabase::new(patterns).map(Some).map_err(|error| error.to_string())
    }

    fn scanner(database: Option<&BlockDatabase>) -> Block<'_> {
        database?.create_scanner().ok()
    }

    impl Databases {
        pub(super) fn scanners(&self) -> Scanners<'_> {
            Scanners {
                words: scanner(self.words.as_ref()),
                bytes: scanner(self.bytes.as_ref()),
                pieces: self
                    .pieces
                    .iter()
                    .map(|pieces| (pieces, pieces.database.create_scanner().ok()))
                    .collect(),
            }
        }
    }

    impl Pieces {
        fn compile(gate: Gate, all: Vec<Pieced>) -> Result<Option<Self>, Refused> {
            if all.is_empty() {
                return Ok(None);
            }
            let pattern = |(id, piece): (u32, &Pieced)| {
                Pattern::new(piece.text.clone().into_bytes(), Flag::empty(), Some(id))
            };
            let database = BlockDatabase::new((0..).zip(&all).map(pattern).collect());
            let database = database.map_err(|error| match error {
                Error::HyperscanCompile(reason, index) => {
                    let refused = usize::try_from(index).ok().and_then(|index| all.get(index));
                    Refused { spec: refused.map(|piece| piece.spec), reason }
                }
                error => Refused { spec: None, reason: error.to_string() },
            })?;
            let specs = all.iter().map(|piece| piece.spec).collect();
            Ok(Some(Self { gate, database, all, specs }))
        }
    }

    impl Scanners<'_> {
        pub(super) fn words(&mut self, text: &[u8], found: &mut Found<'_>) -> Result<(), Overflow> {
            scan(&mut self.words, text, found)
        }

        pub(super) fn bytes(&mut self, text: &[u8], found: &mut Found<'_>) -> Result<(), Overflow> {
            scan(&mut self.bytes, text, found)
        }

        pub(super) fn pieces(&mut self, offers: &mut Offers<'_>) -> Result<(), Overflow> {
            for (pieces, block) in &mut self.pieces {
                let Pieces { gate, all, specs, .. } = pieces;
                if specs.iter().any(|&spec| (offers.wanted)(spec)) && gate.in_text(offers.haystack) {
                    let text = offers.haystack;
                    scan(block, text, &mut |piece, end| {
                        let piece = all.get(piece).ok_or(Overflow)?;
                        offers.piece(piece.place, piece.width, end)
                    })?;
                }
            }
            Ok(())
        }
    }

    fn scan(block: &mut Block<'_>, text: &[u8], found: &mut Found<'_>) -> Result<(), Overflow> {
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
