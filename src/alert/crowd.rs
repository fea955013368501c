//! Signs that many agents of a class show within an hour: one group, told once.
//!
//! A [`Crowd`] keeps the latest sign of each agent and says of the next one where it stands:
//! alone, in company, in a group, or apart from one. What it holds is a function of the set of
//! signs and not of their order, as long as none comes later than the lateness that baselines
//! allow: agents beyond the limit give way by the hash of their name, so that those kept are a
//! fair sample and their number can be told from it. Who is told what is `inspect`'s business.
//!
//! A crowd keeps the agents of its own partition. Those of others come with what their
//! partitions tell ([`Told`]) and are counted with them.

use std::collections::BTreeMap;

use crate::baseline::LATENESS_MS;
use crate::event::Millis;
use crate::state::codec::{Pack, Unpack};

/// Signs within this are of one time.
pub const CROWD_MS: i64 = 3_600_000;
/// Signs of one group may lie so far apart, late ones among them.
const NEAR_MS: i64 = CROWD_MS + LATENESS_MS;
/// A sign that may not be its agent's own waits so long for others: as long as any of them may
/// be late.
pub const COMPANY_MS: i64 = LATENESS_MS;
/// Agents of a crowd that are known one by one.
const KEPT: usize = 256;
/// Fewer agents than this are no group.
const LEAST: usize = 5;
/// Of ten members so many have in common what a group shares.
const SHARED_OF_TEN: usize = 8;
/// A sign by so much more unusual than its group's, of 0 to 100, is not the group's.
const APART: u8 = 15;
/// Members that an alert names.
const NAMED: usize = 16;
/// Names and values are kept up to this many bytes.
const TEXT: usize = 96;
/// Agents of a crowd that other partitions are told of.
const TOLD: usize = 64;
/// What is told is as new as this, so that one more sign of the same agent is mostly no news.
const TOLD_MS: i64 = 60_000;
/// Likewise how long a group's alert stays open.
const OPEN_MS: i64 = 600_000;
const VERSION: u8 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// What agents may have in common.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Common { $($(#[$doc])* $name),+ }

        impl Common {
            /// Every kind.
            pub const ALL: [Self; COMMON] = [$(Self::$name),+];

            /// The name on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

/// How many kinds there are.
pub const COMMON: usize = 7;

kinds! {
    /// The deployment's name.
    Deployment = "deployment";
    /// Hash of the system prompt.
    Prompt = "prompt_hash";
    /// Hash of the tool list.
    Tools = "tools_hash";
    /// The model.
    Model = "model";
    /// The tool of the event that showed the sign.
    Tool = "tool";
    /// Hosts that it names.
    Destination = "destination";
    /// Its classes of data.
    Data = "data_class";
}

impl Common {
    /// Whether it is what an agent is rather than what it does: one that is something else is no
    /// member of a group that shares it.
    fn is_being(self) -> bool {
        matches!(self, Self::Deployment | Self::Prompt | Self::Tools | Self::Model)
    }
}

/// One agent's sign.
#[derive(Clone, Debug)]
pub struct Mark<'a> {
    /// Names the agent and its episode, evenly spread.
    pub id: [u8; 16],
    /// The agent.
    pub agent: &'a str,
    /// When its event happened.
    pub at: Millis,
    /// How unusual, from 0 to 100.
    pub score: u8,
    /// Whether everything that the agent shows belongs to this crowd.
    pub whole: bool,
    /// What it may have in common with others, by [`Common`].
    pub common: [Option<&'a str>; COMMON],
}

/// How many agents make a group, and how many others are company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Agents of a group.
    pub group: usize,
    /// Others within [`COMPANY_MS`].
    pub company: usize,
}

impl Need {
    /// Of a class of so many agents, each of which has so many false warnings a week: five, and
    /// thrice what is to be expected by chance.
    #[must_use]
    pub fn of(agents: u32, warnings_per_week: f64) -> Self {
        let chance = |ms: i64| {
            let weeks = ms as f64 / (7.0 * 86_400_000.0);
            (3.0 * f64::from(agents) * warnings_per_week * weeks).clamp(0.0, 1e6) as usize
        };
        Self { group: LEAST + chance(CROWD_MS), company: 1 + chance(COMPANY_MS) }
    }
}

