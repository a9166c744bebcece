//! The orders of operators about servers (S5–S7, H15).

use super::*;
use crate::core::{
    fleet::Fleet,
    reconcile::{self, MissingServer, sweep},
};

fn admin(bench: &FleetBench, id: &str) -> Option<AdminState> {
    bench.fleet.server(&sid(id)).map(crate::core::fleet::FleetServer::admin)
}

/// Returns the refusal by one meeting on an enabled server.
fn has_meetings() -> AdminError {
    AdminError::HasMeetings { meetings: 1, stays: AdminState::Enabled }
}

/// Repeats and commits the steps of an operation until it is complete.
fn drive(
    bench: &mut FleetBench,
    step: impl Fn(&FleetBench) -> Result<PlannedStep<OperationProgress>, AdminError>,
) -> Result<usize, AdminError> {
    for round in 1..50 {
        let step = step(bench)?;
        assert!(bench.commit(&step.plan));
        if step.outcome == OperationProgress::Done {
            return Ok(round);
        }
    }
    panic!("the operation does not end")
}

#[test]
fn s7_a_server_with_meetings_is_neither_disabled_nor_removed() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let disable = |bench: &FleetBench| set_admin(&bench.fleet, &sid("a"), AdminState::Disabled);
    assert_eq!(drive(&mut bench, disable), Err(has_meetings()));
    let delete = |bench: &FleetBench| delete_server(&bench.fleet, &sid("a"));
    assert_eq!(drive(&mut bench, delete), Err(has_meetings()));
    assert_eq!(admin(&bench, "a"), Some(AdminState::Enabled));
    let panic = |bench: &FleetBench| panic_server(&bench.fleet, &sid("a"), 0);
    drive(&mut bench, panic).unwrap();
    drive(&mut bench, delete).unwrap();
    assert_eq!(admin(&bench, "a"), None);
    assert_eq!(zombie(&bench, "a"), None);
}

#[test]
fn s7_a_placement_beside_a_disable_fails_or_stops_it() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    let placement = place(&bench.fleet, &InflightPlacements::default(), &request("t1"), bench.now).unwrap();
    let first = set_admin(&bench.fleet, &sid("a"), AdminState::Disabled).unwrap();
    assert_eq!(first.outcome, OperationProgress::Again);
    assert!(bench.commit(&first.plan));
    assert_eq!(
        admin(&bench, "a"),
        Some(AdminState::Cordoned),
        "the server is cordoned before its records are counted"
    );
    assert!(!bench.commit(&placement.plan));
    let second = set_admin(&bench.fleet, &sid("a"), AdminState::Disabled).unwrap();
    assert!(bench.commit(&second.plan));
    assert_eq!(admin(&bench, "a"), Some(AdminState::Disabled));
}

#[test]
fn s5_an_enabled_server_is_on_probation_in_spite_of_its_earlier_health() {
    let mut bench = bench();
    drive(&mut bench, |bench| set_admin(&bench.fleet, &sid("a"), AdminState::Disabled)).unwrap();
    drive(&mut bench, |bench| set_admin(&bench.fleet, &sid("a"), AdminState::Enabled)).unwrap();
    let server = bench.fleet.server(&sid("a")).unwrap();
    assert_eq!((server.health(), server.sample.is_none()), (Health::Unhealthy, true));
    let request = CreateRequest {
        placement: crate::core::placement::PlacementRequest { excluded: vec![sid("b")], ..to_place("m") },
        ..request("t")
    };
    assert!(place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).is_err());
}

