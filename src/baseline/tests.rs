//! Promises of the whole: order of arrival, boundaries of the rules, time.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Monday, 5 January 2026, 00:00 UTC.
const START: i64 = 1_767_571_200_000;

fn call(ts: i64) -> Observation {
    Observation {
        ts: Millis(ts),
        now: Millis(START + 1000 * DAY),
        call: true,
        tool: name("search"),
        learn: true,
        ..Observation::default()
    }
}

fn tokens(ts: i64, tokens: u64) -> Observation {
    Observation { call: false, tool: 0, tokens, ..call(ts) }
}

fn bytes(ts: i64, bytes: u64) -> Observation {
    Observation { call: false, tool: 0, bytes, ..call(ts) }
}

/// One agent and its class.
struct Agent {
    settings: Settings,
    class: Class,
    profile: Profile,
}

impl Agent {
    fn new() -> Self {
        Self {
            settings: Settings::default(),
            class: Class::default(),
            profile: Profile::new(Millis(START)),
        }
    }

    fn see(&mut self, seen: Observation) -> Judgement {
        observe(&self.settings, &mut self.class, &mut self.profile, &seen)
    }

    /// Ten calls in every hour of so many days, four seconds apart.
    fn steady(&mut self, days: i64) {
        for hour in 0..days * 24 {
            for n in 0..10 {
                self.see(call(START + hour * HOUR + n * 4000));
            }
        }
    }

    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut profile, mut class) = (Vec::new(), Vec::new());
        self.profile.write(&mut profile);
        self.class.write(&mut class);
        (profile, class)
    }
}

fn rule(said: &Judgement, rule: Rule) -> Option<(f64, f64)> {
    said.rules[rule as usize].map(|hit| (hit.baseline, hit.actual))
}

/// At exactly three times the mean nothing hits; one call more does.
#[test]
fn frequency_hits_above_three_times_the_mean_and_not_at_it() {
    let mut agent = Agent::new();
    agent.steady(40);
    let start = START + 40 * DAY + HOUR / 2;
    // Half past: the hour before has its ten calls in the first minute, out of the window.
    for n in 0..30 {
        let said = agent.see(call(start + n * 1000));
        assert_eq!(rule(&said, Rule::Frequency), None, "call {n}");
    }
    let said = agent.see(call(start + 30_000));
    assert_eq!(rule(&said, Rule::Frequency), Some((10.0, 31.0)));
    assert_eq!(said.literal(), Some(Level::Warning));
    // An hour later the window has moved on.
    let said = agent.see(call(start + 31_000 + HOUR));
    assert_eq!(rule(&said, Rule::Frequency), None);
}

#[test]
fn all_hours_count_where_the_settings_say_so() {
    let mut agent = Agent::new();
    agent.settings.buckets = Buckets::All;
    // Ten calls in one hour of each day: over all hours a mean of less than a half.
    for day in 0..20 {
        for n in 0..10 {
            agent.see(call(START + day * DAY + n * 1000));
        }
    }
    let start = START + 20 * DAY;
    assert_eq!(rule(&agent.see(call(start)), Rule::Frequency), None);
    let said = agent.see(call(start + 1000));
    assert!(rule(&said, Rule::Frequency).is_some());
}

#[test]
fn a_tool_is_new_after_thirty_days_without_it_and_not_at_thirty() {
    for (days, ms, new) in [(30, 0, false), (30, 999, false), (30, 1000, true), (29, 0, false)] {
        let mut agent = Agent::new();
        let last = START + 2 * DAY;
        agent.see(call(START));
        agent.see(Observation { tool: name("export"), ..call(last) });
        for day in 3..20 {
            agent.see(call(START + day * DAY));
        }
        let said = agent.see(Observation { tool: name("export"), ..call(last + days * DAY + ms) });
        assert_eq!(rule(&said, Rule::NewTool).is_some(), new, "{days} days {ms} ms");
    }
}

