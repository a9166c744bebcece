//! Breakout rooms that applications create themselves: `m` is one of `parent`.

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

/// Two servers; `parent` runs on `a`.
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

/// The room runs on `a`, beside its parent, as `m-1`.
fn with_room() -> FleetBench {
    let mut bench = with_parent();
    assert_eq!(put_room(&mut bench, &room("t1")), Ok(("a".into(), true)));
    assert!(confirm_now(&mut bench, &CreateAnswer { breakout: true, ..answer("a", Some("t1"), "m-1") }));
    assert!(bench.fleet.record(&key("m")).unwrap().value.breakout);
    bench
}

#[test]
fn a_room_goes_to_its_parents_server_whatever_placement_would_say() {
    for admin in [AdminState::Enabled, AdminState::Cordoned] {
        for yellow in [false, true] {
            let mut bench = with_parent();
            bench.write(PlanWrite::Server(Server { admin, tags: vec!["other".into()], ..server("a") }));
            if yellow {
                bench.unhealthy("a");
            }
            assert_eq!(put_room(&mut bench, &room("t1")), Ok(("a".into(), true)), "{admin:?} {yellow}");
            assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)), "it stands");
        }
    }
    let mut bench = bench();
    bench.write(PlanWrite::Record(
        key("parent"),
        MeetingRecord { state: RecordState::Pending, ..testkit::record("b", "p-1") },
    ));
    assert_eq!(
        put_room(&mut bench, &room("t1")),
        Ok(("b".into(), true)),
        "its server says whether it is there"
    );
}

#[test]
fn without_a_parent_of_the_same_tenant_that_goes_on_there_is_no_room() {
    let mut bench = bench();
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    let school = TenantId::parse("school").unwrap();
    let others = MeetingKey::new(school, parent());
    bench.write(PlanWrite::Record(others, testkit::record("a", "p-1")));
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent), "it is another's");
    let ending = RecordState::Ending { internal_id: None };
    bench.write(PlanWrite::Record(
        key("parent"),
        MeetingRecord { state: ending, ..testkit::record("a", "p-1") },
    ));
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    write_parent(&mut bench, "gone");
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    write_parent(&mut bench, "a");
    bench.write(PlanWrite::Server(Server { admin: AdminState::Disabled, ..server("a") }));
    assert_eq!(put_room(&mut bench, &room("t")), Err(NoRoomServer::NoParent));
    assert_eq!(record(&bench), None);
}

#[test]
fn while_its_parents_server_cannot_be_asked_a_room_has_to_wait() {
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
fn a_room_follows_its_parent_from_a_server_that_is_offline() {
    let mut bench = with_room();
    bench.offline("a");
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::ServerAway), "the parent is there still");
    write_parent(&mut bench, "b");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("b".into(), true)));
    assert_eq!((record(&bench), zombie(&bench, "a")), (Some(at("b", "pending", None)), Some(waiting("m-1"))));
    assert!(confirm_now(&mut bench, &answer("b", Some("t2"), "m-2")));
    assert_eq!(zombie(&bench, "a"), Some(due("m-1")));
    assert!(bench.fleet.record(&key("m")).unwrap().value.breakout);
}

#[test]
fn a_room_on_another_server_that_is_well_is_asked_there() {
    let mut bench = with_room();
    write_parent(&mut bench, "b");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)));
    bench.unhealthy("a");
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), false)));
    let supersede = CreateRequest { supersede: true, ..room("t3") };
    assert_eq!(put_room(&mut bench, &supersede), Ok(("b".into(), true)), "unless the caller insists");
    assert_eq!(zombie(&bench, "a"), Some(waiting("m-1")));
}

#[test]
fn what_is_left_of_a_room_goes_before_the_next_instance_comes_to_that_server() {
    let mut bench = with_room();
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), instance(&iid("m-1")), 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::Leftover), "it may be listed still");
    let mut bench = with_parent();
    put_room(&mut bench, &room("t1")).unwrap();
    let step = abandon(&bench.fleet, &key("m"), &sid("a"), "t1", CreateCertainty::Unknown, 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::Leftover), "a suspect stands there");
    let step = forget_zombie(&bench.fleet, &zkey("m", "a")).unwrap();
    assert!(bench.commit(&step.plan));
    assert_eq!(put_room(&mut bench, &room("t2")), Ok(("a".into(), true)));
}

#[test]
fn an_id_is_a_rooms_or_another_meetings() {
    let mut bench = with_parent();
    pending_on_a(&mut bench);
    assert_eq!(put_room(&mut bench, &room("t2")), Err(NoRoomServer::Taken));
    let mut bench = with_room();
    assert_eq!(put(&mut bench, &request("t2")), Ok(("a".into(), false)), "its server finds it by its hash");
}

#[test]
fn a_room_is_no_meeting_more_no_load_and_has_no_number_of_ours() {
    let mut bench = with_parent();
    let policy = TenantPolicy { max_meetings: 1, ..TenantPolicy::default() };
    let range = usher_model::voice::VoiceRange::new(10_000, 10_009).unwrap();
    let policy = TenantPolicy { voice_bridges: Some(range), ..policy };
    bench.write(PlanWrite::Tenant(TenantRoute { policy, ..TenantRoute::new(TenantId::default_tenant()) }));
    let before = bench.fleet.server(&sid("a")).unwrap().effective_load();
    put_room(&mut bench, &room("t1")).unwrap();
    let fleet = &bench.fleet;
    assert_eq!(fleet.server(&sid("a")).unwrap().effective_load(), before);
    assert_eq!(fleet.meeting_count_of(&TenantId::default_tenant()), 1, "its parent");
    assert_eq!(fleet.record(&key("m")).unwrap().value.voice_bridge, None);
    assert!(has_all_its_meetings(fleet, &InflightPlacements::default(), &key("other")));
    // Confirmed when its record was gone, it is a room still.
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Record(key("m"))));
    assert!(confirm_now(&mut bench, &CreateAnswer { breakout: true, ..answer("a", Some("t1"), "m-1") }));
    assert_eq!(bench.fleet.meeting_count_of(&TenantId::default_tenant()), 1);
}

#[test]
fn a_room_of_a_lost_store_can_be_taken_over_by_hand_too() {
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
