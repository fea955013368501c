//! Episodes: one entry of state for each trouble that is going on.
//!
//! What a close says depends only on the entry and its deadline, so an idle partition's
//! timer and the next record's arrival write the same.

use crate::alert::crowd::{COMPANY_MS, Group, Hush};
use crate::alert::{Alert, Cause, Correction, MAX_EVENT_IDS, Origin, State};
use crate::digest::Parts;
use crate::event::{Kind, Millis};
use crate::finding::{Action, Confidence, Family, Seen, Severity};
use crate::state::codec::{Pack, Unpack};
use crate::state::{Key, Staged, owner};

/// How signs fold, and how many episodes there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folding {
    /// Open episodes of a partition; with more, the one that would close first closes early.
    pub episodes: usize,
    /// An update comes this long after the opening at the earliest; the wait then doubles.
    pub first_update_ms: i64,
    /// The wait doubles up to this.
    pub last_update_ms: i64,
    /// An episode closes when nothing has happened for so long.
    pub idle_ms: i64,
    /// Episodes that one agent may open in an hour; what more there is folds into one
    /// that counts it. Critical ones fold only beyond twice as many. 0 is no limit.
    pub per_agent: u64,
}

/// The time over which the episodes of one agent are counted.
const CEILING_MS: i64 = 3_600_000;
/// The signal of the episode that stands for those beyond the ceiling.
const CEILING: &str = "system.alert_ceiling";

impl Default for Folding {
    fn default() -> Self {
        Self {
            episodes: 10_000,
            first_update_ms: 60_000,
            last_update_ms: 3_600_000,
            idle_ms: 900_000,
            per_agent: 100,
        }
    }
}

/// One sign of trouble, as it would be told if it were the first.
#[derive(Clone, Debug)]
pub struct Sign<'a> {
    /// Tenant, or empty.
    pub tenant: &'a str,
    /// Agent; empty folds the whole partition's signs into one.
    pub agent: &'a str,
    /// The agent to name where `agent` is empty.
    pub example: &'a str,
    /// Class of agent.
    pub agent_type: Option<&'a str>,
    /// The conversation.
    pub session: Option<&'a str>,
    /// Whom the agent serves.
    pub user: Option<&'a str>,
    /// Kind of the event.
    pub kind: Kind,
    /// Its tool.
    pub tool: Option<&'a str>,
    /// Its id.
    pub event_id: &'a str,
    /// What is done.
    pub action: Action,
    /// Whether it is done.
    pub enforced: bool,
    /// Kind of trouble.
    pub family: Family,
    /// What was seen, dotted.
    pub signal: &'a str,
    /// The rule that saw it.
    pub rule: &'a str,
    /// What it may cost.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// One sentence.
    pub message: &'a str,
    /// Keyed fingerprint of a secret, hexadecimal.
    pub fingerprint: Option<String>,
    /// Who had the value before that turned up here.
    pub seen: Option<&'a Seen>,
    /// Numbers that others know the rule by.
    pub tags: &'a [String],
}

/// What an anomaly measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// What was to be expected.
    pub typical: Option<f64>,
    /// What was seen instead.
    pub actual: Option<f64>,
    /// How unlikely that is, from 0 to 100.
    pub score: Option<f64>,
}

/// How a sign is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// What was measured.
    pub figures: Figures,
    /// Whether it is told by itself.
    pub hush: Hush,
    /// What its episode says of many agents.
    pub group: Option<&'a Group>,
}

/// An episode as state keeps it.
#[derive(Clone, Debug, PartialEq)]
struct Episode {
    /// As last told, with the ids of events since.
    alert: Alert,
    /// When it was last told; of one that was never told, when it will be, or [`NEVER`].
    told: Millis,
    /// How often it was told: the wait grows with it. 0 is never.
    times: u32,
}

/// An episode that stands in its group's.
const NEVER: Millis = Millis(i64::MIN);

/// Counts a sign. Returns what is to be told because of it: nothing, or one alert, after the
/// closes of episodes that had to make room. `origin` names the alert, should one be told.
pub fn fold(
    staged: &mut Staged<'_>,
    folding: &Folding,
    sign: &Sign<'_>,
    origin: Origin,
    out: &mut Vec<Alert>,
) {
    fold_figures(staged, folding, sign, Figures::default(), origin, out);
}