#[test]
fn of_the_first_day_no_tool_is_new() {
    let mut agent = Agent::new();
    agent.see(call(START));
    let said = agent.see(Observation { tool: name("other"), ..call(START + DAY - 1) });
    assert_eq!(rule(&said, Rule::NewTool), None);
    let said = agent.see(Observation { tool: name("third"), ..call(START + DAY) });
    assert!(rule(&said, Rule::NewTool).is_some());
}

#[test]
fn volume_hits_above_five_times_the_mean_and_not_at_it() {
    for (last, hits) in [(1000, false), (1001, true)] {
        let mut agent = Agent::new();
        for hour in 0..100 {
            agent.see(bytes(START + hour * HOUR, 1000));
        }
        let start = START + 101 * HOUR + HOUR / 2;
        for n in 0..4 {
            assert_eq!(rule(&agent.see(bytes(start + n, 1000)), Rule::Volume), None);
        }
        let said = agent.see(bytes(start + 4, last));
        let expected = hits.then_some((1000.0, 4000.0 + last as f64));
        assert_eq!(rule(&said, Rule::Volume), expected);
    }
}

#[test]
fn tokens_hit_above_ten_times_the_mean_and_not_at_it() {
    for (last, hits) in [(1000, false), (1001, true)] {
        let mut agent = Agent::new();
        for five in 0..200 {
            agent.see(tokens(START + five * 300_000, 100));
        }
        // A quarter of an hour later, so that no window reaches back.
        let said = agent.see(tokens(START + 203 * 300_000, last));
        let expected = hits.then_some((100.0, last as f64));
        assert_eq!(rule(&said, Rule::Tokens), expected);
    }
}

#[test]
fn two_at_once_are_a_warning_and_three_are_critical() {
    let mut agent = Agent::new();
    for hour in 0..240 {
        let at = START + hour * HOUR;
        for n in 0..10 {
            agent.see(call(at + n * 4000));
        }
        agent.see(bytes(at + 50_000, 1000));
        agent.see(tokens(at + 50_000, 100));
    }
    let start = START + 10 * DAY + HOUR / 2;
    let said = agent.see(tokens(start, 100_000));
    assert_eq!(said.literal(), Some(Level::Warning));
    let said = agent.see(bytes(start + 1000, 100_000));
    assert_eq!((said.literal(), rule(&said, Rule::Combined)), (Some(Level::Warning), None));
    let said = agent.see(Observation { tool: name("new"), ..call(start + 2000) });
    assert_eq!(rule(&said, Rule::Combined), Some((2.0, 3.0)));
    assert_eq!(said.literal(), Some(Level::Critical));
    // Sixty minutes after the first two have gone by, a third is one again.
    let said = agent.see(Observation { tool: name("newer"), ..call(start + HOUR + 120_000) });
    assert_eq!(said.literal(), Some(Level::Warning));
}

/// A series without any variance, and one spike: deviations of zero must not hide it.
#[test]
fn a_spike_in_a_constant_series_is_told_by_both_judgements() {
    let mut agent = Agent::new();
    agent.steady(28);
    let start = START + 28 * DAY + HOUR / 2;
    let mut first = None;
    for n in 0..300 {
        let said = agent.see(call(start + n * 1000));
        if first.is_none() && said.level.is_some() {
            first = Some((n, said));
        }
    }
    let (n, said) = first.expect("a spike of three hundred calls is told");
    assert!(n > 30, "after {n} calls");
    let told = said.first().unwrap();
    assert!(told.actual > 3.0 * told.typical && told.one_in_hours > 1000.0, "{told:?}");
    assert!((0.0..=100.0).contains(&told.score));
}

#[test]
fn a_silent_agent_that_wakes_is_judged_by_what_it_did_before() {
    for silent in [3, 30, 400] {
        let mut agent = Agent::new();
        agent.steady(28);
        let start = START + (28 + silent) * DAY;
        for hour in 0..24 {
            for n in 0..10 {
                let said = agent.see(call(start + hour * HOUR + n * 4000));
                assert_eq!(said.level, None, "after {silent} days, hour {hour}");
            }
        }
        let known = agent.profile.tools.before(name("search"), (start / 1000) as u32);
        assert_eq!(known, Before::Known);
    }
}