/// Where a sign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody else shows it.
    Alone,
    /// Others do, too few for a group as yet.
    Company,
    /// In a group.
    Member,
    /// There is a group, and this sign is not of it.
    Apart,
}

/// How a sign is told, by where it stands in each of its crowds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hush {
    /// At once.
    #[default]
    No,
    /// Unless the agent turns out to be one of many within [`COMPANY_MS`].
    Wait,
    /// Its group is told, and it is not.
    Quiet,
}

impl Hush {
    /// `fresh` is an agent within a day of a rollout, which others are likely to be, too;
    /// what is grave never waits.
    #[must_use]
    pub fn of(standings: &[Standing], fresh: bool, grave: bool) -> Self {
        let any = |of: Standing| standings.contains(&of);
        if standings.is_empty() || any(Standing::Apart) {
            Self::No
        } else if standings.iter().all(|&standing| standing == Standing::Member) {
            Self::Quiet
        } else if !grave && (fresh || any(Standing::Company) || any(Standing::Member)) {
            Self::Wait
        } else {
            Self::No
        }
    }
}

/// What is said of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Features that are unusual, such as `amount`.
    pub about: String,
    /// How many agents; beyond 256 an estimate.
    pub agents: u64,
    /// Whether it is one.
    pub estimated: bool,
    /// Kind, value and number of the agents named in [`Group::agents`], or of the sample of them.
    pub shared: Vec<(String, String, u64)>,
    /// Some of the agents, in order of their names.
    pub members: Vec<String>,
}

/// One agent of a crowd.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: [u8; 16],
    agent: String,
    at: Millis,
    score: u8,
    whole: bool,
    joined: bool,
    /// Hashes of what it may share; 0 is nothing.
    common: [u32; COMMON],
}

/// What another partition tells of its part of a crowd.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its group's alert is open until then, as long as nothing more happens.
    open_until: Option<Millis>,
    part: Crowd,
}

impl Told {
    /// Reads what [`Crowd::told`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (until, part) = bytes.split_first_chunk()?;
        let until = i64::from_be_bytes(*until);
        let open_until = (until > 0).then_some(Millis(until));
        Some(Self { open_until, part: Crowd::read(part)? })
    }

    /// Whether its partition tells of a group at that time. One that is far ahead says nothing
    /// of what went on before.
    #[must_use]
    pub fn is_open(&self, at: Millis) -> bool {
        let ahead = self.part.newest.0.saturating_sub(at.0);
        self.open_until.is_some_and(|until| at < until) && ahead <= NEAR_MS
    }
}

/// Where a sign stands, and what came of it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it stands.
    pub standing: Standing,
    /// Members of this partition that show nothing else, and whose group is told from now on.
    pub hushed: Vec<[u8; 16]>,
    /// Whether another partition tells of the group, and this one does not.
    pub elsewhere: bool,
    /// The crowd with the agents of all partitions, where others have any.
    pub all: Option<Crowd>,
}

/// The agents of one class that lately showed the same kind of sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crowd {
    newest: Millis,
    /// By id.
    kept: Vec<Kept>,
    /// Values that agents name, by kind and hash.
    values: BTreeMap<(u8, u32), String>,
}

impl Crowd {
    /// Takes a sign. `open` says whether this partition tells of the group; `others` is what the
    /// others say.
    pub fn see(&mut self, mark: &Mark<'_>, need: Need, open: bool, others: &[Told]) -> Place {
        let elsewhere = !open && others.iter().any(|told| told.is_open(mark.at));
        if !open && !elsewhere {
            self.kept.iter_mut().for_each(|kept| kept.joined = false);
        }
        self.newest = self.newest.max(mark.at);
        self.take(mark);
        self.settle();
        let known = self.kept.iter().any(|kept| kept.joined);
        let whole: Vec<[u8; 16]> =
            self.kept.iter().filter(|kept| kept.whole).map(|kept| kept.id).collect();
        let mut all = (!others.is_empty()).then(|| self.with(others, mark.at, open || elsewhere));
        let among = match &mut all {
            Some(all) => all,
            None => &mut *self,
        };
        let (standing, mut hushed) = if elsewhere && !known {
            // The first that is heard of the group: it is that of the agents before, too.
            let member = |id: &[u8; 16]| among.join(*id) == Standing::Member;
            let joined: Vec<_> = whole.iter().copied().filter(member).collect();
            (among.join(mark.id), joined)
        } else if open || elsewhere {
            (among.join(mark.id), Vec::new())
        } else {
            among.grow(mark, need)
        };
        if let Some(all) = &all {
            for kept in &mut self.kept {
                // Beyond the limit of all together they are as they were.
                if let Ok(at) = all.place(kept.id) {
                    kept.joined = all.kept[at].joined;
                }
            }
            hushed.retain(|id| whole.contains(id));
        }
        Place { standing, hushed, elsewhere, all }
    }

