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
use super::literal::{Literal, Skeleton, Style};
use super::place::Place;
use super::superset::{Sought, What, sought};
use super::trie::Trie;
use super::{CompileError, Kind, Overflow, Plan};

/// Literals of so many bytes in all get a full table, some 200 bytes of memory for each.
const MAX_TABLE: usize = 50_000;

/// What is looked for of one expression.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    style: Style,
    /// Things of which each match holds one; nothing where no part of it is rare enough.
    sought: Option<Vec<Sought>>,
}

impl Ways {
    /// Of the expression of a number; `words`: it is made of words, in any case.
    pub(super) fn of(spec: usize, hir: &Hir, words: bool) -> Self {
        let style = style_of(words);
        Self { style, sought: sought(spec as u32, hir, style) }
    }
}

fn style_of(words: bool) -> Style {
    if words { Style::Words } else { Style::Bytes }
}

/// How each expression is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// By these, of which each match holds one.
    First(Vec<String>),
    /// Run over every text that passes the gate.
    Everywhere(Gate),
}

impl From<Served> for Plan {
    fn from(served: Served) -> Self {
        match served {
            Served::First(texts) => Self::Gated(texts),
            Served::Everywhere(_) => Self::Everywhere,
        }
    }
}

pub(super) struct FirstPass {
    /// In the order of the expressions.
    places: Vec<Place>,
    /// What is looked for at each of them.
    whats: Vec<(What, Gate)>,
    /// For each expression whether it is looked for at all.
    is_sought: Vec<bool>,
    /// Literals that begin where words do.
    words: Words,
    /// All others.
    tables: Vec<Table>,
    automata: Automata,
}

/// Literals of a skeleton that begin at its starts, with those who wait for each.
struct Words {
    trie: Trie,
    waiting: Vec<Vec<(u32, Gate)>>,
    specs: Vec<u32>,
}