/// [`fold`] for a sign that was measured. The alert carries the figures of the gravest sign.
pub fn fold_figures(
    staged: &mut Staged<'_>,
    folding: &Folding,
    sign: &Sign<'_>,
    figures: Figures,
    origin: Origin,
    out: &mut Vec<Alert>,
) {
    let manner = Manner { figures, ..Manner::default() };
    fold_in(staged, folding, (episode_key(sign), sign), manner, origin, out);
}

/// [`fold`] into the episode of a key, in a manner.
pub fn fold_in(
    staged: &mut Staged<'_>,
    folding: &Folding,
    (key, sign): (Key, &Sign<'_>),
    manner: Manner<'_>,
    origin: Origin,
    out: &mut Vec<Alert>,
) {
    let Manner { figures, hush, group } = manner;
    let now = staged.now();
    let idle = now.plus(folding.idle_ms);
    let Some(mut episode) = staged.get(&key).and_then(Episode::read) else {
        if let Some(opened) = beyond_ceiling(staged, folding, sign) {
            let summary = Sign {
                session: None,
                action: Action::Alert,
                family: Family::System,
                signal: CEILING,
                rule: CEILING,
                message: "more alerts than one agent may open in an hour; the others are counted here",
                fingerprint: None,
                seen: None,
                tags: &[],
                ..sign.clone()
            };
            let [typical, actual] = [folding.per_agent, opened].map(|n| Some(n as f64));
            let figures = Figures { typical, actual, score: None };
            fold_figures(staged, folding, &summary, figures, origin, out);
            return;
        }
        while staged.count(owner::EPISODE) >= folding.episodes.max(1) {
            let Some(closed) = close_oldest(staged) else { break };
            out.extend(closed);
        }
        let Figures { typical, actual, score } = figures;
        let group = group.cloned();
        let alert = Alert { typical, actual, score, group, ..opened(sign, origin, now) };
        let (told, times, deadline) = match hush {
            Hush::No => (now, 1, idle),
            Hush::Wait => (now.plus(COMPANY_MS), 0, now.plus(COMPANY_MS)),
            Hush::Quiet => (NEVER, 0, idle),
        };
        let mut episode = Episode { alert: alert.clone(), told, times };
        if times > 0 {
            episode.alert.event_ids.clear();
            out.push(alert);
        }
        staged.put(key, episode.write(), Some(deadline));
        return;
    };
    let alert = &mut episode.alert;
    alert.last = now;
    alert.count += 1;
    if let Some(group) = group {
        // Its size may have changed, and its sentence with it.
        alert.group = Some(group.clone());
        sign.message.clone_into(&mut alert.message);
    }
    // Trouble that has become graver is told at once.
    let graver = sign.severity > alert.severity;
    alert.severity = alert.severity.max(sign.severity);
    if graver || figures.score > alert.score {
        sign.message.clone_into(&mut alert.message);
        (alert.typical, alert.actual, alert.score) =
            (figures.typical, figures.actual, figures.score);
    }
    if alert.rule == sign.rule && alert.score.is_none() && figures.actual > alert.actual {
        // A count that goes on growing.
        (alert.typical, alert.actual) = (figures.typical, figures.actual);
    }
    alert.confidence = alert.confidence.max(sign.confidence);
    alert.enforced |= sign.enforced;
    if alert.event_ids.len() < MAX_EVENT_IDS {
        alert.event_ids.push(sign.event_id.to_owned());
    }
    let wait = folding
        .first_update_ms
        .saturating_mul(1 << episode.times.saturating_sub(1).min(32))
        .min(folding.last_update_ms);
    let mut deadline = idle;
    let due = match (episode.times, hush) {
        (0, Hush::No) => true,
        (0, Hush::Wait) => {
            if episode.told == NEVER {
                episode.told = now.plus(COMPANY_MS);
            }
            deadline = episode.told;
            false
        }
        (0, Hush::Quiet) => {
            episode.told = NEVER;
            false
        }
        (_, Hush::Quiet) => graver,
        (_, Hush::No | Hush::Wait) => graver || now >= episode.told.plus(wait),
    };
    if due {
        let state = if episode.times == 0 { State::Open } else { State::Update };
        let update = Alert { state, cause: Cause::Record(origin), time: now, ..alert.clone() };
        alert.event_ids.clear();
        episode.told = now;
        episode.times = episode.times.saturating_add(1);
        out.push(update);
    }
    staged.put(key, episode.write(), Some(deadline));
}

/// Keeps an episode that waits to be told from being told: its group is.
pub fn hush(staged: &mut Staged<'_>, key: Key, folding: &Folding) {
    let waits = |episode: &Episode| episode.times == 0 && episode.told != NEVER;
    if let Some(mut episode) = staged.get(&key).and_then(Episode::read).filter(waits) {
        episode.told = NEVER;
        let deadline = episode.alert.last.plus(folding.idle_ms);
        staged.put(key, episode.write(), Some(deadline));
    }
}

/// Counts an episode that an agent would open; gives how many it has opened or would have
/// within the hour, where that is more than it may.
fn beyond_ceiling(staged: &mut Staged<'_>, folding: &Folding, sign: &Sign<'_>) -> Option<u64> {
    if folding.per_agent == 0 || sign.agent.is_empty() || sign.signal == CEILING {
        return None;
    }
    let key = Key { owner: owner::ALERTED, ..key_with(sign.tenant, sign.agent, None, NOTHING, "") };
    let read = |bytes: &[u8]| {
        let mut from = Unpack::new(COUNT_VERSION, bytes)?;
        Some((from.millis()?, from.number()?))
    };
    let now = staged.now();
    let (since, before) = match staged.get(&key).and_then(read) {
        Some((since, count)) if now < since.plus(CEILING_MS) => (since, count),
        Some(_) => (now, 0),
        None => {
            staged.make_room(owner::ALERTED, folding.episodes);
            (now, 0)
        }
    };
    let count = before.saturating_add(1);
    let value = Pack::new(COUNT_VERSION).millis(since).number(count).done();
    staged.put(key, value, Some(since.plus(CEILING_MS)));
    let critical = sign.severity == Severity::Critical;
    let most = folding.per_agent.saturating_mul(if critical { 2 } else { 1 });
    (count > most).then_some(count)
}

/// What an episode's deadline brings: its end, or, where it waited for others that did not come,
/// its beginning. `None` where there is nothing to tell; `idle_ms` is how long an episode that
/// waited stays open.
pub fn due(staged: &mut Staged<'_>, key: Key, deadline: Millis, idle_ms: i64) -> Option<Alert> {
    let waits = |episode: &Episode| episode.times == 0 && episode.told == deadline;
    let Some(mut episode) = staged.get(&key).and_then(Episode::read).filter(waits) else {
        return close(staged, key, deadline);
    };
    let cause = Cause::Record(episode.alert.episode);
    let told = Alert { state: State::Open, cause, time: deadline, ..episode.alert.clone() };
    episode.alert.event_ids.clear();
    episode.times = 1;
    let ends = deadline.max(episode.alert.last.plus(idle_ms));
    staged.put(key, episode.write(), Some(ends));
    Some(told)
}

/// Ends an episode at its deadline. `None` where it was never told, or the entry is not there or
/// not readable.
pub fn close(staged: &mut Staged<'_>, key: Key, deadline: Millis) -> Option<Alert> {
    let episode = staged.get(&key).and_then(Episode::read);
    staged.remove(key);
    episode.filter(|episode| episode.times > 0).map(|episode| Alert {
        state: State::Closed,
        cause: Cause::Timer,
        time: deadline,
        ..episode.alert
    })
}

/// Ends an agent's open episodes of one family that belong to no session, before their time.
pub fn close_family(
    staged: &mut Staged<'_>,
    tenant: &str,
    agent: &str,
    family: Family,
) -> Vec<Alert> {
    let now = staged.now();
    let keys =
        Action::ALL.iter().map(|action| key_with(tenant, agent, None, (*action, family), ""));
    let open: Vec<Key> = keys.filter(|key| staged.get(key).is_some()).collect();
    open.into_iter().filter_map(|key| close(staged, key, now)).collect()
}

/// Signal and rule of an alert that corrects an episode.
pub const CORRECTED: &str = "anomaly.corrected";

/// Tells of each of an agent's open episodes of one family, which belong to no session, that
/// its evidence is known better now. Nothing is counted, and nothing that was told changes:
/// the episode closes with the figures that it had. `origin` names the alert that is sent next.
pub fn correct(
    staged: &Staged<'_>,
    (tenant, agent, family): (&str, &str, Family),
    (correction, message, event_id): (&Correction, &str, &str),
    origin: impl Fn(&[Alert]) -> Origin,
    out: &mut Vec<Alert>,
) {
    for action in Action::ALL {
        let key = key_with(tenant, agent, None, (*action, family), "");
        let told = |episode: &Episode| episode.times > 0;
        let Some(episode) = staged.get(&key).and_then(Episode::read).filter(told) else {
            continue;
        };
        let update = Alert {
            state: State::Update,
            cause: Cause::Record(origin(out)),
            time: staged.now(),
            signal: CORRECTED.to_owned(),
            rule: CORRECTED.to_owned(),
            message: message.to_owned(),
            event_ids: vec![event_id.to_owned()],
            corrected: Some(correction.clone()),
            ..episode.alert
        };
        out.push(update);
    }
}

/// Ends the episode that would end first, to make room; `None` where there is none. It is
/// told as ended when it was last seen: its deadline has not come. One that waits is told first.
pub fn close_oldest(staged: &mut Staged<'_>) -> Option<Vec<Alert>> {
    let (deadline, key) = staged.first(owner::EPISODE)?;
    let mut out = Vec::new();
    out.extend(due(staged, key.clone(), deadline, 0));
    out.extend(close(staged, key, deadline));
    for alert in &mut out {
        alert.time = alert.last;
    }
    Some(out)
}

fn opened(sign: &Sign<'_>, origin: Origin, now: Millis) -> Alert {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Alert {
        state: State::Open,
        episode: origin,
        cause: Cause::Record(origin),
        time: now,
        first: now,
        last: now,
        count: 1,
        tenant: sign.tenant.to_owned(),
        agent: if sign.agent.is_empty() { sign.example } else { sign.agent }.to_owned(),
        agent_type: own(sign.agent_type),
        session: own(sign.session),
        user: own(sign.user),
        kind: sign.kind,
        tool: own(sign.tool),
        action: sign.action,
        enforced: sign.enforced,
        family: sign.family,
        signal: sign.signal.to_owned(),
        rule: sign.rule.to_owned(),
        severity: sign.severity,
        confidence: sign.confidence,
        message: sign.message.to_owned(),
        event_ids: vec![sign.event_id.to_owned()],
        fingerprint: sign.fingerprint.clone(),
        seen: sign.seen.cloned(),
        typical: None,
        actual: None,
        score: None,
        tags: sign.tags.iter().take(TAGS_MAX).cloned().collect(),
        corrected: None,
        group: None,
    }
}

