mod candidates;
mod choices_under_way;

use std::{collections::BTreeMap, time::Duration};

use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    routing::TenantRoute,
    server::{AdminState, HealthRecord, Server, ServerSample},
    settings::PlacementSettings,
    tenant::TenantPolicy,
};

use super::*;
use crate::core::{
    fleet::Fleet,
    lifecycle::{CreateRequest, PlacementOutcome, place},
    load,
    placement::score::SLOW,
    plan::{Plan, PlanWrite},
    policy::Policy,
    testkit::{FleetBench, health, key, listed, sample, server, sid, to_place},
    voice::VoiceWish,
};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n:02}")).collect()
}

fn bench(count: usize) -> FleetBench {
    let names = names(count);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut policy = Policy::default();
    policy.placement.max_inflight_creates = 10_000;
    FleetBench::with_servers(policy, &names)
}

/// A sample of one old meeting with so many users.
fn load(users: u32) -> ServerSample {
    let mut sample = sample(0, &[("base", "base")]);
    sample.meetings[0].participants = users;
    sample
}

fn request(id: &str) -> CreateRequest {
    CreateRequest {
        placement: to_place(id),
        token: format!("token-{id}"),
        request_digest: "".into(),
        supersede: false,
        voice: VoiceWish::default(),
        parent: None,
    }
}

/// Places so many new meetings and counts them by server.
fn place_all(bench: &mut FleetBench, count: usize) -> BTreeMap<ServerId, u32> {
    let mut placed = BTreeMap::new();
    for n in 0..count {
        let request = request(&format!("meeting-{n}"));
        let step = place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).unwrap();
        let PlacementOutcome::New { record, .. } = step.outcome else { panic!("{n} is new") };
        assert!(bench.commit(&step.plan));
        *placed.entry(record.server).or_default() += 1;
    }
    placed
}

fn choice(bench: &FleetBench, request: &PlacementRequest) -> Result<String, NoServer> {
    choose(&bench.fleet, &InflightPlacements::default(), request, bench.now)
        .map(|choice| choice.server.to_string())
}

#[test]
fn f1_a_burst_without_polls_spreads_evenly() {
    let placed = place_all(&mut bench(20), 500);
    assert_eq!(placed.values().max(), Some(&25));
    assert_eq!(placed.values().min(), Some(&25));
}

#[test]
fn f1_choices_under_way_count_before_the_store_shows_them() {
    let bench = bench(20);
    let (mut inflight, mut placed) = (InflightPlacements::default(), BTreeMap::<ServerId, u32>::new());
    for n in 0..500 {
        let request = to_place(&format!("meeting-{n}"));
        let server = choose(&bench.fleet, &inflight, &request, bench.now).unwrap().server;
        inflight.begin(&format!("t{n}"), request.key, server.clone(), 15);
        *placed.entry(server).or_default() += 1;
    }
    assert_eq!((placed.values().max(), placed.values().min()), (Some(&25), Some(&25)));
}

#[test]
fn f1_a_choice_that_the_store_shows_is_not_counted_twice() {
    let mut bench = bench(2);
    let request = request("m");
    let step = place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).unwrap();
    let PlacementOutcome::New { record, .. } = step.outcome else { panic!("it is new") };
    let mut inflight = InflightPlacements::default();
    inflight.begin(&request.token, key("m"), record.server.clone(), 15);
    inflight.see(&bench.fleet);
    assert_eq!(inflight.waiting_on(&record.server).users, 15);
    assert!(bench.commit(&step.plan));
    inflight.see(&bench.fleet);
    assert_eq!(inflight.waiting_on(&record.server), inflight::WaitingCreates::default());
}

#[test]
fn f2_uneven_load_is_levelled() {
    let mut bench = bench(20);
    for (n, name) in names(20).iter().enumerate() {
        bench.write(PlanWrite::Sample(sid(name), load(u32::try_from(n * 10).unwrap())));
    }
    place_all(&mut bench, 500);
    let loads: Vec<f64> = bench.fleet.servers().map(|server| server.effective_load() as f64).collect();
    let mean = loads.iter().sum::<f64>() / 20.0;
    assert!(loads.iter().copied().fold(0.0, f64::max) / mean <= 1.05, "{loads:?}");
}