#[test]
fn a_stamp_from_the_future_counts_as_now_and_is_counted() {
    let mut agent = Agent::new();
    agent.see(call(START));
    let now = Millis(START + HOUR);
    agent.see(Observation { now, ..call(START + 900 * DAY) });
    assert_eq!(agent.profile.newest, now.0);
    assert_eq!(agent.profile.clamped, 1);
    agent.see(Observation { now, ..call(now.0 + AHEAD_MS) });
    assert_eq!(agent.profile.clamped, 1);
}

#[test]
fn late_events_are_judged_in_their_window_and_too_late_ones_are_not() {
    let mut agent = Agent::new();
    agent.steady(10);
    let now = START + 10 * DAY;
    for n in 0..35 {
        agent.see(call(now + n * 1000));
    }
    agent.see(call(now + HOUR + 40 * MINUTE));
    // The hour has closed; more calls in it are seen, and not learned.
    let learned = agent.profile.calls_mean;
    let said = agent.see(call(now + 50 * MINUTE));
    assert_eq!(said.order, Order::Late);
    assert_eq!(rule(&said, Rule::Frequency), Some((agent.profile.calls_mean.value(), 36.0)));
    assert_eq!(agent.profile.calls_mean, learned);
    let said = agent.see(call(now - 2 * DAY));
    assert_eq!((said.order, agent.profile.late, agent.profile.dropped), (Order::Dropped, 1, 1));
}

/// Ten agents of one class; the first fails before the others do.
#[test]
fn an_outage_that_the_class_shares_takes_back_what_was_told_of_its_first_agent() {
    let mut agents: Vec<Profile> = (0..10).map(|_| Profile::new(Millis(START))).collect();
    let (settings, mut class) = (Settings::default(), Class::default());
    let mut see = |who: usize, ts: i64, error: bool| {
        let seen = Observation { error: Some(error), now: Millis(ts), call: false, ..call(ts) };
        observe(&settings, &mut class, &mut agents[who], &seen)
    };
    for hour in 0..21 * 24 {
        for n in 0..20 {
            for who in 0..10 {
                let failed = (hour * 20 + n) % 50 == who as i64 * 5;
                see(who, START + hour * HOUR + n * 150_000, failed);
            }
        }
    }
    let start = START + 21 * DAY;
    let bit = 1 << Feature::Errors as u16;
    let mut told = false;
    for n in 0..20 {
        let said = see(0, start + n * 10_000, true);
        told |= said.anomalies[Feature::Errors as usize].is_some();
    }
    assert!(told, "alone, twenty failures in a row are told");
    for n in 0..100 {
        for who in 1..10 {
            see(who, start + 600_000 + n * 20_000, true);
        }
    }
    let closing = see(0, start + HOUR + 11 * MINUTE, false);
    let mut hours = closing.closed.into_iter().flatten();
    let closed = hours.find(|closed| closed.hour == hour_of(start)).expect("the hour is closed");
    assert_eq!((closed.told & bit, closed.settled & bit), (bit, 0));
    assert_eq!(closed.withdrawn().collect::<Vec<_>>(), [Feature::Errors]);
    assert_eq!(closed.added().count(), 0);
}

#[test]
fn a_late_event_that_takes_a_closed_hour_beyond_the_budget_corrects_it_once() {
    let mut agent = Agent::new();
    agent.steady(28);
    let start = START + 28 * DAY;
    agent.see(call(start + 50 * MINUTE));
    agent.see(call(start + HOUR + 15 * MINUTE));
    let mut corrections = Vec::new();
    for n in 0..300 {
        let said = agent.see(call(start + 50 * MINUTE + n * 100));
        assert_eq!(said.order, Order::Late);
        corrections.extend(said.closed.into_iter().flatten());
    }
    let [closed] = corrections[..] else { panic!("{corrections:?}") };
    assert!(closed.corrects() && closed.added().any(|feature| feature == Feature::Frequency));
    assert_eq!((closed.hour, closed.withdrawn().count()), (hour_of(start), 0));
}

