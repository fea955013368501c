//! Judges simulated traffic in this process and compares with the labels.
//!
//! Every detector's hits fold into episodes of an agent with the same idle time, so that none
//! gains by shouting. An incident is found when a hit inside it names a signal that may claim
//! it; an episode that opens outside of any incident of its agent is a false alert. Of the
//! calibrated judgement those that show what many agents of their class show wait, or stand in
//! their group's one alert, as in the pipeline.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use super::incidents::{Incident, Kind};
use super::oracle::power;
use super::simple::{SIGNALS, Simple};
use super::world::{Agent, CLASSES, DAY, HOUR, Moment, Name, START, What, World};
use crate::alert::{COMMON, COMPANY_MS, Common, Crowd, Hush, Mark, Need, Place, Standing};
use crate::baseline::{
    Class, Feature, Group, Judgement, Level, Observation, Profile, Rule, Settings, Windows, name,
    observe,
};
use crate::event::Millis;

/// An episode ends after so long without a hit.
const IDLE: i64 = crate::inspect::BEHAVIOR_IDLE_MS;
/// What is told so long after an incident's end still counts for it: hours are judged whole
/// when they have closed.
const GRACE: i64 = 90 * 60_000;
/// Spreads agents' numbers evenly.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Detectors, in the order of the table.
const DETECTORS: [&str; 5] =
    ["calibrated", "fixed rules", "ratio to mean of all hours", "z-score > 4", "EWMA > 4"];

/// What one detector has told of one agent.
#[derive(Clone, Copy, Debug)]
struct Episode {
    last: i64,
    critical: bool,
    /// Whether it stands in its group's, untold.
    quiet: bool,
}

impl Default for Episode {
    fn default() -> Self {
        Self { last: i64::MIN / 2, critical: false, quiet: false }
    }
}

/// What agents of a class showed lately, and when their group's episode had its last sign.
struct Together {
    crowd: Crowd,
    last: i64,
}

/// Class, what is unusual, the thing that is new, whether it is critical.
type Shown = (u8, Group, String, bool);

/// How an incident was found by one detector.
#[derive(Clone, Copy, Debug)]
struct Found {
    after_ms: i64,
    calls: u32,
}

#[derive(Default)]
struct Score {
    warnings: u32,
    criticals: u32,
    by_class: [u32; CLASSES.len()],
    by_stress: BTreeMap<&'static str, u32>,
    by_signal: BTreeMap<String, u32>,
    found: BTreeMap<u32, Found>,
    critical_found: u32,
    episodes_in_incidents: u32,
}

struct Run<'w> {
    settings: &'w Settings,
    test_from: i64,
    quiet_days: i64,
    names: BTreeMap<Name, u32>,
    classes: Vec<Class>,
    /// Windows that closed in incidents, which promise nothing.
    attacked: Vec<Windows>,
    profiles: Vec<Option<Profile>>,
    simple: Vec<Simple>,
    episodes: Vec<[Episode; DETECTORS.len()]>,
    /// The incident of an agent.
    incident_of: Vec<Option<usize>>,
    incident_calls: Vec<u32>,
    scores: [Score; DETECTORS.len()],
    together: BTreeMap<Shown, Together>,
    groups: u32,
    grouped: u64,
    /// Agents that wait for others, by when they are told, and what they showed.
    waiting: VecDeque<(i64, u32)>,
    held: BTreeMap<u32, Vec<(Moment, Judgement)>>,
    now: i64,
    events: u64,
}

pub(super) fn run(world: &mut World, settings: &Settings, quiet_days: i64) -> String {
    let n = world.agents.len();
    let mut incident_of = vec![None; n];
    for (index, incident) in world.incidents.iter().enumerate() {
        incident_of[incident.agent as usize] = Some(index);
    }
    let mut run = Run {
        settings,
        test_from: START + quiet_days * DAY,
        quiet_days,
        names: BTreeMap::new(),
        classes: CLASSES.iter().map(|_| Class::default()).collect(),
        attacked: vec![Windows::default(); CLASSES.len()],
        profiles: vec![None; n],
        simple: vec![Simple::default(); n],
        episodes: vec![<[Episode; DETECTORS.len()]>::default(); n],
        incident_of,
        incident_calls: vec![0; world.incidents.len()],
        scores: Default::default(),
        together: BTreeMap::new(),
        groups: 0,
        grouped: 0,
        waiting: VecDeque::new(),
        held: BTreeMap::new(),
        now: START,
        events: 0,
    };
    let mut before = run.classes.clone();
    let mut day = 0;
    while let Some(moments) = world.day() {
        if day == quiet_days {
            before.clone_from(&run.classes);
        }
        for moment in &moments {
            run.see(&world.agents, &world.incidents, moment);
        }
        day += 1;
    }
    run.release(&world.agents, &world.incidents, i64::MAX);
    run.report(world, &before)
}

