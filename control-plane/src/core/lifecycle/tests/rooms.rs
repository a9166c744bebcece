//! Breakout rooms that applications create themselves (ADR 15): `m` is a breakout room of `parent`.

use usher_model::{id::TenantId, meeting::MeetingKey, routing::TenantRoute, tenant::TenantPolicy};

use super::*;
use crate::core::{
    placement::has_all_its_meetings,
    testkit::{self, listed},
};

fn parent() -> usher_model::id::MeetingId {
    key("parent").meeting
}

fn room(token: &str) -> CreateRequest {
    CreateRequest { parent: Some(parent()), ..request(token) }
}

fn write_parent(bench: &mut FleetBench, server: &str) {
    bench.write(PlanWrite::Record(key("parent"), testkit::record(server, "p-1")));
}

/// Returns two servers; `parent` runs on `a`.
fn with_parent() -> FleetBench {
    let mut bench = bench();
    write_parent(&mut bench, "a");
    bench
}

fn put_room(bench: &mut FleetBench, request: &CreateRequest) -> Result<(String, bool), NoRoomServer> {
    let step = place_room(&bench.fleet, request, &parent(), bench.now)?;
    assert!(bench.commit(&step.plan));
    Ok(match step.outcome {
        PlacementOutcome::Existing(record) => (record.server.to_string(), false),
        PlacementOutcome::New { record, .. } => (record.server.to_string(), true),
    })
}

/// Returns two servers; the breakout room runs on `a`, beside its parent, as `m-1`.
fn with_room() -> FleetBench {
    let mut bench = with_parent();
    assert_eq!(put_room(&mut bench, &room("t1")), Ok(("a".into(), true)));
    assert!(confirm_now(&mut bench, &CreateAnswer { breakout: true, ..answer("a", Some("t1"), "m-1") }));
    assert!(bench.fleet.record(&key("m")).unwrap().value.breakout);
    bench
}

#[test]
fn a_breakout_room_goes_to_its_parents_server_against_every_placement_rule() {
    for admin in [AdminState::Enabled, AdminState::Cordoned] {
        for unhealthy in [false, true] {
            let mut bench = with_parent();
            bench.write(PlanWrite::server(Server { admin, tags: vec!["other".into()], ..server("a") }));
            if unhealthy {
                bench.unhealthy("a");
            }
            assert_eq!(put_room(&mut bench, &room("t1")), Ok(("a".into(), true)), "{admin:?} {unhealthy}");
            assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)), "the record exists");
        }
    }
    let mut bench = bench();
    bench.write(PlanWrite::Record(
        key("parent"),
        MeetingRecord { state: RecordState::Pending, ..testkit::record("b", "p-1") },
    ));
    assert_eq!(put_room(&mut bench, &room("t1")), Ok(("b".into(), true)), "the server of the parent decides");
}

#[test]
fn a_breakout_room_needs_a_running_parent_of_the_same_tenant() {
    let mut bench = bench();
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    let school = TenantId::parse("school").unwrap();
    let others = MeetingKey::new(school, parent());
    bench.write(PlanWrite::Record(others, testkit::record("a", "p-1")));
    assert_eq!(
        put_room(&mut bench, &room("t")),
        Err(NoRoomServer::NoParent),
        "the parent belongs to another tenant"
    );
    let ending = RecordState::Ending { internal_id: None };
    bench.write(PlanWrite::Record(
        key("parent"),
        MeetingRecord { state: ending, ..testkit::record("a", "p-1") },
    ));
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    write_parent(&mut bench, "gone");
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    write_parent(&mut bench, "a");
    bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server("a") }));
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    assert_eq!(record(&bench), None);
}

#[test]
fn a_breakout_room_waits_while_its_parents_server_is_unreachable() {
    let mut bench = with_parent();
    bench.offline("a");
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::ServerAway));
    bench.online("a");
    let mut refused = room("t");
    refused.placement.excluded.push(sid("a"));
    assert_eq!(put_room(&mut bench, &refused), Err(NoRoomServer::ServerAway));
    assert_eq!(put_room(&mut bench, &room("t")), Ok(("a".into(), true)));
}

#[test]
fn a_choice_does_not_outlive_the_parents_record() {
    for change in [0, 1] {
        let mut bench = with_parent();
        let step = place_room(&bench.fleet, &room("t"), &parent(), bench.now).unwrap();
        if change == 0 {
            write_parent(&mut bench, "b");
        } else {
            bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("parent"))));
        }
        assert!(!bench.commit(&step.plan));
    }
}