    /// The crowd with the agents that other partitions tell of; `is_told` says whether there is a
    /// group.
    fn with(&self, others: &[Told], at: Millis, is_told: bool) -> Self {
        let mut all = self.clone();
        for told in others {
            all.add(told, at);
        }
        if is_told {
            // They may have said so before there was a group.
            let theirs = |kept: &&Kept| !kept.joined && self.place(kept.id).is_err();
            let theirs: Vec<_> = all.kept.iter().filter(theirs).map(|kept| kept.id).collect();
            for id in theirs {
                all.join(id);
            }
        }
        all
    }

    /// Where an agent is among those kept, or where it would be.
    fn place(&self, id: [u8; 16]) -> Result<usize, usize> {
        self.kept.binary_search_by_key(&id, |kept| kept.id)
    }

    /// Where a sign stands that no group is told of as yet; and, where it makes one, those
    /// members that show nothing else.
    fn grow(&mut self, mark: &Mark<'_>, need: Need) -> (Standing, Vec<[u8; 16]>) {
        let formed = self.form(need);
        if !formed.is_empty() {
            let is_in = |kept: &Kept| kept.joined && kept.id == mark.id;
            let is_in = self.kept.iter().any(is_in);
            return (if is_in { Standing::Member } else { Standing::Apart }, formed);
        }
        let others = self.kept.iter().filter(|kept| kept.id != mark.id);
        let near = others.filter(|kept| (kept.at.0 - mark.at.0).abs() <= COMPANY_MS).count();
        let standing = if near >= need.company { Standing::Company } else { Standing::Alone };
        (standing, Vec::new())
    }

    /// Forgets what is too old, the agents beyond the limit, and values that nobody names.
    fn settle(&mut self) {
        let from = self.newest.0 - NEAR_MS;
        self.kept.retain(|kept| kept.joined || kept.at.0 >= from);
        self.kept.truncate(KEPT);
        let used = |kind: u8, hash: u32| {
            self.kept.iter().any(|kept| kept.common.get(usize::from(kind)) == Some(&hash))
        };
        let mut values = std::mem::take(&mut self.values);
        values.retain(|&(kind, hash), _| used(kind, hash));
        self.values = values;
    }

    /// Adds the agents of another partition that showed their sign about this time, or whose
    /// group is told of. Partitions need not have come equally far.
    fn add(&mut self, told: &Told, at: Millis) {
        let is_open = told.is_open(at);
        let near = |kept: &Kept| (kept.at.0 - at.0).abs() <= NEAR_MS;
        for kept in &told.part.kept {
            let joined = kept.joined && is_open;
            if !joined && !near(kept) {
                continue;
            }
            if let Err(place) = self.place(kept.id) {
                self.kept.insert(place, Kept { joined, ..kept.clone() });
            }
        }
        for (key, value) in &told.part.values {
            self.values.entry(*key).or_insert_with(|| value.clone());
        }
        self.settle();
    }

    /// What other partitions are told; `open_until` is when the group's alert would close that
    /// this partition tells of.
    #[must_use]
    pub fn told(&self, open_until: Option<Millis>) -> Vec<u8> {
        let mut part = self.clone();
        part.kept.truncate(TOLD);
        let floor = |at: Millis| Millis(at.0.div_euclid(TOLD_MS) * TOLD_MS);
        part.kept.iter_mut().for_each(|kept| kept.at = floor(kept.at));
        part.newest = floor(part.newest);
        part.settle();
        let until = open_until.map_or(0, |until| (until.0 / OPEN_MS + 1) * OPEN_MS);
        let mut out = until.to_be_bytes().to_vec();
        out.extend(part.write());
        out
    }