/// The key of a sign's episode.
#[must_use]
pub fn episode_key(sign: &Sign<'_>) -> Key {
    // Trouble of Weir itself must not drown in what else goes on in its partition.
    let own =
        sign.signal == CEILING || (sign.agent.is_empty() && sign.signal.starts_with("system."));
    let signal = if own { sign.signal } else { "" };
    key_with(sign.tenant, sign.agent, sign.session, (sign.action, sign.family), signal)
}

fn key_with(
    tenant: &str,
    agent: &str,
    session: Option<&str>,
    (action, family): (Action, Family),
    signal: &str,
) -> Key {
    let of_session = session.unwrap_or_default();
    let mut hash = Parts::of([tenant, agent, of_session, action.name(), family.name()]);
    hash.bare([u8::from(session.is_some())]);
    hash.bare(signal);
    Key { owner: owner::EPISODE, id: hash.id().into() }
}

/// Version 1 had no tags, version 2 not who had a value before, version 3 no groups, and all that
/// it knew had been told.
const VERSION: u8 = 4;
const COUNT_VERSION: u8 = 1;
/// For keys that are about an agent and nothing that was done or found.
const NOTHING: (Action, Family) = (Action::Allow, Family::System);
/// An alert carries no more tags.
const TAGS_MAX: usize = 16;