#[test]
fn f3_servers_far_over_capacity_still_compare() {
    let mut bench = bench(20);
    for (n, name) in names(20).iter().enumerate() {
        bench.write(PlanWrite::Sample(sid(name), load(1_000_000 + u32::try_from(n).unwrap())));
    }
    assert_eq!(choice(&bench, &to_place("m")), Ok("s00".into()));
    assert_eq!(place_all(&mut bench, 100).len(), 20);
}

#[test]
fn f4_ties_fall_by_hash_not_by_list_order() {
    let bench = bench(20);
    let mut counts = [0_u32; 20];
    for n in 0..1000 {
        let chosen = choice(&bench, &to_place(&format!("fresh-{n}"))).unwrap();
        counts[names(20).iter().position(|name| *name == chosen).unwrap()] += 1;
    }
    let chi: f64 = counts.iter().map(|count| (f64::from(*count) - 50.0).powi(2) / 50.0).sum();
    assert!(chi < 43.8, "19 degrees of freedom, p = 0.001: {chi} {counts:?}");
}

#[test]
fn f5_a_server_with_too_many_pending_creates_is_passed_over() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    let placed = place_all(&mut bench, 16);
    assert_eq!(placed.values().copied().collect::<Vec<_>>(), [8, 8]);
    assert_eq!(choice(&bench, &to_place("one more")), Err(NoServer::Saturated));
}

#[test]
fn f5_a_full_server_is_waited_for_while_its_creates_move_and_the_fleet_is_level() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    bench.write(PlanWrite::Sample(sid("b"), load(8 * 15 + 20)));
    place_all(&mut bench, 8);
    assert_eq!(choice(&bench, &to_place("next")), Err(NoServer::Saturated), "a will take it in a moment");
    let hurried = PlacementRequest { when_full: WhenFull::PassOver, ..to_place("next") };
    assert_eq!(choice(&bench, &hurried), Ok("b".into()));
    bench.pass(SLOW);
    assert_eq!(choice(&bench, &to_place("next")), Ok("b".into()), "a slow one holds nobody up");
}

#[test]
fn f5_a_full_server_that_is_far_better_is_passed_over() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    bench.write(PlanWrite::Sample(sid("b"), load(1000)));
    place_all(&mut bench, 8);
    assert_eq!(choice(&bench, &to_place("next")), Ok("b".into()));
}

#[test]
fn f6_unknown_load_is_not_no_load() {
    let mut bench = bench(3);
    bench.write(PlanWrite::Sample(sid("s00"), load(500)));
    bench.write(PlanWrite::Sample(sid("s01"), load(500)));
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Sample(sid("s02"))));
    for n in 0..50 {
        assert_ne!(choice(&bench, &to_place(&format!("m{n}"))), Ok("s02".into()));
    }
    for id in ["s00", "s01"] {
        bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Sample(sid(id))));
    }
    assert_eq!(choice(&bench, &to_place("m")), Err(NoServer::LoadUnknown));
}

#[test]
fn f9_a_server_whose_sample_is_old_is_no_candidate() {
    let mut bench = bench(2);
    bench.pass(Duration::from_secs(31));
    bench.write(PlanWrite::Sample(sid("s01"), load(5000)));
    for n in 0..50 {
        assert_eq!(choice(&bench, &to_place(&format!("m{n}"))), Ok("s01".into()));
    }
}

#[test]
fn f12_a_placement_raises_the_score() {
    let mut bench = bench(1);
    place_all(&mut bench, 1);
    assert_eq!(bench.fleet.server(&sid("s00")).unwrap().effective_load(), 15);
    let settings = &Policy::default().placement;
    assert_eq!(load::floor(4, 0, settings), 4, "S3: capped by the limit");
    assert_eq!(load::floor(0, 60, settings), 60, "S3: raised by the hint");
    assert_eq!(load::floor(0, 200, settings), 75, "S3: at most five floors");
    assert!(load::floor(0, 0, &PlacementSettings { min_users: 0, ..settings.clone() }) > 0);
}

#[test]
fn s1_young_meetings_count_at_least_their_floor() {
    let settings = &Policy::default().placement;
    let mut meeting = listed("m", "m-1");
    meeting.participants = 3;
    meeting.age_ms = 14 * 60_000;
    assert_eq!(load::sampled(&meeting, settings), 15);
    meeting.age_ms = 16 * 60_000;
    assert_eq!(load::sampled(&meeting, settings), 3);
    meeting.breakout = true;
    assert_eq!(load::sampled(&meeting, settings), 0);
}

