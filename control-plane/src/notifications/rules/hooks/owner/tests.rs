use usher_model::{
    meeting::{MeetingRecord, RecordState, Zombie, ZombieState},
    routing::TenantRoute,
    server::SampledMeeting,
};

use super::*;
use crate::core::{
    plan::{FleetKey, PlanWrite},
    policy::Policy,
    testkit::{FleetBench, iid, key, listed, sample, sid, zkey},
};

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("is a name")
}

/// Tenants `default` and `school` on servers `a` and `b`; meeting `room` of `default` runs on `a`.
fn bench() -> FleetBench {
    let mut bench =
        FleetBench::with_servers(Policy::new(&usher_model::settings::Settings::default()), &["a", "b"]);
    for id in ["default", "school"] {
        bench.write(PlanWrite::tenant(TenantRoute::new(tenant(id))));
    }
    bench.write(PlanWrite::Record(key("room"), record("a", "i-1")));
    bench
}

fn record(server: &str, instance: &str) -> MeetingRecord {
    MeetingRecord {
        state: RecordState::Active { internal_id: iid(instance), create_time_ms: 1 },
        server: sid(server),
        token: String::new(),
        request_digest: Vec::new().into(),
        created_at_ms: 0,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    }
}

fn event(external: &str, instance: &str) -> EventFacts {
    let external = Some(external.to_owned()).filter(|id| !id.is_empty());
    EventFacts {
        name: "user-joined".into(),
        external,
        internal: Some(iid(instance)),
        ..EventFacts::default()
    }
}

fn of(bench: &FleetBench, server: &str, event: &EventFacts) -> Option<String> {
    owner_of(&bench.fleet, &sid(server), event).map(|owner| owner.meeting.to_string())
}

#[test]
fn events_belong_to_the_tenant_of_the_meeting_alone() {
    let bench = bench();
    assert_eq!(of(&bench, "a", &event("room", "i-1")).as_deref(), Some("default/room"));
    assert_eq!(of(&bench, "b", &event("room", "i-9")), None, "somebody else's, on another server");
    assert_eq!(of(&bench, "a", &event("other", "i-9")), None, "a meeting that Usher knows nothing of");
    assert_eq!(of(&bench, "b", &event("school~room", "i-9")).as_deref(), Some("school/room"));
    assert_eq!(of(&bench, "b", &event("default~school~room", "i-9")), None);
    assert_eq!(of(&bench, "b", &event("nobody~room", "i-9")), None, "no tenant of ours");
    assert_eq!(of(&bench, "a", &event("", "i-1")).as_deref(), Some("default/room"), "by its instance");
    assert_eq!(of(&bench, "a", &event("", "i-9")), None);
    let marked = EventFacts { mark: Some(tenant("default")), ..event("new", "i-9") };
    assert_eq!(of(&bench, "b", &marked).as_deref(), Some("default/new"), "its record may not be seen yet");
    let smuggled = EventFacts { mark: Some(tenant("school")), ..event("new", "i-9") };
    assert_eq!(of(&bench, "b", &smuggled), None, "its id is none of that tenant");
}

#[test]
fn an_event_that_comes_when_the_meeting_is_over_still_belongs_to_its_tenant() {
    let mut bench = bench();
    bench.write(PlanWrite::Delete(FleetKey::Record(key("room"))));
    assert_eq!(of(&bench, "a", &event("room", "i-1")).as_deref(), Some("default/room"));
    assert_eq!(of(&bench, "a", &event("room", "i-2")), None, "another instance is somebody else's");
    bench.pass(std::time::Duration::from_hours(25));
    bench.write(PlanWrite::Record(key("other"), record("a", "i-3")));
    bench.write(PlanWrite::Delete(FleetKey::Record(key("other"))));
    assert_eq!(of(&bench, "a", &event("room", "i-1")), None, "it was a day ago");
    let recording = EventFacts { name: "rap-publish-ended".into(), ..event("room", "i-1") };
    assert_eq!(of(&bench, "a", &recording).as_deref(), Some("default/room"), "as `getRecordings` has it");
    let of_breakout = EventFacts { external: Some(format!("{:040}-5", 1)), ..recording };
    assert_eq!(of(&bench, "a", &of_breakout), None);
}

