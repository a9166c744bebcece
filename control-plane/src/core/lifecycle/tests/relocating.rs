//! Changes of a server's address.

use super::*;
use crate::core::reconcile::{MissingServer, on_sample, sweep};

fn wanted() -> Server {
    Server { url: "https://new.example.org/bigbluebutton/api/".into(), ..server("a") }
}

/// Carries an order out, and runs `between` after its first step.
fn relocate_all(
    bench: &mut FleetBench,
    address: NewAddress,
    mut between: impl FnMut(&mut FleetBench),
) -> Result<usize, AdminError> {
    let mut steps = 0;
    loop {
        let step = relocate(&bench.fleet, &wanted(), AdminState::Enabled, address, 0)?;
        assert!(bench.commit(&step.plan), "{step:?}");
        steps += 1;
        if step.outcome == OperationProgress::Done {
            return Ok(steps);
        }
        if steps == 1 {
            between(bench);
        }
    }
}

fn url(bench: &FleetBench) -> String {
    bench.fleet.server(&sid("a")).unwrap().stored.value.url.clone()
}

#[test]
fn a_server_without_meetings_is_closed_first_and_opened_at_its_new_address() {
    let mut bench = bench();
    let mut request = request("t1");
    request.placement.excluded.push(sid("b"));
    let placement = place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).unwrap();
    assert_eq!(relocate_all(&mut bench, NewAddress::AnotherServer, |_| {}), Ok(2));
    let server = bench.fleet.server(&sid("a")).unwrap();
    assert_eq!((url(&bench), server.admin()), (wanted().url, AdminState::Enabled));
    assert_eq!((server.health(), server.sample.is_none()), (Health::Unhealthy, true), "on probation");
    assert!(!bench.commit(&placement.plan), "the placement was decided for the old address");
}

#[test]
fn a_server_with_meetings_keeps_its_address_unless_the_new_address_lists_them() {
    let mut refused = bench();
    active_on_a(&mut refused);
    let before = url(&refused);
    assert_eq!(
        relocate_all(&mut refused, NewAddress::AnotherServer, |_| {}),
        Err(AdminError::HasMeetings { meetings: 1, stays: AdminState::Enabled })
    );
    assert_eq!(url(&refused), before);
    assert_eq!(relocate_all(&mut refused, NewAddress::SameServer, |_| {}), Ok(1));
    assert_eq!((url(&refused), refused.fleet.record_count_on(&sid("a"))), (wanted().url, 1));
}

#[test]
fn i4_by_force_the_meetings_at_the_old_address_are_ended_there() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let instance = bench.fleet.record(&key("m")).unwrap().value.state.internal_id().unwrap().clone();
    let old = url(&bench);
    relocate_all(&mut bench, NewAddress::Forced, |_| {}).unwrap();
    assert_eq!((url(&bench), bench.fleet.record(&key("m"))), (wanted().url, None));
    let former = bench.fleet.servers().find(|server| server.stored.value.former_of.is_some()).unwrap();
    let former_id = former.id().clone();
    assert_eq!((former.stored.value.url.clone(), former.admin()), (old, AdminState::Disabled));
    assert!(bench.fleet.is_polled(&former_id));
    let ended = |bench: &mut FleetBench, runs: &[(&str, &str)]| {
        let seen = sample(bench.store.revision, runs);
        let work = on_sample(&bench.fleet, &former_id, &seen, bench.now.instant, bench.now);
        for plan in work.plans.iter().chain(work.ends.iter().map(|end| &end.mark)) {
            assert!(plan.is_empty() || bench.commit(plan));
        }
        work.ends.len()
    };
    assert_eq!(ended(&mut bench, &[("m", instance.as_str())]), 1);
    assert!(sweep(&bench.fleet, MissingServer::Removed, bench.now).plans.is_empty(), "a zombie is left");
    assert_eq!(ended(&mut bench, &[]), 0);
    for plan in sweep(&bench.fleet, MissingServer::Removed, bench.now).plans {
        assert!(bench.commit(&plan));
    }
    assert!(bench.fleet.server(&former_id).is_none(), "no zombie is left there");
    assert_eq!(bench.fleet.servers().len(), 2);
}

#[test]
fn a_move_that_stopped_half_way_ends_the_meetings_and_is_finished_by_the_same_order() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let first = relocate(&bench.fleet, &wanted(), AdminState::Enabled, NewAddress::Forced, 0).unwrap();
    assert!(bench.commit(&first.plan));
    // The leader's sweep continues an order that stopped half way.
    for plan in sweep(&bench.fleet, MissingServer::Removed, bench.now).plans {
        assert!(bench.commit(&plan));
    }
    assert_eq!(zombie(&bench, "a").map(|(state, _)| state), Some(ZombieState::Due));
    assert_eq!(bench.fleet.servers().len(), 3);
    relocate_all(&mut bench, NewAddress::Forced, |_| {}).unwrap();
    assert_eq!((url(&bench), zombie(&bench, "a"), bench.fleet.zombies().len()), (wanted().url, None, 1));
}

#[test]
fn many_meetings_are_left_behind_in_bounded_plans() {
    let mut bench = bench();
    for number in 0..250 {
        bench.write(PlanWrite::Record(
            key(&format!("m{number}")),
            crate::core::testkit::record("a", &format!("i-{number}")),
        ));
    }
    let steps = relocate_all(&mut bench, NewAddress::Forced, |bench| {
        let step = relocate(&bench.fleet, &wanted(), AdminState::Enabled, NewAddress::Forced, 0).unwrap();
        assert!(step.plan.writes.len() <= 100, "{}", step.plan.writes.len());
    });
    assert!(steps.unwrap() > 3);
    assert_eq!((bench.fleet.zombies().len(), bench.fleet.records().len()), (250, 0));
}

#[test]
fn an_address_that_another_entry_has_is_refused() {
    let mut bench = bench();
    let at_b = Server { url: "http://B.example.org:80/bigbluebutton/api".into(), ..server("a") };
    for address in [NewAddress::SameServer, NewAddress::AnotherServer, NewAddress::Forced] {
        let refused = relocate(&bench.fleet, &at_b, AdminState::Enabled, address, 0);
        assert_eq!(refused, Err(AdminError::AddressTaken(sid("b"))));
    }
    let again = Server { id: sid("again"), ..at_b };
    assert_eq!(create_server(&bench.fleet, again.clone()), Err(AdminError::AddressTaken(sid("b"))));
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Server(sid("b"))));
    assert!(create_server(&bench.fleet, again).is_ok());
}

#[test]
fn s7_an_address_and_a_disable_are_written_together_or_not_at_all() {
    let disable = |bench: &FleetBench| {
        relocate(&bench.fleet, &wanted(), AdminState::Disabled, NewAddress::SameServer, 0)
    };
    let mut bench = bench();
    active_on_a(&mut bench);
    let refused = AdminError::HasMeetings { meetings: 1, stays: AdminState::Enabled };
    assert_eq!(disable(&bench), Err(refused));
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("m"))));
    for progress in [OperationProgress::Again, OperationProgress::Done] {
        assert_ne!(url(&bench), wanted().url);
        let step = disable(&bench).unwrap();
        assert_eq!(step.outcome, progress);
        assert!(bench.commit(&step.plan));
    }
    let admin = bench.fleet.server(&sid("a")).unwrap().admin();
    assert_eq!((url(&bench), admin), (wanted().url, AdminState::Disabled));
}
