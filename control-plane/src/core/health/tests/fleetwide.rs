//! Rules over the health of many servers, or of one server over time.

use usher_model::server::{AdminState, Server};

use super::*;
use crate::core::{
    plan::PlanWrite,
    testkit::{FleetBench, sample, server},
};

const SECOND: Duration = Duration::from_secs(1);

/// Fifty online servers, and their names.
fn fifty() -> (FleetBench, Vec<String>) {
    let names: Vec<String> = (0..50).map(|n| format!("s{n:02}")).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    (FleetBench::with_servers(Policy::default(), &ids), names)
}

/// One round of polls in which the first `failing` servers fail; returns how often the guard held.
fn round(bench: &mut FleetBench, names: &[String], failing: usize, guard: &mut MassFailureGuard) -> usize {
    let mut held = 0;
    for (index, name) in names.iter().enumerate() {
        let (id, ok) = (sid(name), index >= failing);
        let most = most_fail(&bench.fleet, Some((&id, ok)));
        let suspicion = guard.judge(most, bench.now.instant, bench.fleet.policy().mass_hold);
        let plan = if ok {
            poll_ok(&bench.fleet, &id, sample(bench.store.revision, &[]), bench.now)
        } else {
            held += usize::from(suspicion == FailureSuspicion::Us);
            poll_failed(&bench.fleet, &id, suspicion, "timeout", bench.now.wall_ms)
        };
        assert!(plan.is_empty() || bench.commit(&plan));
    }
    bench.pass(SECOND * 10);
    held
}

fn rounds(
    bench: &mut FleetBench,
    names: &[String],
    failing: usize,
    guard: &mut MassFailureGuard,
    times: usize,
) {
    for _ in 0..times {
        round(bench, names, failing, guard);
    }
}

fn reds(bench: &FleetBench) -> usize {
    bench.fleet.servers().filter(|server| server.health() == Health::Offline).count()
}

#[test]
fn h10_more_than_half_failing_is_suspicious_until_it_lasts() {
    let (mut bench, names) = fifty();
    let mut guard = MassFailureGuard::default();
    assert_eq!(round(&mut bench, &names, 25, &mut guard), 0, "half is not more than half");
    assert!(!most_fail(&bench.fleet, None));
    for _ in 0..29 {
        assert!(round(&mut bench, &names, 30, &mut guard) > 0);
        assert_eq!(reds(&bench), 0);
    }
    assert!(most_fail(&bench.fleet, None) && failing(&bench.fleet).count() == 30);
    rounds(&mut bench, &names, 30, &mut guard, 4);
    assert_eq!(reds(&bench), 30, "five minutes are enough");
    rounds(&mut bench, &names, 0, &mut guard, 3);
    assert!(reds(&bench) == 0 && !most_fail(&bench.fleet, None));
    rounds(&mut bench, &names, 30, &mut guard, 20);
    assert_eq!(reds(&bench), 0, "a new incident starts a new hold");
}

/// The 90-second cut with a change of leader in the middle: the new one has seen no check yet.
#[test]
fn h10_h14_a_new_leader_goes_on_suspecting() {
    let (mut bench, names) = fifty();
    let mut guard = MassFailureGuard::default();
    rounds(&mut bench, &names, 30, &mut guard, 9);
    let mut others_first = names.clone();
    others_first.rotate_left(30); // its first checks succeed, then a single one fails
    let mut guard = MassFailureGuard::default();
    for (index, name) in others_first.iter().enumerate() {
        let (id, ok) = (sid(name), index < 20);
        let most = most_fail(&bench.fleet, Some((&id, ok)));
        let suspicion = guard.judge(most, bench.now.instant, bench.fleet.policy().mass_hold);
        if !ok {
            let plan = poll_failed(&bench.fleet, &id, suspicion, "timeout", bench.now.wall_ms);
            assert!(plan.is_empty() || bench.commit(&plan));
        }
    }
    assert_eq!(reds(&bench), 0);
}

#[test]
fn h10_servers_that_are_not_in_use_do_not_count() {
    let (mut bench, names) = fifty();
    let mut guard = MassFailureGuard::default();
    round(&mut bench, &names, 20, &mut guard);
    for name in &names[30..] {
        bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server(name) }));
    }
    assert!(most_fail(&bench.fleet, None), "20 of 30");
}

/// Reports a failed call, and a second later a good poll.
fn fail_call(bench: &mut FleetBench) {
    let plan = report_failure(&bench.fleet, &sid("a"), "create", bench.now.wall_ms);
    assert!(plan.is_empty() || bench.commit(&plan));
    bench.pass(SECOND);
    poll(bench);
}

fn is_gray(bench: &FleetBench) -> bool {
    gray_failures(&bench.fleet, bench.now).next().is_some()
}

/// Polls as the leader does; its fleet knows a poll that saw the same without a write.
fn poll(bench: &mut FleetBench) {
    let plan = poll_ok(&bench.fleet, &sid("a"), sample(bench.store.revision, &[]), bench.now);
    assert!(bench.commit(&plan));
    bench.fleet.confirm_sample(&sid("a"), bench.now.instant);
}

#[test]
fn x6_calls_that_fail_again_and_again_while_polls_succeed_are_a_gray_failure() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    for _ in 0..9 {
        fail_call(&mut bench);
    }
    assert!(!is_gray(&bench), "many failures within an interval count once");
    for _ in 0..2 {
        bench.pass(SECOND * 40);
        fail_call(&mut bench);
    }
    assert!(is_gray(&bench));
    let mut fresh = crate::core::fleet::Fleet::new(7, bench.fleet.policy().clone());
    fresh.apply(bench.store.revision, bench.store.listing(), bench.now.instant);
    assert!(gray_failures(&fresh, bench.now).next().is_some(), "every replica sees it");
    bench.pass(SECOND * 30);
    assert!(!is_gray(&bench), "polls do not succeed any more");
    fail_call(&mut bench);
    assert!(is_gray(&bench));
    bench.pass(SECOND * 290);
    poll(&mut bench);
    assert!(is_gray(&bench), "damping keeps it from being called for minutes");
    bench.pass(SECOND * 15);
    poll(&mut bench);
    assert!(!is_gray(&bench), "over");
}

#[test]
fn x6_single_failed_calls_hours_apart_are_none() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    for _ in 0..20 {
        bench.pass(SECOND * 3600);
        fail_call(&mut bench);
        assert!(!is_gray(&bench));
    }
    let noted =
        bench.fleet.server(&sid("a")).unwrap().health_record.clone().unwrap().value.calls_failed_at_ms;
    assert_eq!(noted.len(), 1, "what is old is forgotten");
}