#[test]
fn h15_panic_frees_every_id_at_once_in_bounded_plans() {
    let mut bench = bench();
    for n in 0..120 {
        let state = RecordState::Active { internal_id: iid(&format!("m{n}-1")), create_time_ms: 1 };
        let record = MeetingRecord {
            state,
            server: sid("a"),
            token: String::new(),
            request_digest: Box::default(),
            created_at_ms: 0,
            max_users: 0,
            size_hint: 0,
            voice_bridge: None,
            breakout: false,
            unanswered: false,
        };
        bench.write(PlanWrite::Record(key(&format!("m{n}")), record));
    }
    bench.offline("a");
    let first = panic_server(&bench.fleet, &sid("a"), 0).unwrap();
    assert!(bench.commit(&first.plan));
    let free = CreateRequest { placement: to_place("m7"), ..request("t") };
    let step = place(&bench.fleet, &InflightPlacements::default(), &free, bench.now).unwrap();
    assert!(matches!(step.outcome, PlacementOutcome::New { .. }), "the id is free after the first plan");
    while let PlannedStep { plan, outcome: OperationProgress::Again } =
        panic_server(&bench.fleet, &sid("a"), 0).unwrap()
    {
        assert!(plan.writes.len() <= 100, "{}", plan.writes.len());
        assert!(bench.commit(&plan));
    }
    assert_eq!(bench.fleet.record_count_on(&sid("a")), 0);
    assert_eq!(bench.fleet.zombie_count_on(&sid("a")), 120);
    assert!(bench.fleet.is_polled(&sid("a")), "the server is polled until its zombies are ended");
}

/// Makes a superseded meeting wait on `a`: its replacement on `b` is not confirmed.
fn waiting_on_a(bench: &mut FleetBench) {
    active_on_a(bench);
    bench.offline("a");
    assert_eq!(put(bench, &request("t2")), Ok(("b".into(), true)));
    assert_eq!(zombie(bench, "a"), Some(waiting("m-1")));
}

#[test]
fn h15_panic_makes_waiting_zombies_due_too_and_a_mere_disable_does_not() {
    let mut bench = bench();
    waiting_on_a(&mut bench);
    let disable = |bench: &FleetBench| set_admin(&bench.fleet, &sid("a"), AdminState::Disabled);
    assert_eq!(drive(&mut bench, disable), Err(has_meetings()), "it may route again");
    drive(&mut bench, |bench| panic_server(&bench.fleet, &sid("a"), 0)).unwrap();
    let step = abandon(&bench.fleet, &key("m"), &sid("b"), "t2", CreateCertainty::Definite, 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(
        (record(&bench), zombie(&bench, "a")),
        (None, Some(due("m-1"))),
        "no other rule would end the instance"
    );
}

#[test]
fn h15_a_panic_that_stopped_half_way_is_continued() {
    let mut bench = bench();
    waiting_on_a(&mut bench);
    let first = panic_server(&bench.fleet, &sid("a"), 0).unwrap();
    assert!(bench.commit(&first.plan));
    for plan in sweep(&bench.fleet, MissingServer::Removed, bench.now).plans {
        assert!(bench.commit(&plan));
    }
    assert_eq!(zombie(&bench, "a"), Some(due("m-1")));
}

/// S6, I3: if the server were disabled, the meeting that came to it would be ended.
#[test]
fn s6_a_record_that_comes_to_an_empty_cordoned_server_keeps_it_from_being_disabled() {
    for late in [false, true] {
        let mut bench = bench();
        drive(&mut bench, |bench| set_admin(&bench.fleet, &sid("a"), AdminState::Cordoned)).unwrap();
        let now = bench.store.revision;
        bench.write(PlanWrite::Sample(sid("a"), sample(now, &[])));
        let drained = sweep(&bench.fleet, MissingServer::Removed, bench.now);
        let disabled = set_admin(&bench.fleet, &sid("a"), AdminState::Disabled).unwrap();
        if late {
            assert!(confirm_now(&mut bench, &answer("a", None, "m-1")));
        } else {
            let revision = bench.store.revision;
            bench.write(PlanWrite::Sample(sid("a"), sample(revision, &[("m", "m-1")])));
        }
        assert_eq!(drained.drained, [sid("a")]);
        assert!(!bench.commit(&drained.plans[0]) && !bench.commit(&disabled.plan), "late {late}");
    }
}

#[test]
fn s6_a_cordoned_server_becomes_disabled_when_a_poll_finds_it_empty() {
    let mut bench = bench();
    active_on_a(&mut bench);
    drive(&mut bench, |bench| set_admin(&bench.fleet, &sid("a"), AdminState::Cordoned)).unwrap();
    let sweep = |bench: &FleetBench| sweep(&bench.fleet, MissingServer::Removed, bench.now);
    assert!(sweep(&bench).drained.is_empty(), "a meeting lives there");
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("m"))));
    assert!(sweep(&bench).drained.is_empty(), "the last poll is older than the cordon");
    let now = bench.store.revision;
    bench.write(PlanWrite::Sample(sid("a"), sample(now, &[("foreign", "f-1")])));
    assert!(sweep(&bench).drained.is_empty(), "a meeting without a record runs there");
    bench.write(PlanWrite::Sample(sid("a"), sample(now, &[])));
    let mut anew = Fleet::new(8, Policy::default()).begun_at(bench.store.revision);
    bench.store.catch_up(&mut anew, bench.now.instant);
    let of_anew = reconcile::sweep(&anew, MissingServer::Removed, bench.now);
    assert!(of_anew.drained.is_empty(), "a sample of an earlier epoch is no evidence");
    let work = sweep(&bench);
    assert_eq!(work.drained, [sid("a")]);
    assert!(bench.commit(&work.plans[0]));
    assert_eq!(admin(&bench, "a"), Some(AdminState::Disabled));
}

