mod ordered_lists;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use usher_model::{
    id::TenantId,
    meeting::{MeetingRecord, RecordState},
    routing::TenantRoute,
    server::{AdminState, Health, Server, ServerSample},
    tenant::TenantPolicy,
};

use super::*;
use crate::core::{
    plan::{FleetKey, Plan, PlanWrite},
    testkit::{FleetBench, TestStore, health, iid, key, sample, server, sid, zkey},
};

const SERVERS: [&str; 3] = ["a", "b", "c"];
const MEETINGS: [&str; 4] = ["m", "n", "o", "p"];

fn record(server: &str, state: u8, token: &str) -> MeetingRecord {
    let internal_id = iid("m-1");
    let state = match state {
        0 => RecordState::Pending,
        1 => RecordState::Active { internal_id, create_time_ms: 1 },
        _ => RecordState::Ending { internal_id: Some(internal_id) },
    };
    MeetingRecord {
        state,
        server: sid(server),
        token: token.into(),
        request_digest: Box::default(),
        created_at_ms: 0,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    }
}

/// Returns a sample that lists one meeting with `users` users.
fn crowd(watermark: u64, meeting: &str, users: u32) -> ServerSample {
    let mut sample = sample(watermark, &[(meeting, &format!("{meeting}-1"))]);
    sample.meetings[0].participants = users;
    sample
}

/// Returns the tenant `default` with a limit of `max_users` users.
fn limited(max_users: u32) -> TenantRoute {
    let policy = TenantPolicy { max_users, ..TenantPolicy::default() };
    TenantRoute { policy, ..TenantRoute::new(TenantId::default_tenant()) }
}

#[test]
fn edges_hear_how_many_users_a_tenant_has_where_they_are_limited() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    let users = |bench: &FleetBench| {
        let id = TenantId::default_tenant();
        bench.fleet.routing().tenant(&id).map(|tenant| tenant.users)
    };
    bench.write(PlanWrite::tenant(limited(0)));
    bench.write(PlanWrite::Sample(sid("a"), crowd(1, "m", 20)));
    assert_eq!(users(&bench), Some(0), "no edge needs the number without a limit");
    bench.write(PlanWrite::tenant(limited(100)));
    bench.write(PlanWrite::Sample(sid("b"), crowd(1, "n", 3)));
    assert_eq!(users(&bench), Some(23));
    bench.offline("a");
    assert_eq!(users(&bench), Some(3), "the users on an offline server are unknown");
    bench.online("a");
    bench.write(PlanWrite::Sample(sid("a"), sample(2, &[])));
    assert_eq!(users(&bench), Some(3));
    bench.write(PlanWrite::Sample(sid("a"), crowd(3, "n", 3)));
    assert_eq!(users(&bench), Some(3), "one server under two entries");
    bench.write(PlanWrite::Delete(FleetKey::Server(sid("b"))));
    assert_eq!(users(&bench), Some(3));
    bench.write(PlanWrite::Delete(FleetKey::Server(sid("a"))));
    assert_eq!(users(&bench), Some(0));
}

/// Counts the users of `default` by a walk over all servers.
fn users_by_walk(fleet: &Fleet) -> u64 {
    let counted = fleet
        .servers()
        .filter(|server| server.health() != Health::Offline && fleet.original_of(server.id()).is_none());
    counted.map(|server| server.users_of(&TenantId::default_tenant())).sum()
}

#[test]
fn a_host_is_owned_by_each_tenant_that_has_it() {
    let mut bench = FleetBench::new(Policy::default());
    let id = |name: &str| TenantId::parse(name).unwrap();
    let tenant = |name, hosts: &[&str]| {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        PlanWrite::tenant(TenantRoute { hosts, ..TenantRoute::new(id(name)) })
    };
    let owner = |bench: &FleetBench, host: &str, except: &str| {
        bench.fleet.host_owner(host, &id(except)).map(ToString::to_string)
    };
    bench.write(tenant("b", &["x", "y"]));
    bench.write(tenant("a", &["x"]));
    assert_eq!(owner(&bench, "x", "c").as_deref(), Some("a"), "the first of two");
    assert_eq!(owner(&bench, "x", "a").as_deref(), Some("b"));
    bench.write(tenant("b", &["y", "z"]));
    assert_eq!((owner(&bench, "x", "a"), owner(&bench, "z", "a").as_deref()), (None, Some("b")));
    bench.write(PlanWrite::Delete(FleetKey::Tenant(id("b"))));
    assert_eq!((owner(&bench, "y", "a"), owner(&bench, "z", "a")), (None, None));
}