    /// What is said of the group; nothing is said where there is none.
    #[must_use]
    pub fn group(&self, about: &str) -> Group {
        let members: Vec<&Kept> = self.kept.iter().filter(|kept| kept.joined).collect();
        let mut named: Vec<String> = members.iter().map(|kept| kept.agent.clone()).collect();
        named.sort_unstable();
        named.dedup();
        named.truncate(NAMED);
        let shared = Common::ALL.into_iter().filter_map(|kind| {
            let (hash, agents) = shared(&members, kind)?;
            let value = self.values.get(&(kind as u8, hash))?;
            Some((kind.name().to_owned(), value.clone(), agents as u64))
        });
        let estimated = self.kept.len() >= KEPT;
        Group {
            about: about.to_owned(),
            agents: if estimated { self.estimate(members.len()) } else { members.len() as u64 },
            estimated,
            shared: shared.collect(),
            members: named,
        }
    }

    /// The median of how unusual the members are.
    #[must_use]
    pub fn score(&self) -> u8 {
        let joined = self.kept.iter().filter(|kept| kept.joined);
        median(joined.map(|kept| kept.score))
    }

    /// Adds a sign or joins it to the agent's earlier ones: what it shares is what its latest says.
    fn take(&mut self, mark: &Mark<'_>) {
        let mut common = [0; COMMON];
        for ((kind, hash), value) in Common::ALL.into_iter().zip(&mut common).zip(mark.common) {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            *hash = crate::baseline::name(value);
            self.values.entry((kind as u8, *hash)).or_insert_with(|| cut(value));
        }
        match self.place(mark.id) {
            Ok(at) => {
                let kept = &mut self.kept[at];
                if (mark.at, common) >= (kept.at, kept.common) {
                    (kept.at, kept.common) = (mark.at, common);
                }
                kept.score = kept.score.max(mark.score);
                kept.whole &= mark.whole;
            }
            Err(at) => {
                let Mark { id, agent, at: when, score, whole, .. } = *mark;
                let agent = cut(agent);
                let one = Kept { id, agent, at: when, score, whole, joined: false, common };
                self.kept.insert(at, one);
            }
        }
    }

    /// Makes a group where enough signs of one time agree; gives those that show nothing else.
    fn form(&mut self, need: Need) -> Vec<[u8; 16]> {
        let mut times: Vec<i64> = self.kept.iter().map(|kept| kept.at.0).collect();
        times.sort_unstable();
        let dense = |pair: &[i64]| matches!(pair, [first, .., last] if last - first <= CROWD_MS);
        if need.group > KEPT || !times.windows(need.group).any(dense) {
            return Vec::new();
        }
        let all: Vec<&Kept> = self.kept.iter().collect();
        let fits: Vec<bool> = self.kept.iter().map(|kept| fits(kept, &all)).collect();
        if fits.iter().filter(|fits| **fits).count() < need.group {
            return Vec::new();
        }
        for (kept, fits) in self.kept.iter_mut().zip(fits) {
            kept.joined = fits;
        }
        let whole = self.kept.iter().filter(|kept| kept.joined && kept.whole);
        whole.map(|kept| kept.id).collect()
    }

    /// Puts an agent into the open group, if it is like the others.
    fn join(&mut self, id: [u8; 16]) -> Standing {
        let members: Vec<&Kept> =
            self.kept.iter().filter(|kept| kept.joined && kept.id != id).collect();
        let Some(own) = self.kept.iter().find(|kept| kept.id == id) else {
            // It gave way to others by its hash: they speak for it.
            return Standing::Member;
        };
        let fits = fits(own, &members);
        if let Some(own) = self.kept.iter_mut().find(|kept| kept.id == id) {
            own.joined = fits;
        }
        if fits { Standing::Member } else { Standing::Apart }
    }

    /// How many agents there are, from how close the smallest hashes lie to each other.
    fn estimate(&self, joined: usize) -> u64 {
        let Some(last) = self.kept.last() else { return 0 };
        let place = u64::from_be_bytes(*last.id.first_chunk().unwrap_or(&[0xff; 8]));
        let all = (self.kept.len() - 1) as f64 / ((place as f64 + 1.0) / 2f64.powi(64));
        (all * joined as f64 / self.kept.len() as f64).round() as u64
    }

