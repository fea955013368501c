//! Whether an agent's sign is its own, or one of many: a class that changes all at once is one
//! alert and not one for each agent.
//!
//! The calibrated signs of behaviour of one type of agent, by what they are about and how grave
//! they are, make a [`Crowd`] each, an entry of the partition's state; what a group shares, when it
//! is one, and who stands apart from it is the crowd's to say. A first use belongs to those of the
//! same thing, so what one agent alone begins to use is never part of a group.
//!
//! Partitions tell each other of their crowds. The one in which the sign that makes a group
//! arrives tells of it, and the others see that it does; every entry that was looked at is named
//! in audit.

use crate::alert::{
    Alert, Common, Crowd, Figures, Folding, Group, Hush, Manner, Mark, Need, Sign, Standing, Told,
    episode_key, fold_in, hush,
};
use crate::baseline::{Anomaly, Feature, Group as About, Level};
use crate::digest::Parts;
use crate::event::{Event, Millis};
use crate::finding::{Confidence, Severity};
use crate::inspect::behave::hosts;
use crate::inspect::decide::origin;
use crate::inspect::shared::{Matter, Share, USED_MAX, hash_of, make_room};
use crate::inspect::{Incoming, Shared};
use crate::state::{Key, Staged, owner};

/// Signal and rule of a group's alert.
const SIGNAL: &str = "behavior.group";
/// Crowds of a partition; with more, the one that was quiet for longest is forgotten.
const CROWDS: usize = 4_096;

/// What one event's signs come from.
pub(super) struct Signs<'a> {
    /// What is to be told of it.
    pub(super) told: &'a [Anomaly],
    /// How grave it is.
    pub(super) level: Level,
    /// Whether its agent is within a day of a rollout.
    pub(super) fresh: bool,
    /// Agents of its class.
    pub(super) agents: u32,
    /// False warnings of one agent in a week that are put up with.
    pub(super) warnings_per_week: f64,
}

/// Puts an event's signs into their crowds and tells of groups. Gives how the agent's own sign,
/// `sign`, is told.
pub(super) fn look(
    staged: &mut Staged<'_>,
    folding: &Folding,
    incoming: &Incoming<'_, '_>,
    signs: &Signs<'_>,
    sign: &Sign<'_>,
    (alerts, shared): (&mut Vec<Alert>, &mut Shared),
) -> Hush {
    let event = incoming.event;
    let texts = Texts::of(event, &hosts(event));
    let own = episode_key(sign);
    let Some(id) = own.id.first_chunk().copied() else { return Hush::No };
    let abouts = abouts(signs.told, &texts);
    // Agents are spread evenly over the partitions.
    let agents = signs.agents.saturating_mul(incoming.partitions.max(1));
    let need = Need::of(agents, signs.warnings_per_week);
    let grave = signs.level == Level::Critical;
    let mut standings = Vec::with_capacity(abouts.len());
    for (about, item, score) in &abouts {
        let key = crowd_key(sign, *about, item, grave);
        let episode = Key { owner: owner::EPISODE, id: key.id.clone() };
        let before = staged.get(&key).and_then(Crowd::read);
        if before.is_none() {
            make_room(staged, Matter::Crowd, CROWDS, &mut shared.out);
        }
        let news = |staged: &Staged<'_>, crowd: &Crowd| {
            (incoming.partitions > 1).then(|| crowd.told(open_until(staged, &episode)))
        };
        let known = before.as_ref().and_then(|crowd| news(staged, crowd));
        let mut crowd = before.unwrap_or_default();
        let mark = Mark {
            id,
            agent: sign.agent,
            at: event.ts.min(staged.now()),
            score: *score,
            whole: abouts.len() == 1,
            common: texts.common(),
        };
        let others = others(incoming, &key, &mut shared.used);
        let place = crowd.see(&mark, need, staged.has(&episode), &others);
        for id in place.hushed.iter().filter(|other| **other != id) {
            hush(staged, Key { owner: owner::EPISODE, id: id.to_vec() }, folding);
        }
        let is_group = place.standing == Standing::Member || !place.hushed.is_empty();
        if is_group && !place.elsewhere {
            let all = place.all.as_ref().unwrap_or(&crowd);
            let group = all.group(about.name());
            tell(
                staged,
                folding,
                incoming,
                (episode.clone(), sign, grave),
                (&group, all.score()),
                alerts,
            );
        }
        let told = news(staged, &crowd).filter(|told| known.as_ref() != Some(told));
        if let (Some(told), Some(hash)) = (told, hash_of(&key)) {
            shared.out.push(Share::of(Matter::Crowd, hash, told));
        }
        // As long as the group's own episode, or else as long as a sign counts.
        staged.put(key, crowd.write(), Some(staged.now().plus(folding.idle_ms)));
        standings.push(place.standing);
    }
    Hush::of(&standings, signs.fresh, grave)
}