#[test]
fn nothing_is_learned_from_what_was_blocked() {
    let (mut quiet, mut noisy) = (Agent::new(), Agent::new());
    quiet.steady(5);
    noisy.steady(5);
    let start = START + 5 * DAY;
    for n in 0..500 {
        noisy.see(Observation { learn: false, tool: name("drop"), ..call(start + n * 1000) });
    }
    quiet.see(call(start + 3 * HOUR));
    noisy.see(call(start + 3 * HOUR));
    assert_eq!(quiet.profile.calls_mean, noisy.profile.calls_mean);
    assert!((noisy.profile.rate - quiet.profile.rate).abs() < 0.3);
    assert_eq!(noisy.profile.tools.before(name("drop"), (start / 1000) as u32), Before::New);
}

/// What an attacker can make an hour count for is bounded.
#[test]
fn an_hour_beyond_the_budget_is_not_learned() {
    let mut agent = Agent::new();
    agent.steady(28);
    let before = agent.profile.rate;
    let start = START + 28 * DAY;
    for n in 0..3000 {
        agent.see(call(start + n * 1000));
    }
    agent.see(call(start + 3 * HOUR));
    assert!((agent.profile.rate - before).abs() < 0.2 * before, "{}", agent.profile.rate);
    assert!(agent.profile.frozen > 0 || agent.profile.next_hour > hour_of(start) + 1);
}

#[test]
fn years_end_and_summer_time_pass_without_an_alert() {
    let mut agent = Agent::new();
    agent.settings.zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    // From October over the end of summer time and of the year; office hours, local.
    let first = 1_759_708_800_000; // 2025-10-06, a Monday
    agent.profile = Profile::new(Millis(first));
    for day in 0..120 {
        if day % 7 >= 5 {
            continue;
        }
        let offset = if day < 20 { 2 } else { 1 };
        for hour in 9..17 {
            for n in 0..20 {
                let at = first + day * DAY + (hour - offset) * HOUR + n * 90_000;
                let said = agent.see(call(at));
                assert_eq!(said.level, None, "day {day} hour {hour}");
            }
        }
    }
}

#[test]
fn a_million_names_leave_a_profile_and_a_class_of_the_same_size() {
    let mut agent = Agent::new();
    let before = agent.bytes();
    for n in 0..1_000_000_u32 {
        let seen = Observation {
            tool: n.wrapping_mul(2_654_435_761) >> 2 | 16,
            session: n + 1,
            destinations: [n + 20, n + 21, 0, 0],
            ..call(START + i64::from(n) * 100)
        };
        agent.see(seen);
    }
    let after = agent.bytes();
    assert_eq!((before.0.len(), before.1.len()), (after.0.len(), after.1.len()));
    assert!(agent.profile.crowded > 0);
}

/// The first byte that differs.
fn differs(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b).or((a.len() != b.len()).then_some(a.len()))
}

/// State after two quiet days, the given events, and hours enough for all to be settled.
fn state_after(events: &[Observation]) -> (Vec<u8>, Vec<u8>) {
    let mut agent = Agent::new();
    agent.steady(2);
    for seen in events {
        assert_eq!(agent.see(*seen).order, Order::InTime);
    }
    agent.see(call(START + 3 * DAY));
    agent.see(call(START + 3 * DAY + 3 * HOUR));
    agent.bytes()
}