    /// The crowd as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Pack::new(VERSION).millis(self.newest).number(self.kept.len() as u64);
        for kept in &self.kept {
            let flags = u8::from(kept.whole) | u8::from(kept.joined) << 1;
            out = out.bytes(&kept.id).millis(kept.at).bytes(&[kept.score, flags]);
            for hash in kept.common {
                out = out.bytes(&hash.to_be_bytes());
            }
            out = out.text(&kept.agent);
        }
        out = out.number(self.values.len() as u64);
        for (&(kind, hash), value) in &self.values {
            out = out.bytes(&[kind]).bytes(&hash.to_be_bytes()).text(value);
        }
        out.done()
    }

    /// Reads what [`Crowd::write`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Unpack::new(VERSION, bytes)?;
        let newest = from.millis()?;
        let mut kept = Vec::new();
        for _ in 0..from.number()?.min(KEPT as u64) {
            let (id, at) = (from.fixed()?, from.millis()?);
            let [score, flags] = from.fixed()?;
            let mut common = [0; COMMON];
            for hash in &mut common {
                *hash = u32::from_be_bytes(from.fixed()?);
            }
            let (whole, joined) = (flags & 1 != 0, flags & 2 != 0);
            kept.push(Kept { id, agent: from.text()?, at, score, whole, joined, common });
        }
        let mut values = BTreeMap::new();
        for _ in 0..from.number()? {
            let [kind] = from.fixed()?;
            values.insert((kind, u32::from_be_bytes(from.fixed()?)), from.text()?);
        }
        Some(Self { newest, kept, values })
    }
}

/// Whether an agent is what those of a group are, and no more unusual.
fn fits(own: &Kept, group: &[&Kept]) -> bool {
    let same = Common::ALL
        .into_iter()
        .filter(|kind| kind.is_being())
        .all(|kind| shared(group, kind).is_none_or(|(hash, _)| own.common[kind as usize] == hash));
    let usual = median(group.iter().map(|kept| kept.score));
    same && own.score <= usual.saturating_add(APART)
}

/// The value of a kind that most agents name, and how many do, where nearly all of them do.
fn shared(agents: &[&Kept], kind: Common) -> Option<(u32, usize)> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for kept in agents {
        *counts.entry(kept.common[kind as usize]).or_default() += 1;
    }
    let most = counts.into_iter().filter(|&(hash, _)| hash != 0).max_by_key(|&(_, n)| n);
    most.filter(|&(_, n)| 10 * n >= SHARED_OF_TEN * agents.len())
}