enum Automata {
    /// One for each table.
    Rust(Vec<AhoCorasick>),
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
    Rust(&'a [AhoCorasick]),
    #[cfg(feature = "vectorscan")]
    Vectorscan(vectorscan::Scanners<'a>),
}

impl FirstPass {
    /// Compiles all expressions; says how each is served. Tables that an earlier pass has, too, are
    /// taken over.
    pub(super) fn compile(
        all: Vec<Ways>,
        kind: Kind,
        earlier: Option<&Self>,
    ) -> Result<(Self, Vec<Served>), CompileError> {
        let mut served = Vec::with_capacity(all.len());
        let mut ways = Vec::new();
        for Ways { style, sought } in all {
            served.push(match sought {
                Some(_) => Served::First(Vec::new()),
                None => Served::Everywhere(Gate::Open),
            });
            ways.extend(sought.into_iter().flatten().map(|way| (style, way)));
        }
        let error = |reason| CompileError { spec: None, reason };
        #[cfg(feature = "vectorscan")]
        if kind != Kind::Rust {
            match vectorscan::compile(&ways, served.clone(), earlier) {
                Err(_) if kind == Kind::Auto => {}
                compiled => return compiled.map_err(error),
            }
        }
        #[cfg(not(feature = "vectorscan"))]
        if kind == Kind::Vectorscan {
            return Err(error("this build has no Vectorscan (feature `vectorscan`)".to_owned()));
        }
        Self::rust(&ways, served, earlier).map_err(error)
    }

    /// With aho-corasick for literals; who needs a piece runs over every text that may hold one.
    fn rust(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
        earlier: Option<&Self>,
    ) -> Result<(Self, Vec<Served>), String> {
        for of_spec in ways.chunk_by(|(_, a), (_, b)| a.place.spec == b.place.spec) {
            let gates = of_spec.iter().map(|(_, way)| match &way.what {
                What::Literals(_) => None,
                What::Piece(_) => Some(way.gate),
            });
            if gates.clone().any(|gate| gate.is_some()) {
                // Only a gate that all pass keeps nothing out.
                let same = gates.reduce(|all, gate| all.filter(|_| all == gate)).flatten();
                let spec = of_spec[0].1.place.spec;
                served[spec as usize] = Served::Everywhere(same.unwrap_or(Gate::Open));
            }
        }
        let before = match earlier {
            Some(Self { automata: Automata::Rust(all), tables, .. }) => {
                Some((tables.as_slice(), all.as_slice()))
            }
            _ => None,
        };
        let made = |table: &Table| match table.same(before) {
            Some(known) => Ok(AhoCorasick::clone(known)),
            None => automaton(table),
        };
        Self::of(ways, served, |tables| {
            tables.iter().map(made).collect::<Result<_, _>>().map(Automata::Rust)
        })
    }

    /// What it has found out of an expression, for one that is the same and has another number.
    pub(super) fn ways(&self, spec: usize, as_spec: usize, words: bool) -> Ways {
        let from = self.places.partition_point(|place| (place.spec as usize) < spec);
        let of_spec = self.places[from..].iter().take_while(|place| place.spec as usize == spec);
        let sought = of_spec.zip(&self.whats[from..]).map(|(place, (what, gate))| Sought {
            what: what.clone(),
            gate: *gate,
            place: place.of_spec(as_spec as u32),
        });
        let is_sought = self.is_sought[spec];
        Ways { style: style_of(words), sought: is_sought.then(|| sought.collect()) }
    }

    /// The tables of what is served by literals, and automata over them.
    fn of(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
        automata: impl FnOnce(&[Table]) -> Result<Automata, String>,
    ) -> Result<(Self, Vec<Served>), String> {
        let is_first = |served: &Served| matches!(served, Served::First(_));
        let mut is_sought: Vec<bool> = served.iter().map(is_first).collect();
        for (_, way) in ways {
            is_sought[way.place.spec as usize] = true;
        }
        let places: Vec<Place> = ways.iter().map(|(_, way)| way.place.clone()).collect();
        let whats = ways.iter().map(|(_, way)| (way.what.clone(), way.gate)).collect();
        let mut words: BTreeMap<Vec<u8>, Vec<(u32, Gate)>> = BTreeMap::new();
        let mut tables: BTreeMap<(Style, Gate), Waitings> = BTreeMap::new();
        for (at, (style, way)) in (0..).zip(ways) {
            if let What::Literals(literals) = &way.what
                && let Served::First(texts) = &mut served[way.place.spec as usize]
            {
                for Literal { text, lead, at_start } in &literals.all {
                    texts.push(text.escape_ascii().to_string());
                    if *at_start {
                        words.entry(text.clone()).or_default().push((at, way.gate));
                        continue;
                    }
                    let is_foreign = *style == Style::Words && !text.is_ascii();
                    let gate = if is_foreign { Gate::Foreign } else { way.gate };
                    let table = tables.entry((*style, gate)).or_default();
                    let waiting = Waiting { place: at, lead: *lead };
                    table.entry(text.clone()).or_default().push(waiting);
                }
            }
        }
        let specs = |waiting: &mut dyn Iterator<Item = u32>| {
            let mut specs: Vec<u32> = waiting.map(|place| places[place as usize].spec).collect();
            specs.sort_unstable();
            specs.dedup();
            specs
        };
        let table = |((style, gate), table): (_, Waitings)| {
            let specs = specs(&mut table.values().flatten().map(|waiting| waiting.place));
            let (texts, waiting) = table.into_iter().unzip();
            Table { style, gate, texts, waiting, specs }
        };
        let tables: Vec<Table> = tables.into_iter().map(table).collect();
        let words = {
            let specs = specs(&mut words.values().flatten().map(|(place, _)| *place));
            let (texts, waiting): (Vec<_>, _) = words.into_iter().unzip();
            Words { trie: Trie::new(&texts), waiting, specs }
        };
        let automata = automata(&tables)?;
        Ok((Self { places, whats, is_sought, words, tables, automata }, served))
    }

    pub(super) fn name(&self) -> &'static str {
        match self.automata {
            Automata::Rust(_) => "rust",
            #[cfg(feature = "vectorscan")]
            Automata::Vectorscan(_) => "vectorscan",
        }
    }

    pub(super) fn scanner(&self) -> FirstScan<'_> {
        let search = match &self.automata {
            Automata::Rust(all) => Search::Rust(all),
            #[cfg(feature = "vectorscan")]
            Automata::Vectorscan(databases) => Search::Vectorscan(databases.scanners()),
        };
        FirstScan { pass: self, skeleton: Skeleton::default(), search }
    }
}