#[test]
fn an_instance_that_was_superseded_is_still_its_tenants() {
    let mut bench = bench();
    let zombie = Zombie {
        state: ZombieState::Due,
        internal_id: Some(iid("i-1")),
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    bench.write(PlanWrite::Record(key("room"), record("b", "i-2")));
    bench.write(PlanWrite::Zombie(zkey("room", "a"), zombie));
    for (server, instance) in [("a", "i-1"), ("b", "i-2")] {
        assert_eq!(of(&bench, server, &event("room", instance)).as_deref(), Some("default/room"));
    }
}

#[test]
fn breakout_rooms_are_their_parents_tenants() {
    let mut bench = bench();
    let external = format!("{:040}-5", 1);
    let created = EventFacts { parent: Some(iid("i-1")), ..event(&external, "i-7") };
    let expected = format!("default/{external}");
    assert_eq!(of(&bench, "a", &created), Some(expected.clone()));
    assert_eq!(of(&bench, "a", &event(&external, "i-7")), None, "nothing says so");
    let room = SampledMeeting { breakout: true, key: Some(key(&external)), ..listed(&external, "i-7") };
    let mut seen = sample(0, &[]);
    seen.meetings.push(room);
    bench.write(PlanWrite::Sample(sid("a"), seen));
    assert_eq!(of(&bench, "a", &event(&external, "i-7")), Some(expected.clone()), "a poll did");
    bench.write(PlanWrite::Sample(sid("a"), sample(0, &[])));
    assert_eq!(of(&bench, "a", &event(&external, "i-7")), Some(expected), "it is over");
}

/// As on a server without a balancer: `create` answered that id, and hooks name it.
#[test]
fn rooms_that_applications_create_are_told_of_by_the_id_that_servers_gave_them() {
    let mut bench = bench();
    let external = format!("{:040}-5", 1);
    let room = SampledMeeting {
        breakout: true,
        named: true,
        external_id: external.as_str().into(),
        ..listed("m", "i-7")
    };
    bench.write(PlanWrite::Record(key("m"), MeetingRecord { breakout: true, ..record("a", "i-7") }));
    let expected = format!("default/{external}");
    assert_eq!(of(&bench, "a", &event(&external, "i-7")), Some(expected.clone()));
    let mut seen = sample(0, &[]);
    seen.meetings.push(room);
    bench.write(PlanWrite::Sample(sid("a"), seen));
    for named in [&*external, ""] {
        assert_eq!(of(&bench, "a", &event(named, "i-7")), Some(expected.clone()), "{named}");
    }
    bench.write(PlanWrite::Delete(FleetKey::Record(key("m"))));
    bench.write(PlanWrite::Sample(sid("a"), sample(0, &[])));
    assert_eq!(of(&bench, "a", &event(&external, "i-7")), Some(expected), "it is over");
}

#[test]
fn an_event_waits_for_the_create_of_its_own_meeting_alone() {
    let mut bench = bench();
    let pending = MeetingRecord { state: RecordState::Pending, ..record("a", "i-9") };
    let scope = TenantScope::of(&tenant("default"));
    let instance = format!("{}-17", scope.instance_stem("new"));
    let awaited =
        |bench: &FleetBench, server: &str, event: &EventFacts| may_settle(&bench.fleet, &sid(server), event);
    let own = [event("new", "i-9"), event("", &instance), event("foreign", &instance)];
    assert!(own.iter().all(|event| !awaited(&bench, "a", event)), "no create is under way");
    bench.write(PlanWrite::Record(key("new"), pending.clone()));
    for event in &own {
        assert!(awaited(&bench, "a", event) && !awaited(&bench, "b", event), "{event:?}");
    }
    let of_room = EventFacts { parent: Some(iid(&instance)), ..event("other", "i-9") };
    assert!(awaited(&bench, "a", &of_room), "the tenant of a room is that of its parent");
    for other in [event("foreign", "i-9"), event("", "i-9"), event("ne", "i-9")] {
        assert!(!awaited(&bench, "a", &other), "{other:?}");
    }
    bench.write(PlanWrite::Record(key("room-2"), MeetingRecord { breakout: true, ..pending }));
    assert!(awaited(&bench, "a", &event(&format!("{:040}-5", 1), "i-9")), "the server names rooms itself");
    assert!(!awaited(&bench, "a", &event("foreign", "i-9")));
}