impl Episode {
    /// What changes with every sign stands in front in fixed places, so that deltas are small;
    /// the list of event ids stands at the end.
    fn write(&self) -> Vec<u8> {
        let alert = &self.alert;
        let opt = |n: Option<f64>| n.map(|n| n.to_string());
        let (typical, actual, score) = (opt(alert.typical), opt(alert.actual), opt(alert.score));
        let out = Pack::new(VERSION)
            .millis(alert.last)
            .millis(self.told)
            .bytes(&alert.count.to_be_bytes())
            .bytes(&self.times.to_be_bytes())
            .bytes(&[alert.severity as u8, alert.confidence as u8, u8::from(alert.enforced)])
            .millis(alert.first)
            .bytes(&alert.episode.offset.to_be_bytes())
            .bytes(&alert.episode.ordinal.to_be_bytes())
            .text(&alert.tenant)
            .text(&alert.agent)
            .maybe(alert.agent_type.as_deref())
            .maybe(alert.session.as_deref())
            .maybe(alert.user.as_deref())
            .text(alert.kind.name())
            .maybe(alert.tool.as_deref())
            .text(alert.action.name())
            .text(alert.family.name())
            .text(&alert.signal)
            .text(&alert.rule)
            .text(&alert.message)
            .maybe(alert.fingerprint.as_deref())
            .maybe(typical.as_deref())
            .maybe(actual.as_deref())
            .maybe(score.as_deref())
            .texts(&alert.event_ids)
            .texts(&alert.tags);
        let out = match &alert.seen {
            None => out.number(0),
            Some(seen) => put_seen(out, seen),
        };
        match &alert.group {
            None => out.number(0).done(),
            Some(group) => put_group(out, group).done(),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let version = *bytes.first()?;
        let known = (1..=VERSION).contains(&version);
        let mut from = Unpack::new(version, bytes).filter(|_| known)?;
        let (last, told) = (from.millis()?, from.millis()?);
        let count = u64::from_be_bytes(from.fixed()?);
        let times = u32::from_be_bytes(from.fixed()?).max(u32::from(version < 4));
        let [severity, confidence, enforced] = from.fixed()?;
        let first = from.millis()?;
        let episode = Origin {
            offset: i64::from_be_bytes(from.fixed()?),
            ordinal: u32::from_be_bytes(from.fixed()?),
        };
        let number = |text: Option<String>| match text {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        };
        let mut alert = Alert {
            state: State::Open,
            episode,
            cause: Cause::Timer,
            time: told,
            first,
            last,
            count,
            severity: *Severity::ALL.get(usize::from(severity))?,
            confidence: *Confidence::ALL.get(usize::from(confidence))?,
            enforced: enforced == 1,
            tenant: from.text()?,
            agent: from.text()?,
            agent_type: from.maybe()?,
            session: from.maybe()?,
            user: from.maybe()?,
            kind: Kind::from_name(&from.text()?)?,
            tool: from.maybe()?,
            action: Action::from_name(&from.text()?)?,
            family: Family::from_name(&from.text()?)?,
            signal: from.text()?,
            rule: from.text()?,
            message: from.text()?,
            fingerprint: from.maybe()?,
            typical: number(from.maybe()?)?,
            actual: number(from.maybe()?)?,
            score: number(from.maybe()?)?,
            event_ids: from.texts()?,
            tags: if version > 1 { from.texts()? } else { Vec::new() },
            seen: None,
            corrected: None,
            group: None,
        };
        if version > 2 && from.number()? == 1 {
            alert.seen = Some(Seen {
                at: from.millis()?,
                tenant: from.text()?,
                agent: from.text()?,
                session: from.maybe()?,
                user: from.maybe()?,
                entry: None,
            });
            let told = from.number()? == 1;
            let place = (i32::from_be_bytes(from.fixed()?), i64::from_be_bytes(from.fixed()?));
            alert.seen.iter_mut().for_each(|seen| seen.entry = told.then_some(place));
        }
        if version > 3 && from.number()? == 1 {
            alert.group = Some(take_group(&mut from)?);
        }
        Some(Self { alert, told, times })
    }
}

fn put_seen(out: Pack, seen: &Seen) -> Pack {
    let place = seen.entry.map_or(0, |_| 1);
    let (partition, offset) = seen.entry.unwrap_or_default();
    out.number(1)
        .millis(seen.at)
        .text(&seen.tenant)
        .text(&seen.agent)
        .maybe(seen.session.as_deref())
        .maybe(seen.user.as_deref())
        .number(place)
        .bytes(&partition.to_be_bytes())
        .bytes(&offset.to_be_bytes())
}

fn put_group(out: Pack, group: &Group) -> Pack {
    let out = out.number(1).text(&group.about).number(group.agents);
    let out = out.number(u64::from(group.estimated)).texts(&group.members);
    let counted = out.number(group.shared.len() as u64);
    group.shared.iter().fold(counted, |out, (what, value, n)| out.text(what).text(value).number(*n))
}

fn take_group(from: &mut Unpack<'_>) -> Option<Group> {
    let (about, agents) = (from.text()?, from.number()?);
    let (estimated, members) = (from.number()? == 1, from.texts()?);
    let shared = (0..from.number()?)
        .map(|_| Some((from.text()?, from.text()?, from.number()?)))
        .collect::<Option<_>>()?;
    Some(Group { about, agents, estimated, shared, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Partition;

    fn sign<'a>(session: &'a str, event_id: &'a str) -> Sign<'a> {
        Sign {
            tenant: "",
            agent: "bot",
            example: "bot",
            agent_type: None,
            session: Some(session),
            user: Some("u"),
            kind: Kind::Prompt,
            tool: None,
            event_id,
            action: Action::Block,
            enforced: true,
            family: Family::Injection,
            signal: "injection.override",
            rule: "injection.override.ignore",
            severity: Severity::High,
            confidence: Confidence::Medium,
            message: "asks to drop earlier instructions",
            fingerprint: Some("ab".into()),
            seen: None,
            tags: &[],
        }
    }

    /// Folds one sign a second for `seconds`, committing after each; returns what was told.
    fn run(seconds: i64, folding: &Folding) -> (Partition, Vec<Alert>) {
        let mut partition = Partition::default();
        let mut told = Vec::new();
        for second in 0..seconds {
            let mut staged = Staged::new(&partition);
            staged.advance(Millis(second * 1000));
            let id = format!("e{second}");
            let origin = Origin { offset: second, ordinal: 0 };
            fold(&mut staged, folding, &sign("s", &id), origin, &mut told);
            let changes = staged.into_changes();
            partition.apply(changes);
        }
        (partition, told)
    }

    #[test]
    fn an_episode_opens_is_told_ever_more_rarely_and_closes_with_the_total() {
        let folding = Folding::default();
        let (partition, told) = run(1000, &folding);
        let times: Vec<i64> = told.iter().map(|alert| alert.time.0 / 1000).collect();
        assert_eq!(times, [0, 60, 180, 420, 900]);
        assert_eq!(told[0].state, State::Open);
        assert_eq!(told[0].event_ids, ["e0"]);
        assert!(told[1..].iter().all(|alert| alert.state == State::Update));
        assert_eq!(told[1].count, 61);
        assert_eq!(told[1].event_ids.len(), MAX_EVENT_IDS);
        assert_eq!(told[1].event_ids[0], "e1");
        assert!(told.iter().all(|alert| alert.episode == Origin { offset: 0, ordinal: 0 }));

        let mut staged = Staged::new(&partition);
        assert_eq!(staged.due(Millis(999_000 + 899_999)), None);
        let (deadline, key) = staged.due(Millis(999_000 + 900_000)).unwrap();
        let closed = close(&mut staged, key, deadline).unwrap();
        assert_eq!((closed.state, closed.count), (State::Closed, 1000));
        assert_eq!((closed.time, closed.last), (deadline, Millis(999_000)));
        assert_eq!(closed.fingerprint.as_deref(), Some("ab"));
        assert_eq!(staged.count(owner::EPISODE), 0);
    }

    #[test]
    fn what_was_written_before_there_were_tags_is_read() {
        let (partition, _) = run(1, &Folding::default());
        let staged = Staged::new(&partition);
        let written = staged.get(&episode_key(&sign("s", "e"))).unwrap().to_vec();
        let with = Episode::read(&written).unwrap();
        assert!(with.alert.tags.is_empty());
        // Version 3 ends where a group would stand, one byte for none, version 2 where it is said
        // who had a value before, and version 1 where the tags begin, an empty list of one byte.
        let mut before = written.clone();
        for version in [3, 2, 1] {
            before.pop();
            before[0] = version;
            assert_eq!(Episode::read(&before).as_ref(), Some(&with), "version {version}");
        }
        let tags = ["OWASP-LLM01".to_owned()];
        let mut staged = Staged::new(&partition);
        let tagged = Sign { tags: &tags, ..sign("other", "e") };
        let origin = Origin { offset: 1, ordinal: 0 };
        fold(&mut staged, &Folding::default(), &tagged, origin, &mut Vec::new());
        let read = staged.get(&episode_key(&tagged)).and_then(Episode::read).unwrap();
        assert_eq!(read.alert.tags, tags);
    }

    /// A sign at a time, in a manner; gives what is told.
    fn show(staged: &mut Staged<'_>, at: i64, hush: Hush, sign: &Sign<'_>) -> Vec<(State, u64)> {
        staged.advance(Millis(at));
        let mut told = Vec::new();
        let manner = Manner { hush, ..Manner::default() };
        let origin = Origin { offset: at, ordinal: 0 };
        let key = episode_key(sign);
        fold_in(staged, &Folding::default(), (key, sign), manner, origin, &mut told);
        told.iter().map(|alert| (alert.state, alert.count)).collect()
    }

    #[test]
    fn an_episode_that_waits_is_told_when_nobody_came_and_not_when_its_group_is() {
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        let one = sign("s", "e");
        let idle = Folding::default().idle_ms;
        assert_eq!(show(&mut staged, 0, Hush::Wait, &one), []);
        assert_eq!(show(&mut staged, 1000, Hush::Wait, &one), []);
        assert_eq!(staged.due(Millis(COMPANY_MS - 1)), None);
        let (deadline, key) = staged.due(Millis(COMPANY_MS)).unwrap();
        let told = due(&mut staged, key, deadline, idle).unwrap();
        assert_eq!((told.state, told.count, told.time), (State::Open, 2, Millis(COMPANY_MS)));
        assert_eq!(told.cause, Cause::Record(told.episode));
        assert_eq!(told.event_ids, ["e", "e"]);
        let (deadline, key) = staged.due(Millis(i64::MAX)).unwrap();
        assert_eq!(deadline, Millis(1000 + idle));
        assert_eq!(due(&mut staged, key, deadline, idle).unwrap().state, State::Closed);
        assert_eq!(staged.count(owner::EPISODE), 0);

        // Its group is told instead, until something else is to be said of it.
        let other = sign("t", "e");
        assert_eq!(show(&mut staged, 2000, Hush::Wait, &other), []);
        hush(&mut staged, episode_key(&other), &Folding::default());
        assert_eq!(show(&mut staged, 3000, Hush::Quiet, &other), []);
        assert_eq!(staged.due(Millis(3000 + idle - 1)), None);
        assert_eq!(show(&mut staged, 4000, Hush::No, &other), [(State::Open, 3)]);
        // And one that is quiet to its end is never told.
        let third = sign("u", "e");
        assert_eq!(show(&mut staged, 5000, Hush::Quiet, &third), []);
        hush(&mut staged, episode_key(&third), &Folding::default());
        let key = episode_key(&third);
        assert_eq!(due(&mut staged, key, Millis(5000 + idle), idle), None);
        assert_eq!(staged.count(owner::EPISODE), 1);
        // One that was told goes on without updates in its group, but for what is graver.
        assert_eq!(show(&mut staged, 400_000, Hush::Quiet, &other), []);
        let graver = Sign { severity: Severity::Critical, ..other };
        assert_eq!(show(&mut staged, 400_001, Hush::Quiet, &graver), [(State::Update, 5)]);
    }

    #[test]
    fn room_is_made_by_telling_what_waited() {
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        assert_eq!(show(&mut staged, 7, Hush::Wait, &sign("s", "e")), []);
        let told = close_oldest(&mut staged).unwrap();
        let states: Vec<_> = told.iter().map(|alert| (alert.state, alert.time)).collect();
        assert_eq!(states, [(State::Open, Millis(7)), (State::Closed, Millis(7))]);
        assert_eq!(staged.count(owner::EPISODE), 0);
    }

    #[test]
    fn what_is_said_of_a_group_is_read_back() {
        let group = Group {
            about: "amount".into(),
            agents: 40,
            estimated: true,
            shared: vec![("model".into(), "m".into(), 39)],
            members: vec!["a".into(), "b".into()],
        };
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        let mut told = Vec::new();
        let one = sign("s", "e");
        let manner = Manner { group: Some(&group), ..Manner::default() };
        let origin = Origin { offset: 0, ordinal: 0 };
        let key = episode_key(&one);
        fold_in(&mut staged, &Folding::default(), (key.clone(), &one), manner, origin, &mut told);
        let closed = close(&mut staged, key, Millis(9)).unwrap();
        assert_eq!((&told[0].group, &closed.group), (&Some(group.clone()), &Some(group)));
    }

    #[test]
    fn beyond_the_ceiling_of_an_agent_one_alert_counts_the_others() {
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        let folding = Folding { per_agent: 3, ..Folding::default() };
        let mut told = Vec::new();
        let mut show = |staged: &mut Staged<'_>, at: i64, sign: &Sign<'_>| {
            staged.advance(Millis(at * 1000));
            told.clear();
            fold(staged, &folding, sign, Origin { offset: at, ordinal: 0 }, &mut told);
            let shown = told.iter().map(|alert| (alert.signal.clone(), alert.state, alert.count));
            shown.collect::<Vec<_>>()
        };
        let opens = |signal: &str| vec![(signal.to_owned(), State::Open, 1)];
        let nothing: Vec<(String, State, u64)> = Vec::new();
        let own = "injection.override";
        for (at, session) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(show(&mut staged, at as i64, &sign(session, "e")), opens(own), "{session}");
        }
        assert_eq!(show(&mut staged, 3, &sign("d", "e")), opens(CEILING), "the fourth");
        assert_eq!(show(&mut staged, 4, &sign("e", "e")), nothing, "it is counted");
        assert_eq!(show(&mut staged, 4, &sign("a", "e")), nothing, "an open one goes on by itself");
        let grave = Sign { severity: Severity::Critical, ..sign("g", "e") };
        assert_eq!(
            show(&mut staged, 5, &grave),
            opens(own),
            "what is critical has an alert of its own"
        );
        let other = Sign { agent: "other", example: "other", ..sign("d", "e") };
        assert_eq!(
            show(&mut staged, 6, &other),
            opens(own),
            "another agent has a ceiling of its own"
        );
        let summary = vec![(CEILING.to_owned(), State::Update, 3)];
        assert_eq!(show(&mut staged, 70, &sign("h", "e")), summary, "an update with the count");
        assert_eq!(
            show(&mut staged, 3600, &sign("i", "e")),
            opens(own),
            "after an hour it begins anew"
        );
        let many = Folding { per_agent: 0, ..folding };
        let before = staged.count(owner::ALERTED);
        let origin = Origin { offset: 9, ordinal: 0 };
        fold(&mut staged, &many, &sign("j", "e"), origin, &mut Vec::new());
        assert_eq!(staged.count(owner::ALERTED), before, "no limit, no count");
    }

    #[test]
    fn too_many_episodes_close_the_oldest() {
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        let folding = Folding { episodes: 2, ..Folding::default() };
        let mut told = Vec::new();
        for (at, session) in ["a", "b", "c"].into_iter().enumerate() {
            staged.advance(Millis(at as i64));
            let origin = Origin { offset: at as i64, ordinal: 0 };
            fold(&mut staged, &folding, &sign(session, "e"), origin, &mut told);
        }
        let shown: Vec<_> =
            told.iter().map(|alert| (alert.state, alert.session.as_deref().unwrap())).collect();
        assert_eq!(
            shown,
            [(State::Open, "a"), (State::Open, "b"), (State::Closed, "a"), (State::Open, "c")]
        );
        assert_eq!(staged.count(owner::EPISODE), 2);
    }

    #[test]
    fn another_action_or_family_is_another_episode() {
        let partition = Partition::default();
        let mut staged = Staged::new(&partition);
        let mut told = Vec::new();
        let first = sign("s", "e");
        let signs = [
            first.clone(),
            first.clone(),
            Sign { action: Action::Alert, ..first.clone() },
            Sign { family: Family::Pii, ..first.clone() },
            Sign { session: None, ..first.clone() },
            Sign { tenant: "t", ..first },
        ];
        for (ordinal, sign) in signs.iter().enumerate() {
            let origin = Origin { offset: 0, ordinal: ordinal as u32 };
            fold(&mut staged, &Folding::default(), sign, origin, &mut told);
        }
        assert_eq!(told.len(), 5);
    }
}