impl Run<'_> {
    fn see(&mut self, agents: &[Agent], incidents: &[Incident], moment: &Moment) {
        self.now = self.now.max(moment.arrival);
        self.release(agents, incidents, self.now);
        if moment.repeat {
            // The pipeline knows a record that came before and moves no baseline for it.
            return;
        }
        self.events += 1;
        let index = moment.agent as usize;
        let seen = self.observation(moment);
        let class = &mut self.classes[usize::from(agents[index].class)];
        let profile = self.profiles[index].get_or_insert_with(|| Profile::new(seen.ts));
        let own = self.incident_of[index].map(|at| (at, &incidents[at]));
        let in_incident = own.is_some_and(|(_, incident)| {
            let from = incident.start.max(self.test_from);
            moment.ts >= from && moment.ts < incident.end + 12 * HOUR
        });
        let before = in_incident.then(|| class.windows());
        let said = observe(self.settings, class, profile, &seen);
        if let Some(before) = before {
            self.attacked[usize::from(agents[index].class)].add(&before, &class.windows());
        }
        let calls = f64::from(u8::from(seen.call));
        let hits =
            self.simple[index].see(moment.ts, [calls, seen.bytes as f64, seen.tokens as f64]);
        if moment.incident > 0 && seen.call {
            self.incident_calls[moment.incident as usize - 1] += 1;
        }
        let agent = &agents[index];
        if said.level.is_some() {
            let index = moment.agent;
            let episode = self.episodes[index as usize][0];
            let is_told = self.now - episode.last <= IDLE && !episode.quiet;
            match self.stand(agent, moment, &said) {
                Hush::Wait if !is_told => {
                    let held = self.held.entry(index).or_default();
                    if held.is_empty() {
                        self.waiting.push_back((self.now + COMPANY_MS, index));
                    }
                    held.push((moment.clone(), said));
                }
                Hush::Quiet if !is_told => {
                    self.held.remove(&index);
                    let episode = &mut self.episodes[index as usize][0];
                    *episode = Episode { last: moment.ts, critical: false, quiet: true };
                }
                _ => {
                    self.held.remove(&index);
                    self.calibrated(agent, own, (moment, 0), &said);
                }
            }
        }
        if let Some(level) = said.literal() {
            let signals = rule_signals(&said);
            self.told(
                1,
                agent,
                own,
                (moment.ts, moment),
                moment.ts,
                &signals,
                level == Level::Critical,
            );
        }
        for (detector, bits) in [(2, hits.ratio), (3, hits.z), (4, hits.ewma)] {
            if bits != 0 {
                let signals: Vec<&str> = SIGNALS
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| bits & 1 << at != 0)
                    .map(|(_, signal)| *signal)
                    .collect();
                self.told(
                    detector,
                    agent,
                    own,
                    (moment.ts, moment),
                    moment.ts,
                    &signals,
                    bits.count_ones() > 2,
                );
            }
        }
    }

    fn observation(&mut self, moment: &Moment) -> Observation {
        let names = &mut self.names;
        let mut hash = |of: &Name| *names.entry(*of).or_insert_with(|| name(&of.to_string()));
        let mut seen = Observation {
            ts: Millis(moment.ts),
            now: Millis(self.now),
            session: moment.session.wrapping_mul(0x9e37_79b1) | 1,
            deployment: moment.deployment + 1,
            learn: true,
            ..Observation::default()
        };
        match moment.what {
            What::Call => {
                seen.call = true;
                seen.tool = hash(&moment.tool);
                seen.tokens = moment.tokens;
                seen.cost = moment.cost;
                seen.latency_ms = Some(moment.latency_ms);
            }
            What::Result => {
                seen.bytes = moment.bytes;
                seen.error = Some(moment.error);
            }
        }
        if let Some(data) = &moment.data {
            seen.data[0] = hash(data);
        }
        if let Some(host) = &moment.destination {
            seen.destinations[0] = hash(host);
        }
        seen
    }

    /// Tells those that have waited long enough.
    fn release(&mut self, agents: &[Agent], incidents: &[Incident], now: i64) {
        while let Some((due, index)) = self.waiting.pop_front_if(|waiting| waiting.0 <= now) {
            for (moment, said) in self.held.remove(&index).unwrap_or_default() {
                let own = self.incident_of[index as usize].map(|at| (at, &incidents[at]));
                let late = (due - moment.arrival).max(0);
                self.calibrated(&agents[index as usize], own, (&moment, late), &said);
            }
        }
    }

    /// What the calibrated judgement says at a moment, told so many milliseconds after it.
    fn calibrated(
        &mut self,
        agent: &Agent,
        own: Option<(usize, &Incident)>,
        (moment, late): (&Moment, i64),
        said: &Judgement,
    ) {
        // What a closed hour says is about that hour, however much later the agent's next
        // event closes it.
        let mut hours: Vec<u32> = said.anomalies.iter().flatten().map(|a| a.hour).collect();
        hours.sort_unstable();
        hours.dedup();
        for hour in hours {
            let of_hour = said.anomalies.iter().flatten().filter(|told| told.hour == hour);
            let signals: Vec<&str> = of_hour.map(|told| last(told.feature.signal())).collect();
            let about = moment.ts.min((i64::from(hour) + 1) * HOUR - 1);
            let critical = said.level == Some(Level::Critical);
            self.told(0, agent, own, (moment.ts + late, moment), about, &signals, critical);
        }
    }

    /// Where a sign stands among those of the agent's class.
    fn stand(&mut self, agent: &Agent, moment: &Moment, said: &Judgement) -> Hush {
        let grave = said.level == Some(Level::Critical);
        let name = |name: Option<Name>| name.map_or(String::new(), |name| name.to_string());
        let texts = [Some(moment.tool), moment.destination, moment.data].map(name);
        let mut shown: Vec<(Shown, u8)> = Vec::new();
        for told in said.anomalies.iter().flatten() {
            let item = match told.feature {
                Feature::NewTool => texts[0].clone(),
                Feature::NewDestination => texts[1].clone(),
                Feature::NewData => texts[2].clone(),
                _ => String::new(),
            };
            let key = (agent.class, told.feature.group(), item, grave);
            let score = told.score.round() as u8;
            match shown.iter_mut().find(|one| one.0 == key) {
                Some(one) => one.1 = one.1.max(score),
                None => shown.push((key, score)),
            }
        }
        if shown.len() > 1 {
            shown.retain(|(key, _)| key.1 != Group::Joint);
        }
        let deployment = moment.deployment.to_string();
        let mut common = [None; COMMON];
        common[Common::Deployment as usize] = Some(deployment.as_str());
        for (kind, text) in
            [Common::Tool, Common::Destination, Common::Data].into_iter().zip(&texts)
        {
            common[kind as usize] = Some(text.as_str());
        }
        let agents = self.classes[usize::from(agent.class)].agents();
        let need = Need::of(agents, self.settings.warnings_per_week);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::from(moment.agent).wrapping_mul(SPREAD).to_be_bytes());
        id[8..12].copy_from_slice(&moment.agent.to_be_bytes());
        let (n, now) = (shown.len(), self.now);
        let mut standings = Vec::new();
        for (key, score) in shown {
            let grave = key.3;
            let together = self
                .together
                .entry(key)
                .or_insert_with(|| Together { crowd: Crowd::default(), last: i64::MIN / 2 });
            let at = Millis(moment.ts);
            let mark = Mark { id, agent: &agent.id, at, score, whole: n == 1, common };
            let open = now - together.last <= IDLE;
            let Place { standing, hushed: formed, .. } = together.crowd.see(&mark, need, open, &[]);
            if standing == Standing::Member || !formed.is_empty() {
                together.last = now;
                self.grouped += 1;
            }
            if !formed.is_empty() && moment.ts >= self.test_from {
                // One alert for all of them, of which nobody is in an incident of his own.
                self.groups += 1;
                let score = &mut self.scores[0];
                score.warnings += 1;
                score.criticals += u32::from(grave);
                score.by_class[usize::from(agent.class)] += 1;
                *score.by_stress.entry("group").or_default() += 1;
                *score.by_signal.entry("group".to_owned()).or_default() += 1;
            }
            for id in formed {
                let Some(index) = id.get(8..12).and_then(|of| of.first_chunk()) else { continue };
                let index = u32::from_be_bytes(*index);
                if index != moment.agent && self.held.remove(&index).is_some() {
                    let episode = &mut self.episodes[index as usize][0];
                    *episode = Episode { last: moment.ts, critical: false, quiet: true };
                }
            }
            standings.push(standing);
        }
        Hush::of(&standings, said.fresh, grave)
    }

    /// Takes one hit of a detector, told at a time, of a moment, about another time.
    #[expect(clippy::too_many_arguments, reason = "a hit's pieces")]
    fn told(
        &mut self,
        detector: usize,
        agent: &Agent,
        own: Option<(usize, &Incident)>,
        (when, moment): (i64, &Moment),
        at: i64,
        signals: &[&str],
        critical: bool,
    ) {
        let episode = &mut self.episodes[moment.agent as usize][detector];
        let opens = at - episode.last > IDLE || episode.quiet;
        episode.quiet = false;
        let raises = critical && (opens || !episode.critical);
        episode.critical = critical || (!opens && episode.critical);
        episode.last = episode.last.max(at);
        let score = &mut self.scores[detector];
        if let Some((index, incident)) = own
            && at >= incident.start
            && at <= incident.end + GRACE
        {
            score.episodes_in_incidents += u32::from(opens);
            score.critical_found += u32::from(raises);
            // What is told much later of an hour in it is not false, but finds nothing.
            if when <= incident.end + GRACE
                && signals.iter().any(|signal| incident.kind.signals().contains(signal))
            {
                score.found.entry(incident.number).or_insert(Found {
                    after_ms: when - incident.start,
                    calls: self.incident_calls[index],
                });
            }
            return;
        }
        // What an incident leaves behind is nobody's false alert, nor is it a finding.
        let near = own.is_some_and(|(_, incident)| {
            at > incident.end && at < incident.end + 12 * HOUR && incident.kind != Kind::Poison
        });
        if at < self.test_from || near {
            return;
        }
        score.criticals += u32::from(raises);
        if opens {
            score.warnings += 1;
            score.by_class[usize::from(agent.class)] += 1;
            *score.by_stress.entry(stress(agent, at)).or_default() += 1;
            for signal in signals {
                *score.by_signal.entry((*signal).to_owned()).or_default() += 1;
            }
        }
    }

    fn report(&self, world: &World, before: &[Class]) -> String {
        let weeks: f64 = self
            .profiles
            .iter()
            .flatten()
            .map(|profile| {
                let from = profile.first_event().0.max(self.test_from);
                ((profile.last_event().0 - from).max(0)) as f64 / (7 * DAY) as f64
            })
            .sum();
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            writeln!(out, "{text}").expect("a string can be written to");
        };
        line(format_args!(
            "{} agents, {} events, {} incidents, {weeks:.0} agent-weeks under test\n",
            world.agents.len(),
            self.events,
            world.incidents.len()
        ));
        line(format_args!(
            "| detector | false warnings an agent-week (95 %) | false criticals | recall (95 %) | median time to detect | calls before |"
        ));
        line(format_args!("|---|---|---|---|---|---|"));
        for (detector, score) in DETECTORS.iter().zip(&self.scores) {
            let rate = f64::from(score.warnings) / weeks;
            let (low, high) = poisson(score.warnings);
            let (found, all) = (score.found.len() as f64, world.incidents.len() as f64);
            let (from, to) = wilson(found, all);
            let mut after: Vec<i64> = score.found.values().map(|found| found.after_ms).collect();
            let mut calls: Vec<i64> =
                score.found.values().map(|found| i64::from(found.calls)).collect();
            line(format_args!(
                "| {detector} | {rate:.3} ({:.3}-{:.3}) | {:.4} | {:.1} % ({:.1}-{:.1}) | {} | {} |",
                low / weeks,
                high / weeks,
                f64::from(score.criticals) / weeks,
                100.0 * found / all.max(1.0),
                100.0 * from,
                100.0 * to,
                span(median(&mut after)),
                median(&mut calls),
            ));
        }
        line(format_args!(
            "\n| incident | n | {} | median time, calibrated | at best | at best, a {}th of the budget |",
            DETECTORS.join(" | "),
            Kind::ALL.len()
        ));
        line(format_args!("|---|---|---|---|---|---|---|---|---|---|"));
        let mut best = [0.0; 2];
        for kind in Kind::ALL {
            let of: Vec<&Incident> =
                world.incidents.iter().filter(|incident| incident.kind == *kind).collect();
            let found = |score: &Score| {
                of.iter().filter(|incident| score.found.contains_key(&incident.number)).count()
            };
            let counts: Vec<String> =
                self.scores.iter().map(|score| found(score).to_string()).collect();
            let mut after: Vec<i64> = of
                .iter()
                .filter_map(|incident| self.scores[0].found.get(&incident.number))
                .map(|found| found.after_ms)
                .collect();
            let budget = self.settings.warnings_per_week;
            let at_best = [budget, budget / Kind::ALL.len() as f64].map(|budget| {
                of.iter().map(|one| power(world, one, budget, self.quiet_days)).sum::<f64>()
            });
            line(format_args!(
                "| {} | {} | {} | {} | {:.1} | {:.1} |",
                kind.name(),
                of.len(),
                counts.join(" | "),
                span(median(&mut after)),
                at_best[0],
                at_best[1]
            ));
            best.iter_mut().zip(at_best).for_each(|(sum, more)| *sum += more);
        }
        let part = 100.0 / world.incidents.len().max(1) as f64;
        line(format_args!(
            "\nAt best, by tests that know the true rates: {:.1} % if each kind could spend all of the budget, {:.1} % if they share it alike",
            best[0] * part,
            best[1] * part
        ));
        let score = &self.scores[0];
        line(format_args!(
            "\nFalse warnings of the calibrated judgement, {} in all",
            score.warnings
        ));
        for (class, count) in CLASSES.iter().zip(score.by_class) {
            line(format_args!("- class {}: {count}", class.name));
        }
        for (stress, count) in &score.by_stress {
            line(format_args!("- during {stress}: {count}"));
        }
        for (signal, count) in &score.by_signal {
            line(format_args!("- signal {signal}: {count}"));
        }
        line(format_args!(
            "- {} groups, {} signs in groups that are not told by themselves",
            self.groups, self.grouped
        ));
        line(format_args!(
            "- episodes inside incidents: {}, critical in {}",
            score.episodes_in_incidents, score.critical_found
        ));
        line(format_args!(
            "\nQuiet windows of the test weeks at or beyond a calibrated 10^-k: times as many as promised (how many)"
        ));
        line(format_args!("| class | windows | k = 2 | k = 3 | k = 4 |\n|---|---|---|---|---|"));
        for (at, class) in CLASSES.iter().enumerate() {
            let of = |k: f64| {
                let counted = Feature::ALL.into_iter().map(|feature| {
                    self.classes[at].windows_beyond(&before[at], &self.attacked[at], feature, k)
                });
                counted.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
            };
            let cells: Vec<String> = (2..=4)
                .map(|k| {
                    let (above, all) = of(f64::from(k));
                    let promised = all as f64 * 10_f64.powi(-k);
                    format!("{:.2} ({above})", above as f64 / promised.max(f64::MIN_POSITIVE))
                })
                .collect();
            line(format_args!("| {} | {} | {} |", class.name, of(0.0).1, cells.join(" | ")));
        }
        out
    }
}