fn automaton(table: &Table) -> Result<AhoCorasick, String> {
    let bytes: usize = table.texts.iter().map(Vec::len).sum();
    AhoCorasick::builder()
        .ascii_case_insensitive(table.style == Style::Bytes)
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
        #[cfg(feature = "vectorscan")]
        if let Search::Vectorscan(scanners) = search {
            scanners.text.forget();
        }
        let mut gates = Gates { haystack, known: [None; Gate::ALL.len()] };
        let mut offers = Offers { places: &pass.places, haystack, wanted, limit, out };
        let mut is_read = false;
        let Words { trie, waiting, specs } = &pass.words;
        if specs.iter().any(|&spec| wanted(spec)) {
            skeleton.read(haystack);
            is_read = true;
            for &start in skeleton.starts() {
                let start = start as usize;
                let mut found = |literal: usize, _: usize| {
                    let place = skeleton.place(start).ok_or(Overflow)?;
                    waiting[literal].iter().try_for_each(|&(at, gate)| {
                        if gates.pass(gate) { offers.at(at, place) } else { Ok(()) }
                    })
                };
                trie.at(skeleton.bytes(), start, &mut found)?;
            }
        }
        for (at, table) in pass.tables.iter().enumerate() {
            if !table.specs.iter().any(|&spec| wanted(spec)) || !gates.pass(table.gate) {
                continue;
            }
            if table.style == Style::Words && !std::mem::replace(&mut is_read, true) {
                skeleton.read(haystack);
            }
            let place = |at| match table.style {
                Style::Words => skeleton.place(at).ok_or(Overflow),
                Style::Bytes => Ok(at),
            };
            let mut found = |literal: usize, end: usize| {
                let start = end - table.texts[literal].len();
                let mut waiting = table.waiting[literal].iter();
                waiting.try_for_each(|one| offers.at(one.place, place(start + one.lead)?))
            };
            let words = (table.style == Style::Words).then(|| skeleton.bytes());
            match search {
                Search::Rust(all) => literals(&all[at], words.unwrap_or(haystack), &mut found)?,
                #[cfg(feature = "vectorscan")]
                Search::Vectorscan(scanners) => {
                    scanners.literals(at, words, haystack, &mut found)?;
                }
            }
        }
        match search {
            Search::Rust(_) => Ok(()),
            #[cfg(feature = "vectorscan")]
            Search::Vectorscan(scanners) => scanners.pieces(&mut gates, &mut offers),
        }
    }
}

/// What a text holds, looked up when it is first asked for.
struct Gates<'t> {
    haystack: &'t [u8],
    known: [Option<bool>; Gate::ALL.len()],
}

impl Gates<'_> {
    fn pass(&mut self, gate: Gate) -> bool {
        *self.known[gate as usize].get_or_insert_with(|| gate.in_text(self.haystack))
    }
}

/// What is done with a hit: the number of what was found, and where it ends.
type Found<'f> = dyn FnMut(usize, usize) -> Result<(), Overflow> + 'f;

fn literals(all: &AhoCorasick, text: &[u8], found: &mut Found<'_>) -> Result<(), Overflow> {
    all.find_overlapping_iter(text).try_for_each(|hit| found(hit.pattern().as_usize(), hit.end()))
}