/// Generates any write that a store may contain, also in orders that no replica would produce.
fn write() -> impl Strategy<Value = PlanWrite> {
    let server_id = || prop::sample::select(&SERVERS[..]);
    let meeting = || prop::sample::select(&MEETINGS[..]);
    let admin = [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled];
    let zombie = usher_model::meeting::Zombie {
        state: usher_model::meeting::ZombieState::Due,
        internal_id: None,
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    prop_oneof![
        (server_id(), prop::sample::select(admin.to_vec()))
            .prop_map(|(id, admin)| PlanWrite::server(Server { admin, ..server(id) })),
        (server_id(), 0_u32..4, 0_u32..7).prop_map(|(id, r, e)| PlanWrite::Health(sid(id), health(r, e))),
        (server_id(), 0_u64..40, meeting())
            .prop_map(|(id, at, m)| PlanWrite::Sample(sid(id), crowd(at, m, at as u32 % 4))),
        (0_u32..3).prop_map(|limit| PlanWrite::tenant(limited(limit))),
        Just(PlanWrite::Delete(FleetKey::Tenant(TenantId::default_tenant()))),
        (meeting(), server_id(), 0_u8..3, 0_u8..2).prop_map(|(m, id, state, token)| PlanWrite::Record(
            key(m),
            record(id, state, &token.to_string())
        )),
        (meeting(), server_id()).prop_map(move |(m, id)| PlanWrite::Zombie(zkey(m, id), zombie.clone())),
        server_id().prop_map(|id| PlanWrite::Delete(FleetKey::Server(sid(id)))),
        server_id().prop_map(|id| PlanWrite::Delete(FleetKey::Health(sid(id)))),
        server_id().prop_map(|id| PlanWrite::Delete(FleetKey::Sample(sid(id)))),
        meeting().prop_map(|m| PlanWrite::Delete(FleetKey::Record(key(m)))),
        (meeting(), server_id()).prop_map(|(m, id)| PlanWrite::Delete(FleetKey::Zombie(zkey(m, id)))),
    ]
}

/// Returns the derived values, beyond the routing table, that replicas at one revision must share.
fn facts(fleet: &Fleet) -> Vec<String> {
    let mut facts: Vec<String> = fleet
        .servers()
        .map(|server| {
            let (id, health, load) = (server.id(), server.health(), server.effective_load());
            let counts = (fleet.record_count_on(id), fleet.zombie_count_on(id), server.pending());
            format!("{id} {health:?} {load} {counts:?}")
        })
        .collect();
    facts.extend(fleet.zombies().map(|(key, _)| format!("{key:?}")));
    facts.push(format!("{} records", fleet.records().len()));
    facts.push(format!("{} users", fleet.users_of(&TenantId::default_tenant())));
    facts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// I9: fleets at equal revisions are equal however the history was cut, and every delta is
    /// exact.
    #[test]
    fn i9_equal_histories_give_equal_fleets(
        writes in prop::collection::vec(write(), 1..80),
        cuts in prop::collection::vec(1_usize..6, 80),
    ) {
        let mut store = TestStore::default();
        for write in writes {
            store.commit(&Plan { guards: vec![], writes: vec![write] });
        }
        let now = Instant::now();
        let mut single = Fleet::new(7, Policy::default());
        let mut table = single.routing().clone();
        for (revision, events) in &store.log {
            let before = single.routing().clone();
            let delta = single.apply(*revision, events.clone(), now);
            prop_assert_eq!(usher_model::routing::diff(&before, single.routing()), delta.clone());
            table.apply(&delta).unwrap();
            prop_assert_eq!(single.users_of(&TenantId::default_tenant()), users_by_walk(&single));
        }
        prop_assert_eq!(&table, single.routing());

        let mut batched = Fleet::new(7, Policy::default());
        let (mut rest, mut cuts) = (&store.log[..], cuts.into_iter());
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            let events = batch.iter().flat_map(|(_, events)| events.clone());
            batched.apply(batch.last().unwrap().0, events, now);
            rest = later;
        }
        let mut listed = Fleet::new(7, Policy::default());
        listed.apply(store.revision, store.listing(), now);
        for other in [&batched, &listed] {
            prop_assert_eq!(other.routing(), single.routing());
            prop_assert_eq!(facts(other), facts(&single));
        }
    }

    /// A listing replaces every earlier state of a fleet, as after a compaction.
    #[test]
    fn a_listing_replaces_every_earlier_state(
        before in prop::collection::vec(write(), 0..40),
        after in prop::collection::vec(write(), 0..40),
    ) {
        let now = Instant::now();
        let mut store = TestStore::default();
        let mut fleet = Fleet::new(7, Policy::default());
        for write in before {
            store.commit(&Plan { guards: vec![], writes: vec![write] });
        }
        store.catch_up(&mut fleet, now);
        let mut table = fleet.routing().clone();
        for write in after {
            store.commit(&Plan { guards: vec![], writes: vec![write] });
        }
        let delta = fleet.apply_listing(store.revision, store.listing(), now);
        table.apply(&delta).unwrap();
        let mut fresh = Fleet::new(7, Policy::default());
        fresh.apply(store.revision, store.listing(), now);
        prop_assert_eq!(fleet.routing(), fresh.routing());
        prop_assert_eq!(&table, fresh.routing());
        prop_assert_eq!(facts(&fleet), facts(&fresh));
    }
}

#[test]
fn pending_and_active_records_are_routed_and_ending_ones_are_not() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    for (state, routed) in [(0, true), (1, true), (2, false)] {
        bench.write(PlanWrite::Record(key("m"), record("a", state, "t")));
        assert_eq!(bench.fleet.routing().meeting(&key("m")).is_some(), routed);
    }
}