#[test]
fn an_update_is_refused_after_a_change_by_another_party() {
    let mut bench = bench();
    let seen = bench.fleet.server(&sid("a")).unwrap().stored.modified;
    let heavy = Server { weight: 2.0, admin: AdminState::Disabled, ..server("a") };
    let step = update_server(&bench.fleet, heavy.clone(), Some(seen), None).unwrap();
    assert!(bench.commit(&step.plan));
    assert_eq!(admin(&bench, "a"), Some(AdminState::Enabled), "the admin state has its own operations");
    assert_eq!(update_server(&bench.fleet, server("a"), Some(seen), None), Err(AdminError::Changed));
    assert!(update_server(&bench.fleet, heavy, None, None).unwrap().plan.is_empty(), "no change, no write");
    assert_eq!(create_server(&bench.fleet, server("a")), Err(AdminError::Exists));
}

#[test]
fn s7_an_update_writes_its_fields_and_the_admin_state_together_or_not_at_all() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let before = bench.fleet.server(&sid("a")).unwrap().stored.clone();
    let heavy = Server { weight: 2.0, ..server("a") };
    let update = |bench: &FleetBench, admin| update_server(&bench.fleet, heavy.clone(), None, Some(admin));
    assert_eq!(drive(&mut bench, |bench| update(bench, AdminState::Disabled)), Err(has_meetings()));
    assert_eq!(bench.fleet.server(&sid("a")).unwrap().stored, before);

    let entry = |bench: &FleetBench| {
        let stored = &bench.fleet.server(&sid("a")).unwrap().stored.value;
        (stored.weight, stored.admin)
    };
    let steps = drive(&mut bench, |bench| update(bench, AdminState::Cordoned)).unwrap();
    assert_eq!((steps, entry(&bench)), (1, (2.0, AdminState::Cordoned)));
    let stays = AdminState::Cordoned;
    let refused = Err(AdminError::HasMeetings { meetings: 1, stays });
    assert_eq!(drive(&mut bench, |bench| update(bench, AdminState::Disabled)), refused);

    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("m"))));
    let steps = drive(&mut bench, |bench| update(bench, AdminState::Disabled)).unwrap();
    assert_eq!((steps, entry(&bench)), (1, (2.0, AdminState::Disabled)));
    assert!(bench.fleet.server(&sid("a")).unwrap().sample.is_none(), "as by a disable");
}

#[test]
fn s7_an_enabled_server_is_cordoned_before_an_update_disables_it() {
    let mut bench = bench();
    let heavy = Server { weight: 2.0, ..server("a") };
    let first = update_server(&bench.fleet, heavy.clone(), None, Some(AdminState::Disabled)).unwrap();
    assert_eq!(first.outcome, OperationProgress::Again);
    assert!(bench.commit(&first.plan));
    let cordoned = bench.fleet.server(&sid("a")).unwrap();
    assert_eq!((cordoned.admin(), cordoned.stored.value.weight), (AdminState::Cordoned, 1.0));
}
