use std::time::Duration;

use proptest::prelude::*;
use usher_model::server::{SampledMeeting, ServerSample};

use super::*;
use crate::core::{
    drift,
    health::{self, FailureSuspicion},
    plan::PlanWrite,
    policy::Policy,
    testkit::{FleetBench, health as counters, key, listed, record, sid},
};

const SECOND: Duration = Duration::from_secs(1);

fn crowd(users: u32, watermark: u64, term: u64) -> ServerSample {
    let meeting = SampledMeeting { participants: users, ..listed("m", "m-1") };
    ServerSample { watermark, taken_at_ms: 0, meetings: vec![meeting], bbb_version: String::new(), term }
}

/// A fleet whose servers were polled by the leader of term 5.
fn polled_by_five(ids: &[&str]) -> FleetBench {
    let mut bench = FleetBench::with_servers(Policy::default(), ids);
    for id in ids {
        let sample = crowd(20, bench.store.revision, 5);
        bench.write(PlanWrite::Sample(sid(id), sample));
    }
    bench
}

fn age(fleet: &Fleet, id: &str, now: Instant) -> Option<Duration> {
    fleet.server(&sid(id)).and_then(|server| server.sample_age(now))
}

/// Whether a confirmation now starts the age of `a` again.
fn is_confirmed(bench: &mut FleetBench, term: Option<u64>) -> bool {
    bench.pass(SECOND);
    bench.fleet.confirm_samples(term, bench.now.instant);
    age(&bench.fleet, "a", bench.now.instant) == Some(Duration::ZERO)
}

/// The table, row by row.
#[test]
fn f6_a_sample_is_fresh_while_its_leader_leads_and_no_failure_is_stored() {
    let mut bench = polled_by_five(&["a"]);
    assert!(is_confirmed(&mut bench, Some(5)));
    assert!(!is_confirmed(&mut bench, None), "no replica leads");
    assert!(!is_confirmed(&mut bench, Some(9)), "another one leads");
    assert_eq!(age(&bench.fleet, "a", bench.now.instant), Some(SECOND * 2), "it grows from the last time");
    assert!(is_confirmed(&mut bench, Some(5)), "an observation failed in between");

    bench.write(PlanWrite::Health(sid("a"), counters(0, 1)));
    assert!(!is_confirmed(&mut bench, Some(5)), "the last check failed");
    bench.write(PlanWrite::Health(sid("a"), counters(1, 1)));
    assert!(is_confirmed(&mut bench, Some(5)), "the last check succeeded, the server is unhealthy");

    let entry = bench.fleet.server(&sid("a")).expect("stands").stored.value.clone();
    bench.write(PlanWrite::server(entry.clone()));
    assert!(!is_confirmed(&mut bench, Some(5)), "the poll may have asked another server");
    let sample = crowd(20, bench.store.revision, 5);
    bench.write(PlanWrite::Sample(sid("a"), sample));
    assert!(is_confirmed(&mut bench, Some(5)));

    bench.fleet = bench.fleet.clone().begun_at(bench.store.revision);
    assert!(!is_confirmed(&mut bench, Some(5)), "the sample is of another epoch");
}

#[test]
fn f6_an_age_never_goes_back_to_an_earlier_observation() {
    let mut bench = polled_by_five(&["a"]);
    let early = bench.now.instant;
    bench.pass(SECOND * 8);
    bench.fleet.confirm_samples(Some(5), bench.now.instant);
    bench.fleet.confirm_samples(Some(5), early);
    assert_eq!(age(&bench.fleet, "a", bench.now.instant), Some(Duration::ZERO));
    let server = bench.fleet.server(&sid("a")).expect("stands");
    assert!(!bench.fleet.saw_sampled(server), "a leader that begins polls it at once");
}