fn last(signal: &str) -> &str {
    signal.rsplit('.').next().unwrap_or(signal)
}

fn rule_signals(said: &Judgement) -> Vec<&'static str> {
    Rule::ALL
        .into_iter()
        .filter(|&rule| said.rules[rule as usize].is_some())
        .map(|rule| last(rule.id()))
        .collect()
}

/// What the agent was going through, benign.
fn stress(agent: &Agent, at: i64) -> &'static str {
    let within =
        |from: Option<i64>, span: i64| from.is_some_and(|from| at >= from && at < from + span);
    if within(agent.rollout, 2 * DAY) {
        "rollout"
    } else if within(agent.backlog, 5 * HOUR) {
        "backlog"
    } else if within(Some(agent.born()), 7 * DAY) {
        "first week"
    } else {
        "daily business"
    }
}

fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn span(ms: i64) -> String {
    match ms / 1000 {
        s @ ..120 => format!("{s} s"),
        s @ ..7200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{:.1} h", s as f64 / 3600.0),
        s => format!("{:.1} d", s as f64 / 86_400.0),
    }
}

/// 95 % limits of a Poisson mean (Wilson and Hilferty's approximation of the chi-squared quantiles).
fn poisson(count: u32) -> (f64, f64) {
    let limit = |k: f64, z: f64| {
        if k <= 0.0 { 0.0 } else { k * (1.0 - 1.0 / (9.0 * k) + z / (3.0 * k.sqrt())).powi(3) }
    };
    let k = f64::from(count);
    (limit(k, -1.96), limit(k + 1.0, 1.96))
}

/// 95 % limits of a part (Wilson's score interval).
fn wilson(found: f64, all: f64) -> (f64, f64) {
    if all <= 0.0 {
        return (0.0, 0.0);
    }
    let (z, p) = (1.96_f64, found / all);
    let middle = (p + z * z / (2.0 * all)) / (1.0 + z * z / all);
    let half = z / (1.0 + z * z / all) * (p * (1.0 - p) / all + z * z / (4.0 * all * all)).sqrt();
    (middle - half, middle + half)
}
