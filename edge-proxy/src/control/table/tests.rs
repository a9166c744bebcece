use proptest::prelude::*;
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{InternalMeetingId, MeetingId},
    routing::{RouteState, RoutingTable, diff},
    voice::VoiceBridge,
};

use super::*;

fn server(id: &str, health: Health) -> ServerRoute {
    ServerRoute {
        id: ServerId::parse(id).unwrap(),
        url: format!("http://{id}.test/bigbluebutton/api/"),
        secret: Secret::new("s"),
        admin: AdminState::Enabled,
        health,
        algorithm: ChecksumAlgorithm::Sha256,
    }
}

fn meeting(id: &str, server: &str, time: Option<u64>) -> MeetingRoute {
    MeetingRoute {
        key: MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).unwrap()),
        server: ServerId::parse(server).unwrap(),
        voice_bridge: time.and_then(|time| VoiceBridge::new(10_000 + u32::try_from(time).unwrap())),
        state: time.map_or(RouteState::Pending, |time| {
            RouteState::Active(InternalMeetingId::parse(&format!("odd-{time}")).unwrap())
        }),
    }
}

/// A random history, of which each step sets or removes some servers and meetings.
fn history() -> impl Strategy<Value = Vec<Vec<(u8, u8, bool)>>> {
    prop::collection::vec(prop::collection::vec((0..12_u8, 0..3_u8, any::<bool>()), 0..8), 1..12)
}

fn delta_of(at: Revision, changes: &[(u8, u8, bool)]) -> RoutingDelta {
    let mut delta = RoutingDelta::new(at, Revision::new(at.epoch, at.seq + 1));
    for (entry, variant, set) in changes {
        let server_id = format!("s{variant}");
        if *entry < 3 {
            let health = [Health::Online, Health::Unhealthy, Health::Offline][usize::from(*variant)];
            let route = server(&format!("s{entry}"), health);
            delta.servers.insert(route.id.clone(), set.then_some(route));
        } else {
            let route = meeting(&format!("m{entry}"), &server_id, set.then_some(u64::from(*variant)));
            delta.meetings.insert(route.key.clone(), (*variant != 2).then_some(route));
        }
    }
    delta
}

proptest! {
    #[test]
    fn x4_the_live_table_keeps_step_with_the_control_planes_table(steps in history()) {
        let start = Revision::new(7, 1);
        let (live, mut model) = (LiveTable::empty(start), RoutingTable::empty(start));
        for step in steps {
            let delta = delta_of(model.revision(), &step);
            model.apply(&delta).unwrap();
            live.apply(&delta).unwrap();
            prop_assert_eq!(live.digest(), model.digest());
            prop_assert_eq!(live.revision(), model.revision());
            prop_assert_eq!(live.counts().meetings, model.meeting_count());
            prop_assert_eq!(live.counts().servers, model.servers().len());
        }
        let expected = RoutingTable::empty(model.revision());
        prop_assert_eq!(diff(&expected, &model).meetings.len(), live.counts().meetings);
    }
}

#[test]
fn a_delta_that_does_not_fit_changes_nothing() {
    let live = LiveTable::empty(Revision::new(7, 5));
    let delta = RoutingDelta::new(Revision::new(7, 4), Revision::new(7, 6));
    assert!(live.apply(&delta).is_err());
    let foreign = RoutingDelta::new(Revision::new(8, 5), Revision::new(8, 6));
    assert!(live.apply(&foreign).is_err());
    assert_eq!((live.revision(), live.digest()), (Revision::new(7, 5), TableDigest::default()));
}

#[test]
fn meetings_see_their_servers_new_health_at_once() {
    let live = LiveTable::empty(Revision::new(7, 0));
    let mut delta = RoutingDelta::new(Revision::new(7, 0), Revision::new(7, 1));
    let m = meeting("m", "a", None);
    delta.meetings.insert(m.key.clone(), Some(m));
    live.apply(&delta).unwrap();
    let health = || {
        let tenants = live.tenants();
        let slot = tenants.iter().next().map(|(_, slot)| slot.clone()).unwrap();
        slot.meetings.find("m", |found| found.place.server.route().as_ref().map(|r| r.health)).flatten()
    };
    assert_eq!(health(), None, "its server is not known yet");
    for (seq, expected) in [(1, Health::Online), (2, Health::Offline), (3, Health::Unhealthy)] {
        let mut delta = RoutingDelta::new(Revision::new(7, seq), Revision::new(7, seq + 1));
        let route = server("a", expected);
        delta.servers.insert(route.id.clone(), Some(route));
        live.apply(&delta).unwrap();
        assert_eq!(health(), Some(expected));
    }
}

#[test]
fn tenants_are_found_by_host_in_any_case_and_vanish_when_removed() {
    let live = LiveTable::empty(Revision::new(7, 0));
    let id = TenantId::parse("school").unwrap();
    let route = TenantRoute {
        secrets: vec![Secret::new("x")],
        hosts: vec!["BBB.School.test".into()],
        ..TenantRoute::new(id.clone())
    };
    let mut delta = RoutingDelta::new(Revision::new(7, 0), Revision::new(7, 1));
    delta.tenants.insert(id.clone(), Some(route));
    live.apply(&delta).unwrap();
    assert!(live.tenants().by_host("bbb.school.test").is_some() && live.tenants().by_id("school").is_some());
    let mut delta = RoutingDelta::new(Revision::new(7, 1), Revision::new(7, 2));
    delta.tenants.insert(id, None);
    live.apply(&delta).unwrap();
    assert!(live.tenants().by_host("bbb.school.test").is_none() && live.tenants().by_id("school").is_none());
    assert_eq!(live.digest(), TableDigest::default());
}