#[test]
fn e1_a_stuck_reservation_runs_out_without_a_write() {
    for leads in [Some(5), None] {
        let mut bench = polled_by_five(&["a"]);
        bench.write(PlanWrite::Record(key("n"), record("a", "n-1")));
        let load = |bench: &FleetBench| bench.fleet.server(&sid("a")).expect("stands").effective_load();
        assert_eq!(load(&bench), 35);
        bench.pass(Policy::default().reservation_ttl() + SECOND);
        bench.fleet.confirm_samples(leads, bench.now.instant);
        assert_eq!(load(&bench), 20);
        bench.fleet.confirm_sample(&sid("a"), bench.now.instant);
        assert_eq!(load(&bench), 20);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Poll(usize, Option<u32>),
    Leader(bool),
    Edit(usize),
    Create(usize),
    Observe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..9_u64).prop_map(Step::Pass),
        6 => (0..2_usize, proptest::option::weighted(0.8, 0..60_u32)).prop_map(|(at, users)| Step::Poll(at, users)),
        1 => any::<bool>().prop_map(Step::Leader),
        1 => (0..2_usize).prop_map(Step::Edit),
        1 => (0..2_usize).prop_map(Step::Create),
        5 => Just(Step::Observe),
    ]
}

proptest! {
    /// Leaders come and go, polls see the same, changes and failures → a follower that confirms a
    /// sample has the one that the present leader's last poll found unchanged, and every replica
    /// derives the same load.
    #[test]
    fn f6_f11_a_confirmed_sample_is_what_the_leaders_last_poll_saw(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let ids = ["a", "b"];
        let mut bench = FleetBench::with_servers(Policy::default(), &ids);
        let mut follower = Fleet::new(7, Policy::default());
        bench.store.catch_up(&mut follower, bench.now.instant);
        let (mut term, mut terms) = (Some(1_u64), 1_u64);
        // The result of the present leader's last poll of each server.
        let mut last: [Option<Option<ServerSample>>; 2] = [None, None];
        for step in steps {
            match step {
                Step::Pass(seconds) => bench.pass(SECOND * u32::try_from(seconds).expect("is small")),
                Step::Poll(at, users) => {
                    let Some(term) = term else { continue };
                    let id = sid(ids[at]);
                    let sample = users.map(|users| crowd(users, bench.store.revision, term));
                    let plan = match &sample {
                        Some(sample) => health::poll_ok(&bench.fleet, &id, sample.clone(), bench.now),
                        None => {
                            let suspicion = FailureSuspicion::None;
                            health::poll_failed(&bench.fleet, &id, suspicion, "down", bench.now.wall_ms)
                        }
                    };
                    prop_assert!(bench.commit(&plan));
                    if sample.is_some() {
                        bench.fleet.confirm_sample(&id, bench.now.instant);
                    }
                    last[at] = Some(sample);
                }
                Step::Leader(stays_away) => {
                    terms += 1;
                    term = (!stays_away).then_some(terms);
                    last = [None, None];
                }
                Step::Edit(at) => {
                    let entry = bench.fleet.server(&sid(ids[at])).expect("stands").stored.value.clone();
                    bench.write(PlanWrite::server(entry));
                    last[at] = None;
                }
                Step::Create(at) => {
                    let id = format!("n{}", bench.store.revision);
                    bench.write(PlanWrite::Record(key(&id), record(ids[at], &id)));
                    // A reservation that no poll ends runs out by the time at which it was seen.
                    bench.store.catch_up(&mut follower, bench.now.instant);
                }
                Step::Observe => {
                    bench.pass(SECOND);
                    bench.store.catch_up(&mut follower, bench.now.instant);
                    bench.pass(SECOND);
                    follower.confirm_samples(term, bench.now.instant);
                    for (at, id) in ids.iter().enumerate() {
                        let known = follower.server(&sid(id)).expect("stands");
                        let is_fresh = age(&follower, id, bench.now.instant) == Some(Duration::ZERO);
                        let seen = last[at].as_ref().and_then(Option::as_ref);
                        prop_assert!(!is_fresh || seen.is_some(), "{id} is fresh after {:?}", last[at]);
                        if let Some(seen) = seen {
                            prop_assert!(is_fresh, "{id} is polled and not fresh");
                            let difference = drift::difference(&follower, known, seen, bench.now.instant);
                            let late = Some(drift::SampleDifference::Lasting);
                            prop_assert!(difference.is_none() || difference == late, "{difference:?}");
                        }
                        bench.fleet.confirm_sample(&sid(id), bench.now.instant);
                        let leader = bench.fleet.server(&sid(id)).expect("stands");
                        prop_assert_eq!(known.effective_load(), leader.effective_load());
                    }
                }
            }
        }
    }
}
