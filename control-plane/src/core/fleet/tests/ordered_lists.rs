//! Lists in the order of keys, from any key on, compared with a sorted list of everything.

use proptest::prelude::*;
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::{MeetingKey, ZombieKey},
};

use super::{SERVERS, record};
use crate::core::{
    fleet::Fleet,
    plan::{FleetKey, PlanWrite},
    policy::Policy,
    testkit::{FleetBench, listed, sample, sid},
};

/// Tenants whose ids sort otherwise as a part of a key with a slash.
const TENANTS: [&str; 3] = ["a", "a-b", "a.b"];

fn meeting_key() -> impl Strategy<Value = MeetingKey> {
    (prop::sample::select(&TENANTS[..]), prop::sample::select(vec!["\0", "m", "m/n", "z"])).prop_map(
        |(tenant, meeting)| {
            MeetingKey::new(TenantId::parse(tenant).unwrap(), MeetingId::parse(meeting).unwrap())
        },
    )
}

fn write() -> impl Strategy<Value = PlanWrite> {
    let server = || prop::sample::select(&SERVERS[..]);
    prop_oneof![
        3 => (meeting_key(), server(), 0_u8..3)
            .prop_map(|(key, server, state)| PlanWrite::Record(key, record(server, state, "t"))),
        1 => meeting_key().prop_map(|key| PlanWrite::Delete(FleetKey::Record(key))),
    ]
}

/// Returns the keys of the records that a filter selects, sorted, by a walk over all of them.
fn sorted(fleet: &Fleet, tenant: Option<&TenantId>, server: Option<&str>) -> Vec<MeetingKey> {
    let wanted = fleet.records().filter(|(key, stored)| {
        tenant.is_none_or(|tenant| *tenant == key.tenant)
            && server.is_none_or(|server| stored.value.server.as_str() == server)
    });
    let mut keys: Vec<MeetingKey> = wanted.map(|(key, _)| key.clone()).collect();
    keys.sort();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_list_continues_after_any_key(
        writes in prop::collection::vec(write(), 1..40), after in prop::option::of(meeting_key()),
    ) {
        let mut bench = FleetBench::new(Policy::default());
        for write in writes {
            bench.write(write);
        }
        let fleet = &bench.fleet;
        let tenants: Vec<TenantId> = TENANTS.iter().map(|id| TenantId::parse(id).unwrap()).collect();
        for tenant in tenants.iter().map(Some).chain([None]) {
            for name in SERVERS.iter().copied().map(Some).chain([None]) {
                let server = name.map(sid);
                let all = sorted(fleet, tenant, name);
                prop_assert_eq!(fleet.record_count(tenant, server.as_ref()), all.len());
                let rest: Vec<&MeetingKey> =
                    all.iter().filter(|key| after.as_ref().is_none_or(|after| *key > after)).collect();
                let listed = fleet.records_after(tenant, server.as_ref(), after.as_ref());
                prop_assert_eq!(listed.map(|(key, _)| key).collect::<Vec<_>>(), rest);
            }
        }
    }
}

#[test]
fn servers_and_zombies_continue_after_any_key() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b", "c"]);
    let after = |id: Option<&str>| {
        let id = id.map(sid);
        bench.fleet.servers_after(id.as_ref()).map(|server| server.id().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after(None), ["a", "b", "c"]);
    assert_eq!(after(Some("aa")), ["b", "c"], "an entry that was deleted meanwhile");
    assert_eq!(after(Some("c")), Vec::<String>::new());
    let zombie = usher_model::meeting::Zombie {
        state: usher_model::meeting::ZombieState::Due,
        internal_id: None,
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    let keys: Vec<ZombieKey> =
        ["m", "n"].iter().map(|meeting| crate::core::testkit::zkey(meeting, "a")).collect();
    for key in &keys {
        bench.write(PlanWrite::Zombie(key.clone(), zombie.clone()));
    }
    let rest: Vec<&ZombieKey> = bench.fleet.zombies_after(Some(&keys[0])).map(|(key, _)| key).collect();
    assert_eq!(rest, [&keys[1]]);
}

#[test]
fn a_sample_knows_its_meetings_by_their_instances_and_its_users() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    let mut taken = sample(1, &[("m", "i-3"), ("n", "i-1"), ("o", "i-2")]);
    (0..).zip(&mut taken.meetings).for_each(|(users, meeting)| meeting.participants = users);
    let mut room = listed("p", "i-0");
    (room.participants, room.breakout) = (7, true);
    taken.meetings.push(room);
    let wanted = taken.meetings.clone();
    bench.write(PlanWrite::Sample(sid("a"), taken));
    let server = bench.fleet.server(&sid("a")).unwrap();
    for meeting in &wanted {
        assert_eq!(server.listed(&meeting.internal_id), Some(meeting));
    }
    assert_eq!(server.listed(&crate::core::testkit::iid("i-9")), None);
    assert_eq!(server.users(), 3, "users in breakout rooms are counted in the parent");
    bench.write(PlanWrite::Sample(sid("a"), sample(2, &[])));
    let server = bench.fleet.server(&sid("a")).unwrap();
    assert_eq!((server.listed(&wanted[0].internal_id), server.users()), (None, 0));
}