#[test]
fn a_breakout_room_follows_its_parent_from_a_server_that_is_offline() {
    let mut bench = with_room();
    bench.offline("a");
    assert_eq!(
        put_room(&mut bench, &room("t2")),
        Err(NoRoomServer::ServerAway),
        "the parent is still on that server"
    );
    write_parent(&mut bench, "b");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("b".into(), true)));
    assert_eq!((record(&bench), zombie(&bench, "a")), (Some(at("b", "pending", None)), Some(waiting("m-1"))));
    assert!(confirm_now(&mut bench, &answer("b", Some("t2"), "m-2")));
    assert_eq!(zombie(&bench, "a"), Some(due("m-1")));
    assert!(bench.fleet.record(&key("m")).unwrap().value.breakout);
}

#[test]
fn a_create_of_a_breakout_room_on_another_online_server_is_forwarded_there() {
    let mut bench = with_room();
    write_parent(&mut bench, "b");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)));
    bench.unhealthy("a");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)));
    let supersede = CreateRequest { supersede: true, ..room("t3") };
    assert_eq!(put_room(&mut bench, &supersede), Ok(("b".into(), true)), "the caller requests it");
    assert_eq!(zombie(&bench, "a"), Some(waiting("m-1")));
}

#[test]
fn an_old_instance_of_a_breakout_room_ends_before_the_next_one_comes_to_that_server() {
    let mut bench = with_room();
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), instance(&iid("m-1")), 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(
        put_room(&mut bench, &room("t2")),
        Err(NoRoomServer::Leftover),
        "the old instance may still be listed"
    );
    let mut bench = with_parent();
    put_room(&mut bench, &room("t1")).unwrap();
    let step = abandon(&bench.fleet, &key("m"), &sid("a"), "t1", CreateCertainty::Unknown, 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::Leftover), "a suspect zombie is there");
    let step = forget_zombie(&bench.fleet, &zkey("m", "a")).unwrap();
    assert!(bench.commit(&step.plan));
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), true)));
}

#[test]
fn an_id_belongs_to_a_breakout_room_or_to_a_meeting() {
    let mut bench = with_parent();
    pending_on_a(&mut bench);
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::Taken));
    let mut bench = with_room();
    assert_eq!(
        put(&mut bench, &request("t2")),
        Ok(("a".into(), false)),
        "the server finds the instance by its hash"
    );
}

#[test]
fn a_breakout_room_counts_neither_as_a_meeting_nor_as_load_and_gets_no_number() {
    let mut bench = with_parent();
    let policy = TenantPolicy { max_meetings: 1, ..TenantPolicy::default() };
    let range = usher_model::voice::VoiceRange::new(10_000, 10_009).unwrap();
    let policy = TenantPolicy { voice_bridges: Some(range), ..policy };
    bench.write(PlanWrite::tenant(TenantRoute { policy, ..TenantRoute::new(TenantId::default_tenant()) }));
    let before = bench.fleet.server(&sid("a")).unwrap().effective_load();
    put_room(&mut bench, &room("t1")).unwrap();
    let fleet = &bench.fleet;
    assert_eq!(fleet.server(&sid("a")).unwrap().effective_load(), before);
    assert_eq!(fleet.meeting_count_of(&TenantId::default_tenant()), 1, "its parent");
    assert_eq!(fleet.record(&key("m")).unwrap().value.voice_bridge, None);
    assert!(has_all_its_meetings(fleet, &InflightPlacements::default(), &key("other")));
    // A breakout room that is confirmed after its record was removed is still marked as one.
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("m"))));
    assert!(confirm_now(&mut bench, &CreateAnswer { breakout: true, ..answer("a", Some("t1"), "m-1") }));
    assert_eq!(bench.fleet.meeting_count_of(&TenantId::default_tenant()), 1);
}

#[test]
fn a_breakout_room_of_a_lost_store_can_be_adopted_by_name_too() {
    let bench = bench();
    let running = usher_model::server::SampledMeeting {
        breakout: true,
        named: true,
        external_id: "of-the-server".into(),
        ..listed("m", "m-7")
    };
    let mut seen = sample(bench.store.revision, &[]);
    seen.meetings.push(running);
    let step = adopt(&bench.fleet, &sid("a"), &key("m"), &seen, 0);
    assert_eq!(step.outcome, AdoptionOutcome::Adopted);
    assert!(
        step.plan.writes.iter().any(|write| matches!(write, PlanWrite::Record(_, record) if record.breakout))
    );
}