#[test]
fn s4_weights_share_the_placements() {
    let mut bench = bench(2);
    bench.write(PlanWrite::server(Server { weight: 2.0, ..server("s01") }));
    let placed = place_all(&mut bench, 300);
    let ratio = f64::from(placed[&sid("s01")]) / f64::from(placed[&sid("s00")]);
    assert!((1.9..=2.1).contains(&ratio), "{placed:?}");
}

fn back_to_online(bench: &mut FleetBench, id: &str) {
    bench.offline(id);
    let record = HealthRecord { since_ms: bench.now.wall_ms, ..health(3, 0) };
    bench.write(PlanWrite::Health(sid(id), record));
}

#[test]
fn e3_a_server_that_came_back_starts_slowly() {
    let mut bench = bench(20);
    for name in names(20).iter().skip(1) {
        bench.write(PlanWrite::Sample(sid(name), load(100)));
    }
    back_to_online(&mut bench, "s00");
    let placed = place_all(&mut bench, 20);
    assert!(placed.get(&sid("s00")).copied().unwrap_or(0) <= 1, "{placed:?}");
    bench.pass(Duration::from_secs(20));
    let placed = choose(&bench.fleet, &InflightPlacements::default(), &to_place("later"), bench.now).unwrap();
    assert_eq!(placed.server, sid("s00"), "a third of its weight by now");
}