/// Four things first used just before an hour's turn, one of them again just after it: which
/// of its two uses came first must not move the first use into the later hour.
#[test]
fn a_first_use_stays_in_its_hour_when_a_later_use_comes_first() {
    let turn = START + 2 * DAY + 5 * HOUR;
    let first = |n: i64, tool: &str| Observation { tool: name(tool), ..call(turn - n * 1000) };
    let again = Observation { tool: name("d"), ..call(turn + 1000) };
    let before = [first(9, "a"), first(8, "b"), first(7, "c"), first(6, "d")];
    let in_order: Vec<Observation> = before.iter().copied().chain([again]).collect();
    let swapped: Vec<Observation> = [again].into_iter().chain(before).collect();
    let (profile, class) = state_after(&in_order);
    let (swapped_profile, swapped_class) = state_after(&swapped);
    assert_eq!(differs(&profile, &swapped_profile), None);
    assert_eq!(differs(&class, &swapped_class), None);
}

/// Two deployments that take turns: what the agent is when an hour ends is what its latest
/// event says, not what came last.
#[test]
fn deployments_that_take_turns_leave_the_same_epoch_in_any_order() {
    let at = START + 2 * DAY + 5 * HOUR;
    let of = |n: i64, deployment: u32| Observation { deployment, ..call(at + n * 1000) };
    let in_order = [of(1, 1), of(2, 2), of(3, 1)];
    let shuffled = [of(2, 2), of(3, 1), of(1, 1)];
    assert!(state_after(&in_order) == state_after(&shuffled));
}

fn events() -> impl Strategy<Value = Vec<(Observation, i64)>> {
    // Gaps in seconds, a few of them long; delays within the lateness.
    let gap = prop_oneof![20 => 0_i64..400, 3 => 400_i64..8000, 1 => 8000_i64..200_000];
    let one = (gap, 0..LATENESS_MS, 0_u32..12, 0_u32..4, 0_u64..3000, 0_u64..100_000, 0_u32..40);
    prop::collection::vec(one, 50..400).prop_map(|rows| {
        let mut ts = START;
        let mut out = Vec::new();
        for (gap, delay, tool, session, tokens, bytes, odd) in rows {
            ts += gap * 1000 + 7;
            let seen = Observation {
                tool: name(&format!("tool{tool}")),
                session,
                tokens,
                bytes,
                cost: tokens * 3,
                latency_ms: Some(100 + tokens),
                error: (odd < 20).then_some(odd % 5 == 0),
                data: [if (20..24).contains(&odd) { name("pii") + odd } else { 0 }, 0, 0, 0],
                destinations: [
                    if (24..32).contains(&odd) { name("host") + odd } else { 0 },
                    0,
                    0,
                    0,
                ],
                deployment: odd % 4 / 2,
                learn: odd < 36,
                ..call(ts)
            };
            out.push((seen, ts + delay));
        }
        out
    })
}