/// Literals, each once, with those who wait for it.
struct Table {
    style: Style,
    gate: Gate,
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

type Waitings = BTreeMap<Vec<u8>, Vec<Waiting>>;

impl Table {
    /// What an earlier pass made of the same texts.
    fn same<'e, T>(&self, earlier: Option<(&[Self], &'e [T])>) -> Option<&'e T> {
        let (tables, made) = earlier?;
        let is_same = |table: &Self| table.style == self.style && table.texts == self.texts;
        made.get(tables.iter().position(is_same)?)
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

    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::sync::Arc;

    use vectorscan_rs::{BlockDatabase, BlockScanner, Error, Flag, Pattern, Scan};

    use super::super::gate::Gate;
    use super::super::literal::{SLACK, Style};
    use super::super::superset::{Piece, Sought, What};
    use super::{Automata, FirstPass, Found, Gates, Offers, Overflow, Served, Table};

    /// A view that is read for words alone costs nothing of the others.
    pub(super) struct Databases {
        /// One for each table.
        literals: Vec<Arc<BlockDatabase>>,
        pieces: Vec<Pieces>,
    }

    /// Pieces of shapes without a literal.
    struct Pieces {
        gate: Gate,
        database: Arc<BlockDatabase>,
        all: Vec<Pieced>,
        specs: Vec<u32>,
    }

    /// A piece, with the places and the expressions that wait for it.
    struct Pieced {
        text: String,
        width: (usize, usize),
        waiting: Vec<(u32, u32)>,
    }

    /// What Vectorscan does not compile, and why.
    struct Refused {
        spec: Option<u32>,
        reason: String,
    }

    pub(super) struct Scanners<'a> {
        literals: Vec<Block<'a>>,
        pieces: Vec<(&'a Pieces, Block<'a>)>,
        pub(super) text: Text,
    }

    /// The text with [`SLACK`] on either side, copied when it is first looked through; nothing
    /// before.
    #[derive(Default)]
    pub(super) struct Text(Vec<u8>);

    impl Text {
        /// Another text comes next.
        pub(super) fn forget(&mut self) {
            self.0.clear();
        }

        fn of(&mut self, text: &[u8]) -> &[u8] {
            if self.0.is_empty() {
                self.0.resize(SLACK, 0);
                self.0.extend_from_slice(text);
                self.0.resize(text.len() + 2 * SLACK, 0);
            }
            self.0.get(SLACK..SLACK + text.len()).unwrap_or_default()
        }
    }

    /// `None` when there was no memory for it; every text is then "could not scan".
    type Block<'a> = Option<BlockScanner<'a>>;

    /// An expression that Vectorscan refuses is left to run everywhere.
    pub(super) fn compile(
        ways: &[(Style, Sought)],
        mut served: Vec<Served>,
        earlier: Option<&FirstPass>,
    ) -> Result<(FirstPass, Vec<Served>), String> {
        let before = match earlier {
            Some(FirstPass { automata: Automata::Vectorscan(all), tables, .. }) => {
                Some((tables.as_slice(), all))
            }
            _ => None,
        };
        let known = before.map_or(&[][..], |(_, all)| &all.pieces);
        let pieces = loop {
            let each = Gate::ALL.into_iter().map(|gate| {
                let mut of_gate: BTreeMap<&str, Pieced> = BTreeMap::new();
                for (place, (_, way)) in (0..).zip(ways) {
                    let spec = way.place.spec;
                    if let What::Piece(Piece { text, width }) = &way.what
                        && way.gate == gate
                        && matches!(served[spec as usize], Served::First(_))
                    {
                        let fresh =
                            || Pieced { text: text.clone(), width: *width, waiting: Vec::new() };
                        of_gate.entry(text).or_insert_with(fresh).waiting.push((place, spec));
                    }
                }
                Pieces::compile(gate, of_gate.into_values().collect(), known)
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
            for (_, spec) in &piece.waiting {
                if let Served::First(texts) = &mut served[*spec as usize] {
                    texts.push(piece.text.clone());
                }
            }
        }
        FirstPass::of(ways, served, |tables| {
            let known = before.map(|(tables, all)| (tables, all.literals.as_slice()));
            let made = |table: &Table| match table.same(known) {
                Some(database) => Ok(Arc::clone(database)),
                None => literals(table).map(Arc::new),
            };
            let literals = tables.iter().map(made).collect::<Result<_, _>>()?;
            Ok(Automata::Vectorscan(Databases { literals, pieces }))
        })
    }

    fn literals(table: &Table) -> Result<BlockDatabase, String> {
        let flags = match table.style {
            Style::Words => Flag::empty(),
            Style::Bytes => Flag::CASELESS,
        };
        let pattern = |(id, literal): (u32, &Vec<u8>)| {
            let text = literal.iter().fold(String::new(), |mut text, byte| {
                write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
                text
            });
            Pattern::new(text.into_bytes(), flags, Some(id))
        };
        let patterns = (0..).zip(&table.texts).map(pattern).collect();
        BlockDatabase::new(patterns).map_err(|error| error.to_string())
    }

    impl Databases {
        pub(super) fn scanners(&self) -> Scanners<'_> {
            Scanners {
                literals: self.literals.iter().map(|all| all.create_scanner().ok()).collect(),
                pieces: self
                    .pieces
                    .iter()
                    .map(|pieces| (pieces, pieces.database.create_scanner().ok()))
                    .collect(),
                text: Text::default(),
            }
        }
    }

    impl Pieces {
        fn compile(gate: Gate, all: Vec<Pieced>, known: &[Self]) -> Result<Option<Self>, Refused> {
            if all.is_empty() {
                return Ok(None);
            }
            let specs =
                all.iter().flat_map(|piece| &piece.waiting).map(|(_, spec)| *spec).collect();
            let is_same = |known: &&Self| {
                let texts = known.all.iter().map(|piece| &piece.text);
                texts.eq(all.iter().map(|piece| &piece.text))
            };
            if let Some(same) = known.iter().find(is_same) {
                let database = Arc::clone(&same.database);
                return Ok(Some(Self { gate, database, all, specs }));
            }
            let pattern = |(id, piece): (u32, &Pieced)| {
                Pattern::new(piece.text.clone().into_bytes(), Flag::empty(), Some(id))
            };
            let database = BlockDatabase::new((0..).zip(&all).map(pattern).collect());
            let database = database.map_err(|error| match error {
                Error::HyperscanCompile(reason, index) => {
                    let refused = usize::try_from(index).ok().and_then(|index| all.get(index));
                    let spec = refused.and_then(|piece| piece.waiting.first());
                    Refused { spec: spec.map(|(_, spec)| *spec), reason }
                }
                error => Refused { spec: None, reason: error.to_string() },
            })?;
            Ok(Some(Self { gate, database: Arc::new(database), all, specs }))
        }
    }

    impl Scanners<'_> {
        /// Looks through the words of a skeleton, or through the text.
        pub(super) fn literals(
            &mut self,
            table: usize,
            words: Option<&[u8]>,
            haystack: &[u8],
            found: &mut Found<'_>,
        ) -> Result<(), Overflow> {
            let Self { literals, text, .. } = self;
            let block = literals.get_mut(table).ok_or(Overflow)?;
            scan(block, words.unwrap_or_else(|| text.of(haystack)), found)
        }

        pub(super) fn pieces(
            &mut self,
            gates: &mut Gates<'_>,
            offers: &mut Offers<'_>,
        ) -> Result<(), Overflow> {
            for (pieces, block) in &mut self.pieces {
                let Pieces { gate, all, specs, .. } = pieces;
                if specs.iter().any(|&spec| (offers.wanted)(spec)) && gates.pass(*gate) {
                    scan(block, self.text.of(offers.haystack), &mut |piece, end| {
                        let piece = all.get(piece).ok_or(Overflow)?;
                        let mut waiting = piece.waiting.iter();
                        waiting.try_for_each(|(place, _)| offers.piece(*place, piece.width, end))
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