#[test]
fn a_server_becoming_offline_changes_one_route_however_many_meetings_it_has() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    for n in 0..100 {
        bench.write(PlanWrite::Record(key(&format!("m{n}")), record("a", 1, "t")));
    }
    let plan = Plan { guards: vec![], writes: vec![PlanWrite::Health(sid("a"), health(0, 6))] };
    assert!(bench.store.commit(&plan));
    let (revision, events) = bench.store.log.last().unwrap().clone();
    let delta = bench.fleet.apply(revision, events, bench.now.instant);
    assert_eq!((delta.servers.len(), delta.meetings.len()), (1, 0));
    assert_eq!(bench.fleet.routing().server(&sid("a")).unwrap().health, Health::Offline);
}

fn load(bench: &FleetBench) -> u64 {
    bench.fleet.server(&sid("a")).unwrap().effective_load()
}

#[test]
fn f11_records_are_the_reservations_until_a_poll_sent_after_them_was_applied() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    bench.write(PlanWrite::Record(key("m"), record("a", 0, "t")));
    assert_eq!(load(&bench), 15, "pending counts");
    bench.write(PlanWrite::Record(key("m"), record("a", 1, "t")));
    let confirmed = bench.store.revision;
    bench.write(PlanWrite::Sample(sid("a"), sample(confirmed - 1, &[])));
    assert_eq!(load(&bench), 15, "this poll was sent before the confirmation");
    let mut restarted = Fleet::new(7, Policy::default());
    restarted.apply(bench.store.revision, bench.store.listing(), bench.now.instant);
    assert_eq!(restarted.server(&sid("a")).unwrap().effective_load(), 15, "a new process knows it too");
    bench.write(PlanWrite::Sample(sid("a"), sample(confirmed, &[])));
    assert_eq!(load(&bench), 0, "this poll was sent after the confirmation: the meeting has ended");
}

#[test]
fn a_listed_meeting_counts_once_and_a_stuck_reservation_runs_out() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    bench.write(PlanWrite::Record(key("m"), record("a", 0, "t")));
    let mut seen = sample(0, &[("m", "m-1")]);
    seen.meetings[0].participants = 40;
    bench.write(PlanWrite::Sample(sid("a"), seen));
    assert_eq!(load(&bench), 40);
    bench.write(PlanWrite::Sample(sid("a"), sample(0, &[])));
    assert_eq!(load(&bench), 15);
    bench.pass(Policy::default().reservation_ttl() + Duration::from_secs(1));
    bench.write(PlanWrite::Sample(sid("a"), sample(0, &[])));
    assert_eq!(load(&bench), 0);
}

#[test]
fn s5_a_new_or_reenabled_server_starts_slowly_after_its_first_good_poll() {
    let mut bench = FleetBench::new(Policy::default());
    bench.write(PlanWrite::server(server("a")));
    assert_eq!(bench.fleet.server(&sid("a")).unwrap().health(), Health::Unhealthy);
    bench.pass(Duration::from_secs(3));
    bench.online("a");
    assert_eq!(bench.fleet.server(&sid("a")).unwrap().online_since(), Some(bench.now.instant));
    let mut restarted = Fleet::new(7, Policy::default());
    restarted.apply(bench.store.revision, bench.store.listing(), bench.now.instant);
    let known = restarted.server(&sid("a")).unwrap();
    assert_eq!(
        (known.health(), known.online_since()),
        (Health::Online, None),
        "it was online before this process started"
    );
}

#[test]
fn h15_a_disabled_server_is_polled_as_long_as_it_has_zombies() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server("a") }));
    assert!(!bench.fleet.is_polled(&sid("a")));
    bench.write(PlanWrite::Zombie(
        zkey("m", "a"),
        usher_model::meeting::Zombie {
            state: usher_model::meeting::ZombieState::Due,
            internal_id: None,
            reason: String::new(),
            since_ms: 0,
            stood_ms: 0,
        },
    ));
    assert!(bench.fleet.is_polled(&sid("a")));
}

#[test]
fn i10_a_listing_of_another_history_is_recognised() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    let backup = bench.store.clone();
    bench.offline("a");
    assert!(!bench.fleet.contradicts(&bench.store.listing()), "the listing of its own store");
    assert!(
        !Fleet::new(7, Policy::default()).contradicts(&bench.store.listing()),
        "this fleet has applied no revision"
    );
    let mut other = backup.clone();
    assert!(bench.fleet.contradicts(&other.listing()), "health of an earlier revision");
    for error in [1, 2] {
        let plan = Plan { guards: Vec::new(), writes: vec![PlanWrite::Health(sid("a"), health(0, error))] };
        assert!(other.commit(&plan));
    }
    assert!(other.revision > bench.store.revision, "it has been written up to a later revision since");
    let mut ahead = bench.fleet.clone();
    assert!(
        !ahead.contradicts(&other.listing()),
        "all its values are newer: it is indistinguishable from our history"
    );
    other.catch_up(&mut ahead, bench.now.instant);
    assert!(ahead.contradicts(&backup.listing()));
}