#[test]
fn e3_no_slow_start_after_unhealthy_nor_when_most_start_together() {
    let mut bench = bench(3);
    bench.unhealthy("s00");
    bench.online("s00");
    assert_eq!(bench.fleet.server(&sid("s00")).unwrap().online_since(), None);
    for id in ["s00", "s01"] {
        back_to_online(&mut bench, id);
        assert!(bench.fleet.server(&sid(id)).unwrap().online_since().is_some());
    }
    let placed = place_all(&mut bench, 30);
    assert_eq!(placed.values().copied().collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn e5_an_online_server_is_chosen_before_any_unhealthy_one_at_any_load() {
    let mut bench = bench(6);
    for id in ["s00", "s01", "s02", "s03"] {
        bench.unhealthy(id);
    }
    for id in ["s04", "s05"] {
        bench.write(PlanWrite::Sample(sid(id), load(100_000)));
    }
    for n in 0..100 {
        let chosen =
            choose(&bench.fleet, &InflightPlacements::default(), &to_place(&format!("m{n}")), bench.now)
                .unwrap();
        assert!(!chosen.panic && [sid("s04"), sid("s05")].contains(&chosen.server), "{chosen:?}");
    }
    let tried = |excluded: &[&str]| {
        let excluded = excluded.iter().map(|id| sid(id)).collect();
        choose(
            &bench.fleet,
            &InflightPlacements::default(),
            &PlacementRequest { excluded, ..to_place("m") },
            bench.now,
        )
    };
    let second = tried(&["s04"]).unwrap();
    assert_eq!((second.server, second.panic), (sid("s05"), false), "a second try has an online one left");
    let third = tried(&["s04", "s05"]).unwrap();
    assert!(third.panic && third.server < sid("s04"), "then those that are left: {third:?}");
    let last = tried(&["s04", "s05", "s00", "s01", "s02"]).unwrap();
    assert_eq!(last.server, sid("s03"));
    let all = ["s00", "s01", "s02", "s03", "s04", "s05"];
    assert_eq!(tried(&all), Err(NoServer::NoneHealthy), "never one that it failed at");
}

#[test]
fn e5_unhealthy_servers_are_used_only_where_few_are_online() {
    let mut bench = bench(4);
    bench.unhealthy("s00");
    for n in 0..50 {
        assert_ne!(choice(&bench, &to_place(&format!("m{n}"))), Ok("s00".into()));
    }
    for id in ["s00", "s01", "s02", "s03"] {
        bench.unhealthy(id);
    }
    assert!(choose(&bench.fleet, &InflightPlacements::default(), &to_place("m"), bench.now).unwrap().panic);
    for id in ["s00", "s01", "s02", "s03"] {
        bench.offline(id);
    }
    assert_eq!(choice(&bench, &to_place("m")), Err(NoServer::NoneHealthy));
}

#[test]
fn e5_a_full_online_server_is_waited_for_before_an_unhealthy_one_is_used() {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b", "c"]);
    for id in ["b", "c"] {
        bench.unhealthy(id);
    }
    let placed = place_all(&mut bench, 8);
    assert_eq!(placed.into_iter().collect::<Vec<_>>(), [(sid("a"), 8)]);
    let when = |when_full| choice(&bench, &PlacementRequest { when_full, ..to_place("next") });
    assert_eq!(when(WhenFull::Wait), Err(NoServer::Saturated));
    assert_eq!(when(WhenFull::PassOver), Err(NoServer::Saturated));
    assert!(when(WhenFull::LastResort).is_ok_and(|chosen| chosen != "a"));
    bench.online("b");
    bench.online("c");
    for n in 0..16 {
        let step =
            place(&bench.fleet, &InflightPlacements::default(), &request(&format!("more-{n}")), bench.now)
                .unwrap();
        assert!(bench.commit(&step.plan));
    }
    let last = choice(&bench, &PlacementRequest { when_full: WhenFull::LastResort, ..to_place("next") });
    assert_eq!(last, Err(NoServer::Saturated), "all are online, and full");
}

#[test]
fn e5_a_preferred_tag_is_no_reason_for_an_unhealthy_server() {
    let mut bench = bench(2);
    bench.write(PlanWrite::server(Server { tags: vec!["eu".into()], ..server("s01") }));
    bench.unhealthy("s01");
    let wish = |tag: &str| choice(&bench, &PlacementRequest { tag: TagWish::parse(tag), ..to_place("m") });
    assert_eq!(wish("eu"), Ok("s00".into()));
    assert_eq!(wish("eu!"), Ok("s01".into()), "required: the only one there is");
}

/// A server that answers no create would look idle for ever, and get every one of them.
#[test]
fn e1_creates_whose_answers_were_lost_count_until_a_poll_has_shown() {
    let mut bench = bench(2);
    let suspect = usher_model::meeting::Zombie {
        state: usher_model::meeting::ZombieState::Due,
        internal_id: None,
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    let mut chosen = BTreeMap::<String, u32>::new();
    for n in 0..10 {
        let server = choice(&bench, &to_place(&format!("m{n}"))).unwrap();
        let key = crate::core::testkit::zkey(&format!("m{n}"), &server);
        bench.write(PlanWrite::Zombie(key, suspect.clone()));
        *chosen.entry(server).or_default() += 1;
    }
    assert_eq!(chosen.values().copied().collect::<Vec<_>>(), [5, 5]);
    for n in 0..10 {
        for id in ["s00", "s01"] {
            let key = crate::core::testkit::zkey(&format!("m{n}"), id);
            bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Zombie(key)));
        }
    }
    assert_eq!(bench.fleet.suspects_on(&sid("s00")) + bench.fleet.suspects_on(&sid("s01")), 0);
}

#[test]
fn tags_have_scalelites_meaning() {
    let mut bench = bench(2);
    bench.write(PlanWrite::server(Server { tags: vec!["eu".into(), "big".into()], ..server("s01") }));
    let wish = |tag: &str| choice(&bench, &PlacementRequest { tag: TagWish::parse(tag), ..to_place("m") });
    assert_eq!(wish(""), Ok("s00".into()), "no wish: servers without tags");
    assert_eq!(wish("!"), Ok("s00".into()));
    assert_eq!(wish("eu"), Ok("s01".into()));
    assert_eq!(wish("us;eu!"), Ok("s01".into()));
    assert_eq!(wish("us"), Ok("s00".into()), "preferred: servers without tags stand in");
    assert_eq!(wish("us!"), Err(NoServer::TagUnavailable));
    assert_eq!(wish("!us"), Err(NoServer::TagUnavailable));
    assert_eq!(wish("none!"), Ok("s00".into()));
}

#[test]
fn a_tenants_tag_is_a_preference_or_a_fence() {
    let mut bench = bench(4);
    for (id, tags) in [("s01", &["eu"][..]), ("s02", &["eu", "gpu"]), ("s03", &["gpu"])] {
        let tags = tags.iter().map(ToString::to_string).collect();
        bench.write(PlanWrite::server(Server { tags, ..server(id) }));
    }
    let mut chosen = |tenants: &str, meetings: &str| {
        let policy = TenantPolicy { server_tag: tenants.into(), ..TenantPolicy::default() };
        let tenant = TenantRoute { policy, ..TenantRoute::new(TenantId::default_tenant()) };
        bench.write(PlanWrite::tenant(tenant));
        let all: std::collections::BTreeSet<_> = (0..40)
            .map(|n| {
                choice(
                    &bench,
                    &PlacementRequest { tag: TagWish::parse(meetings), ..to_place(&format!("m{n}")) },
                )
            })
            .map(|chosen| chosen.unwrap_or_else(|error| error.to_string()))
            .collect();
        all.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(chosen("", ""), "s00");
    assert_eq!(chosen("eu", ""), "s01 s02", "preferred, and there");
    assert_eq!(chosen("asia", ""), "s00", "preferred, and not there");
    assert_eq!(chosen("eu", "gpu!"), "s02 s03", "the meeting's own wish counts");
    assert_eq!(chosen("eu!", ""), "s01 s02");
    assert_eq!(chosen("eu!", "gpu"), "s02", "only among the tenant's own");
    assert_eq!(chosen("eu!", "asia"), "s01 s02", "no wish leads out");
    assert_eq!(chosen("eu!", "none"), "s01 s02");
    assert_eq!(chosen("eu!", "none!"), "tag_unavailable");
    assert_eq!(chosen("asia!", "eu!"), "tag_unavailable");
}

#[test]
fn a_tenant_has_no_more_meetings_than_it_may() {
    let mut bench = bench(2);
    let limited = |max_meetings| {
        let policy = TenantPolicy { max_meetings, ..TenantPolicy::default() };
        PlanWrite::tenant(TenantRoute { policy, ..TenantRoute::new(TenantId::default_tenant()) })
    };
    bench.write(limited(2));
    let step = place(&bench.fleet, &InflightPlacements::default(), &request("a"), bench.now).unwrap();
    assert!(bench.commit(&step.plan));
    let mut inflight = InflightPlacements::default();
    assert!(!has_all_its_meetings(&bench.fleet, &inflight, &key("b")));
    inflight.begin("token", key("b"), sid("s01"), 15);
    assert!(has_all_its_meetings(&bench.fleet, &inflight, &key("c")), "one runs, one is being placed");
    for goes_on in ["a", "b"] {
        assert!(!has_all_its_meetings(&bench.fleet, &inflight, &key(goes_on)), "{goes_on}");
    }
    let other = MeetingKey::new(TenantId::parse("other").unwrap(), MeetingId::parse("c").unwrap());
    assert!(!has_all_its_meetings(&bench.fleet, &inflight, &other));
    bench.write(limited(0));
    assert!(!has_all_its_meetings(&bench.fleet, &inflight, &key("c")), "0 means no limit");
}

#[test]
fn i2_a_server_with_a_zombie_of_the_id_is_no_choice() {
    let mut bench = bench(2);
    let zombie = usher_model::meeting::Zombie {
        state: usher_model::meeting::ZombieState::Due,
        internal_id: None,
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    bench.write(PlanWrite::Zombie(crate::core::testkit::zkey("m", "s00"), zombie));
    bench.write(PlanWrite::Sample(sid("s01"), load(1000)));
    assert_eq!(choice(&bench, &to_place("m")), Ok("s01".into()));
    let excluded = PlacementRequest { excluded: vec![sid("s01")], ..to_place("m") };
    assert_eq!(choice(&bench, &excluded), Err(NoServer::NoneHealthy));
}

#[test]
fn replicas_agree_on_every_tie() {
    let (one, two) = (bench(20), bench(20));
    for n in 0..200 {
        let request = to_place(&format!("m{n}"));
        assert_eq!(choice(&one, &request), choice(&two, &request));
    }
    // Another hash would make replicas of two versions disagree.
    assert_eq!(choice(&one, &to_place("meeting")), Ok("s16".into()));
}

#[test]
fn disabled_and_cordoned_servers_take_no_meeting() {
    let mut bench = bench(2);
    let cordoned = Server { admin: AdminState::Cordoned, ..server("s00") };
    assert!(bench.commit(&Plan { guards: vec![], writes: vec![PlanWrite::server(cordoned)] }));
    bench.write(PlanWrite::Sample(sid("s01"), load(1000)));
    assert_eq!(choice(&bench, &to_place("m")), Ok("s01".into()));
    bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server("s01") }));
    assert_eq!(choice(&bench, &to_place("m")), Err(NoServer::PoolEmpty));
}