fn median(scores: impl Iterator<Item = u8>) -> u8 {
    let mut all: Vec<u8> = scores.collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    let end = (0..=TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::Standing::{Alone, Apart, Company, Member};
    use super::*;

    const NEED: Need = Need { group: 5, company: 1 };
    const HOUR: i64 = 3_600_000;

    fn id(agent: &str) -> [u8; 16] {
        *Sha256::digest(agent).first_chunk().unwrap()
    }

    fn mark<'a>(agent: &'a str, at: i64, deployment: &'a str) -> Mark<'a> {
        let mut common = [None; COMMON];
        common[Common::Deployment as usize] = Some(deployment);
        common[Common::Tool as usize] = Some("search");
        Mark { id: id(agent), agent, at: Millis(at), score: 40, whole: true, common }
    }

    /// Shows marks in order, as their group's alert would be open; gives where each stood.
    fn show(crowd: &mut Crowd, marks: &[Mark<'_>]) -> Vec<Standing> {
        let mut open = false;
        let mut out = Vec::new();
        for mark in marks {
            let place = crowd.see(mark, NEED, open, &[]);
            open |= !place.hushed.is_empty();
            out.push(place.standing);
        }
        out
    }

    #[test]
    fn five_within_an_hour_are_a_group_and_what_they_share_is_named() {
        let agents: Vec<String> = (0..7).map(|n| format!("bot{n}")).collect();
        let marks: Vec<_> =
            agents.iter().zip(0..).map(|(agent, n)| mark(agent, n * 60_000, "d7")).collect();
        let mut crowd = Crowd::default();
        let stood = show(&mut crowd, &marks);
        assert_eq!(stood, [Alone, Company, Company, Company, Member, Member, Member]);
        let group = crowd.group("amount");
        assert_eq!((group.agents, group.estimated, group.members.len()), (7, false, 7));
        assert!(group.shared.contains(&("deployment".into(), "d7".into(), 7)), "{group:?}");
        assert_eq!(Crowd::read(&crowd.write()), Some(crowd.clone()));
        assert_eq!(Crowd::read(&crowd.write()[1..]), None);

        // Another one, of another deployment, or far more unusual than they are, is told.
        let other = mark("other", 8 * 60_000, "d6");
        assert_eq!(crowd.see(&other, NEED, true, &[]).standing, Standing::Apart);
        let far = Mark { score: 56, ..mark("far", 8 * 60_000, "d7") };
        assert_eq!(crowd.see(&far, NEED, true, &[]).standing, Standing::Apart);
        let near = Mark { score: 55, ..mark("near", 8 * 60_000, "d7") };
        assert_eq!(crowd.see(&near, NEED, true, &[]).standing, Member);
    }

    #[test]
    fn the_boundaries_of_time_and_number_are_exact() {
        for (step, n, group) in
            [(HOUR / 4, 5, true), (HOUR / 4 + 1, 5, false), (0, 5, true), (0, 4, false)]
        {
            let agents: Vec<String> = (0..n).map(|n| format!("bot{n}")).collect();
            let marks: Vec<_> =
                agents.iter().zip(0..).map(|(agent, n)| mark(agent, n * step, "d")).collect();
            let stood = show(&mut Crowd::default(), &marks);
            assert_eq!(stood.contains(&Standing::Member), group, "{n} every {step} ms");
        }
        // The same agent over and over is one.
        let marks: Vec<_> = (0..50).map(|n| mark("bot", n, "d")).collect();
        assert!(show(&mut Crowd::default(), &marks).iter().all(|s| *s == Standing::Alone));
        // What chance brings of a large class is no group.
        assert_eq!(Need::of(0, 0.1), NEED);
        assert_eq!(Need::of(84_000, 0.1), Need { group: 155, company: 26 });
    }

    #[test]
    fn a_crowd_of_a_hundred_thousand_is_bounded_and_counted() {
        let mut crowd = Crowd::default();
        let need = Need { group: 100, company: 5 };
        let mut open = false;
        for n in 0..100_000 {
            let agent = format!("agent-{n}");
            let tool = format!("tool-{n}");
            let mut mark = mark(&agent, n, "d7");
            mark.common[Common::Tool as usize] = Some(&tool);
            open |= !crowd.see(&mark, need, open, &[]).hushed.is_empty();
        }
        assert!(crowd.write().len() < 64 * 1024, "{} bytes", crowd.write().len());
        let group = crowd.group("amount");
        assert!(group.estimated && (80_000..120_000).contains(&group.agents), "{}", group.agents);
        assert_eq!(group.shared.len(), 1, "{:?}", group.shared);
        assert_eq!(group.members.len(), NAMED);
    }

    #[test]
    fn partitions_that_have_come_far_ahead_or_stay_behind_say_nothing_of_this_hour() {
        let agents: Vec<String> = (0..6).map(|n| format!("bot{n}")).collect();
        let mut other = Crowd::default();
        for (n, agent) in (0..).zip(&agents) {
            other.see(&mark(agent, 10 * HOUR + n, "d7"), NEED, n > 4, &[]);
        }
        let told = Told::read(&other.told(Some(Millis(11 * HOUR)))).unwrap();
        let stands = |at: i64| {
            let place = Crowd::default().see(
                &mark("own", at, "d7"),
                NEED,
                false,
                std::slice::from_ref(&told),
            );
            (place.standing, place.elsewhere, place.all.unwrap().kept.len())
        };
        assert_eq!(stands(10 * HOUR), (Member, true, 7));
        assert_eq!(stands(10 * HOUR - CROWD_MS - LATENESS_MS), (Member, true, 7));
        assert_eq!(stands(7 * HOUR), (Alone, false, 1));
        assert_eq!(stands(13 * HOUR), (Alone, false, 1));
        // What was a group and no longer is counts like any other agents.
        let told = Told::read(&other.told(None)).unwrap();
        let place = Crowd::default().see(&mark("own", 10 * HOUR, "d7"), NEED, false, &[told]);
        assert_eq!((place.standing, place.elsewhere), (Member, false));
    }

    #[test]
    fn who_waits_and_who_is_told() {
        for (standings, fresh, grave, hush) in [
            (&[Alone][..], false, false, Hush::No),
            (&[Alone], true, false, Hush::Wait),
            (&[Alone], true, true, Hush::No),
            (&[Company], false, false, Hush::Wait),
            (&[Company], false, true, Hush::No),
            (&[Member], false, false, Hush::Quiet),
            (&[Member], true, true, Hush::Quiet),
            (&[Member, Alone], false, false, Hush::Wait),
            (&[Member, Alone], false, true, Hush::No),
            (&[Member, Apart], true, false, Hush::No),
            (&[], true, false, Hush::No),
        ] {
            assert_eq!(Hush::of(standings, fresh, grave), hush, "{standings:?} {fresh} {grave}");
        }
    }

    proptest! {
        /// Signs of some agents within an hour, each arriving up to ten minutes late.
        #[test]
        fn any_order_within_the_lateness_makes_the_same_group(
            rows in prop::collection::vec((0_u32..40, 0..HOUR, 0..LATENESS_MS, 0_u8..10), 1..120),
        ) {
            let named: Vec<(String, i64, i64, u8)> = rows
                .into_iter()
                .map(|(agent, at, late, more)| (format!("bot{agent}"), at, at + late, 40 + more))
                .collect();
            let told = |order: &[(String, i64, i64, u8)]| {
                let marks: Vec<_> = order
                    .iter()
                    .map(|(agent, at, _, score)| Mark { score: *score, ..mark(agent, *at, "d7") })
                    .collect();
                let mut crowd = Crowd::default();
                let grouped = show(&mut crowd, &marks).contains(&Standing::Member);
                (grouped, crowd)
            };
            let mut in_order = named.clone();
            in_order.sort_by_key(|row| row.1);
            let mut shuffled = named;
            shuffled.sort_by_key(|row| row.2);
            let (grouped, crowd) = told(&in_order);
            let (again, shuffled) = told(&shuffled);
            prop_assert_eq!(grouped, again);
            prop_assert_eq!(crowd.group("amount"), shuffled.group("amount"));
            prop_assert_eq!(crowd.write(), shuffled.write());
        }

        /// Agents of three partitions that hear each other at once are told of as those of one.
        #[test]
        fn partitions_that_hear_each_other_tell_of_the_same_group_once(
            rows in prop::collection::vec((0_u32..30, 0_i64..60, 0_u8..10), 1..80),
        ) {
            let named: Vec<(String, usize, i64, u8)> = rows
                .into_iter()
                .map(|(agent, minute, more)| {
                    (format!("bot{agent}"), agent as usize % 3, minute * 60_000, 40 + more)
                })
                .collect();
            let mut one = Crowd::default();
            let mut of = [Crowd::default(), Crowd::default(), Crowd::default()];
            let (mut open, mut tells) = (false, None);
            let mut told: [Option<Told>; 3] = [None, None, None];
            for (agent, at_home, at, score) in &named {
                let mark = Mark { score: *score, ..mark(agent, *at, "d7") };
                let whole = one.see(&mark, NEED, open, &[]);
                open |= !whole.hushed.is_empty();
                let others: Vec<Told> = (0..3)
                    .filter(|n| n != at_home)
                    .filter_map(|n| told[n].clone())
                    .collect();
                let crowd = &mut of[*at_home];
                let place = crowd.see(&mark, NEED, tells == Some(*at_home), &others);
                if place.standing == Member && !place.elsewhere && tells.is_none() {
                    tells = Some(*at_home);
                }
                let until = (tells == Some(*at_home)).then_some(Millis(3 * HOUR));
                let bytes = crowd.told(until);
                prop_assert!(Told::read(&bytes[1..]).is_none());
                told[*at_home] = Told::read(&bytes);
                prop_assert!(told[*at_home].is_some());
                prop_assert_eq!(tells.is_some(), open, "{} at {}", agent, at);
                prop_assert_eq!(place.standing, whole.standing, "{} at {}", agent, at);
                let all = place.all.as_ref().unwrap_or(crowd);
                if tells == Some(*at_home) && whole.standing == Member {
                    prop_assert_eq!(all.group("amount").agents, one.group("amount").agents);
                }
            }
        }
    }
}