/// Runs events in the given order and then one far in the future; returns state and what
/// each closed hour came to.
fn run(events: &[Observation]) -> ((Vec<u8>, Vec<u8>), std::collections::BTreeMap<u32, u16>) {
    let mut agent = Agent::new();
    agent.profile = Profile::new(events[0].ts);
    let mut settled = std::collections::BTreeMap::new();
    let end = events.iter().map(|seen| seen.ts.0).max().unwrap_or_default() + 3 * HOUR;
    for seen in events.iter().copied().chain([call(end), call(end + 3 * HOUR)]) {
        let said = agent.see(seen);
        assert_eq!(said.order, Order::InTime);
        for closed in said.closed.into_iter().flatten() {
            settled.insert(closed.hour, closed.settled);
        }
    }
    (agent.bytes(), settled)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_within_the_lateness_leaves_the_same_state_and_the_same_hours(events in events()) {
        let in_order: Vec<Observation> = events.iter().map(|(seen, _)| *seen).collect();
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|(_, arrival)| *arrival);
        let shuffled: Vec<Observation> = shuffled.into_iter().map(|(seen, _)| seen).collect();
        let (state, hours) = run(&in_order);
        let (shuffled_state, shuffled_hours) = run(&shuffled);
        prop_assert_eq!(differs(&state.0, &shuffled_state.0), None, "profile");
        prop_assert_eq!(differs(&state.1, &shuffled_state.1), None, "class");
        prop_assert_eq!(hours, shuffled_hours);
    }

    #[test]
    fn a_restored_agent_goes_on_as_if_nothing_had_happened(events in events(), cut in 0_usize..400) {
        let (mut whole, mut cut_off) = (Agent::new(), Agent::new());
        for (n, (seen, _)) in events.iter().enumerate() {
            if n == cut {
                let (profile, class) = cut_off.bytes();
                cut_off.profile = Profile::read(&profile).unwrap();
                cut_off.class = Class::read(&class).unwrap();
            }
            prop_assert_eq!(whole.see(*seen), cut_off.see(*seen));
        }
        prop_assert!(whole.bytes() == cut_off.bytes());
    }

    #[test]
    fn no_input_panics(rows in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u64>(), any::<u32>()), 1..60)) {
        let mut agent = Agent::new();
        for (ts, now, big, word) in rows {
            let seen = Observation {
                ts: Millis(ts), now: Millis(now), call: word % 2 == 0, tool: word, session: word, tokens: big,
                bytes: big, cost: big, latency_ms: Some(big), error: Some(word % 3 == 0), data: [word; NAMES],
                destinations: [word; NAMES], deployment: word, learn: word % 5 != 0, accepted: word % 7 == 0,
            };
            agent.see(seen);
            if word % 11 == 0 {
                agent.profile.accept();
            }
        }
        for fact in agent.profile.facts() {
            prop_assert!(!matches!(fact.known, Known::Number(n) if !n.is_finite()), "{fact:?}");
        }
    }
}

/// Ten calls an hour for weeks, and then eighty, which is its new work.
#[test]
fn what_an_operator_accepts_is_usual_when_the_acceptance_ends() {
    let told = |accept: bool| {
        let mut agent = Agent::new();
        agent.steady(35);
        let begins = START + 35 * DAY;
        let mut told = Vec::new();
        for hour in 0..72 {
            if accept && hour == 2 {
                agent.profile.accept();
            }
            for n in 0..80 {
                let accepted = accept && (2..26).contains(&hour);
                let ts = begins + hour * HOUR + n * 40_000;
                let said = agent.see(Observation { accepted, ..call(ts) });
                if said.anomalies[Feature::Frequency as usize].is_some() && !accepted {
                    told.push(hour);
                }
            }
        }
        told
    };
    let without = told(false);
    assert!(
        without.iter().any(|hour| *hour >= 26),
        "alone, it is told again and again: {without:?}"
    );
    let with = told(true);
    assert!(with.iter().any(|hour| *hour < 2), "{with:?}");
    assert!(with.iter().all(|hour| *hour < 2), "{with:?}");
}

#[test]
fn a_profile_says_what_it_knows_under_fixed_names() {
    let mut agent = Agent::new();
    agent.steady(10);
    agent.see(Observation { data: [name("hr"), 0, 0, 0], ..call(START + 10 * DAY) });
    let facts = agent.profile.facts();
    let find = |about: &str| facts.iter().find(|fact| fact.about == about).map(|fact| &fact.known);
    assert_eq!(find("first_event"), Some(&Known::Time(Millis(START))));
    assert_eq!(find("calls.active_hours.mean"), Some(&Known::Number(10.0)));
    assert_eq!(find("learning_hours_left"), Some(&Known::Count(0)));
    let things: Vec<_> =
        facts.iter().filter_map(|fact| Some((fact.about.as_str(), fact.thing?))).collect();
    assert_eq!(things, [("tools", name("search")), ("data", name("hr"))]);
    let mut again = Agent::new();
    again.steady(10);
    let names = |facts: &[Fact]| facts.iter().map(|fact| fact.about.clone()).collect::<Vec<_>>();
    let rest: Vec<_> = names(&facts).into_iter().filter(|about| about != "data").collect();
    assert_eq!(rest, names(&again.profile.facts()), "the same names in the same order");
}