/// What other partitions tell of a crowd; what was looked at is noted.
fn others(incoming: &Incoming<'_, '_>, key: &Key, used: &mut Vec<(i32, i64)>) -> Vec<Told> {
    let Some(hash) = hash_of(key) else { return Vec::new() };
    let told = incoming.shared.of(hash, incoming.at.partition);
    told.take(USED_MAX.saturating_sub(used.len()))
        .filter_map(|told| {
            used.push((told.partition, told.offset));
            Told::read(&told.bytes)
        })
        .collect()
}

/// When the alert of a group closes that this partition tells of, should nothing more happen.
fn open_until(staged: &Staged<'_>, episode: &Key) -> Option<Millis> {
    staged.entry(episode).and_then(|entry| entry.deadline)
}

/// Folds a sign into its group's episode.
fn tell(
    staged: &mut Staged<'_>,
    folding: &Folding,
    incoming: &Incoming<'_, '_>,
    (key, sign, grave): (Key, &Sign<'_>, bool),
    (group, score): (&Group, u8),
    alerts: &mut Vec<Alert>,
) {
    let message = message(group, sign.agent_type);
    let told = Sign {
        agent: "",
        example: group.members.first().map_or(sign.agent, String::as_str),
        session: None,
        user: None,
        tool: None,
        signal: SIGNAL,
        rule: SIGNAL,
        severity: if grave { Severity::Critical } else { Severity::Medium },
        confidence: Confidence::Medium,
        message: &message,
        ..sign.clone()
    };
    let figures = Figures { score: Some(f64::from(score)), ..Figures::default() };
    let manner = Manner { figures, hush: Hush::No, group: Some(group) };
    fold_in(staged, folding, (key, &told), manner, origin(incoming, alerts), alerts);
}

fn message(group: &Group, agent_type: Option<&str>) -> String {
    let about = if group.estimated { "about " } else { "" };
    let whose = agent_type.map(|name| format!(" of type `{name}`")).unwrap_or_default();
    let kinds: Vec<&str> = group.shared.iter().map(|(kind, ..)| kind.as_str()).collect();
    let common = if kinds.is_empty() {
        "nothing that was looked at in common".to_owned()
    } else {
        format!("the same {}", kinds.join(", "))
    };
    let Group { agents, about: what, .. } = group;
    format!(
        "{about}{agents} agents{whose} are unusual in the same way ({what}) within an hour, with {common}"
    )
}

/// What the signs are about, each with the thing that was first used where it is one, and the
/// largest score. What comes of all of them together is about them.
fn abouts(told: &[Anomaly], texts: &Texts<'_>) -> Vec<(About, String, u8)> {
    let mut out: Vec<(About, String, u8)> = Vec::new();
    for anomaly in told {
        let about = anomaly.feature.group();
        let item = match anomaly.feature {
            Feature::NewTool => format!("tool {}", texts.tool.unwrap_or_default()),
            Feature::NewDestination => format!("destination {}", texts.destinations),
            Feature::NewData => format!("data {}", texts.data),
            _ => String::new(),
        };
        let score = anomaly.score.round().clamp(0.0, 100.0) as u8;
        match out.iter_mut().find(|one| one.0 == about && one.1 == item) {
            Some(one) => one.2 = one.2.max(score),
            None => out.push((about, item, score)),
        }
    }
    if out.len() > 1 {
        out.retain(|one| one.0 != About::Joint);
    }
    out
}

/// What an event says that others may say too.
struct Texts<'a> {
    event: &'a Event<'a>,
    tool: Option<&'a str>,
    destinations: String,
    data: String,
}

impl<'a> Texts<'a> {
    fn of(event: &'a Event<'a>, destinations: &[String]) -> Self {
        let mut data: Vec<&str> = event.data_classes.iter().map(AsRef::as_ref).collect();
        data.sort_unstable();
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        Self { event, tool, destinations: destinations.join(","), data: data.join(",") }
    }

    fn common(&self) -> [Option<&str>; crate::alert::COMMON] {
        let deployment = &self.event.deployment;
        Common::ALL.map(|kind| match kind {
            Common::Deployment => deployment.id.as_deref(),
            Common::Prompt => deployment.prompt_hash.as_deref(),
            Common::Tools => deployment.tools_hash.as_deref(),
            Common::Model => self.event.model.as_deref(),
            Common::Tool => self.tool,
            Common::Destination => Some(self.destinations.as_str()),
            Common::Data => Some(self.data.as_str()),
        })
    }
}

fn crowd_key(sign: &Sign<'_>, about: About, item: &str, grave: bool) -> Key {
    let class = sign.agent_type.unwrap_or_default();
    let mut hash = Parts::of([sign.tenant, class, sign.action.name(), about.name(), item]);
    hash.bare([u8::from(grave)]);
    Key { owner: owner::CROWD, id: hash.id().into() }
}
