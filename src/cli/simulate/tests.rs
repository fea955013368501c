//! The simulator's own promises: the same seed is the same traffic, in order, and readable.

use super::world::World;
use super::{evaluate, write};
use crate::baseline::Settings;
use crate::wire::event::{FieldMap, ReadLimits, read};

fn lines(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, 40, 4, 2);
    let mut out = Vec::new();
    while let Some(moments) = world.day() {
        for moment in &moments {
            let mut line = String::new();
            write::event(&mut line, &world.agents[moment.agent as usize], moment);
            out.push(line);
        }
    }
    out
}

#[test]
fn a_seed_names_its_traffic() {
    let first = lines(3);
    assert!(first.len() > 1000);
    assert_eq!(first, lines(3));
    assert_ne!(first, lines(4));
}

#[test]
fn every_line_is_an_event() {
    for line in lines(5) {
        let event = read(line.as_bytes(), &FieldMap::default(), &ReadLimits::default())
            .unwrap_or_else(|error| panic!("{line}: {}", error.message));
        assert!(event.tool.is_some() && event.agent_type.is_some());
    }
}

#[test]
fn incidents_are_labelled_where_their_events_are() {
    let mut world = World::new(11, 200, 10, 5);
    let incidents = world.incidents.clone();
    assert!(incidents.len() > 30);
    let mut seen = vec![0; incidents.len()];
    while let Some(moments) = world.day() {
        for moment in moments.iter().filter(|moment| moment.incident > 0) {
            let incident = &incidents[moment.incident as usize - 1];
            assert_eq!(moment.agent, incident.agent);
            assert!(moment.ts >= incident.start && moment.ts <= incident.end + 120_000);
            seen[moment.incident as usize - 1] += 1;
        }
    }
    for (incident, count) in incidents.iter().zip(seen) {
        let quiet = incident.kind == super::incidents::Kind::Poison;
        assert_eq!(count == 0, quiet, "{incident:?}");
        let label = write::label(&world.agents[incident.agent as usize], incident);
        assert_eq!(label["kind"], incident.kind.name());
    }
}

#[test]
fn an_evaluation_counts_what_it_says() {
    let mut world = World::new(7, 100, 16, 10);
    let report = evaluate::run(&mut world, &Settings::default(), 10);
    for part in ["| calibrated |", "| EWMA > 4 |", "slow_poisoning", "agent-weeks"] {
        assert!(report.contains(part), "{report}");
    }
}
