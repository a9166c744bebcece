use std::time::Duration;

use usher_model::{
    meeting::{MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::{AdminState, Health, HealthRecord, SampledMeeting, Server},
    settings::{AdoptPolicy, ZombiePolicy},
};

use super::*;
use crate::core::{
    lifecycle::{EndReport, report_end},
    plan::{FleetKey, PlanWrite},
    policy::Policy,
    testkit::{FleetBench, health, iid, key, listed, sample, server, sid, zkey},
};

mod adopting;
mod ageing;
mod aliased;
mod rooms;
mod squeezed;

fn bench() -> FleetBench {
    FleetBench::with_servers(Policy::default(), &["a", "b"])
}

fn write_record(bench: &mut FleetBench, server: &str, instance: Option<&str>) {
    let state = match instance {
        Some(instance) => RecordState::Active { internal_id: iid(instance), create_time_ms: 1 },
        None => RecordState::Pending,
    };
    let record = MeetingRecord {
        state,
        server: sid(server),
        token: "t".into(),
        request_digest: Box::default(),
        created_at_ms: 0,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    };
    bench.write(PlanWrite::Record(key("m"), record));
}

fn write_zombie(bench: &mut FleetBench, state: ZombieState, instance: Option<&str>) {
    let since_ms = bench.now.wall_ms;
    let (internal_id, reason) = (instance.map(iid), String::new());
    let zombie = Zombie { state, internal_id, reason, since_ms, stood_ms: 0 };
    bench.write(PlanWrite::Zombie(zkey("m", "a"), zombie));
}

/// Reconciles server `a` with a poll that was sent at `watermark`, without a commit.
fn look(bench: &FleetBench, watermark: u64, meetings: &[(&str, &str)]) -> ReconcilePlan {
    on_sample(&bench.fleet, &sid("a"), &sample(watermark, meetings), bench.now.instant, bench.now)
}

/// Polls `a` now and commits all plans; returns the ended instances.
fn poll(bench: &mut FleetBench, meetings: &[(&str, &str)]) -> Vec<String> {
    let work = look(bench, bench.store.revision, meetings);
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    for end in &work.ends {
        assert!(end.mark.is_empty() || bench.commit(&end.mark));
    }
    work.ends.iter().map(|end| end.internal_id.to_string()).collect()
}

fn instance(bench: &FleetBench) -> Option<(String, Option<String>)> {
    let record = &bench.fleet.record(&key("m"))?.value;
    Some((record.server.to_string(), record.state.internal_id().map(ToString::to_string)))
}

fn zombie(bench: &FleetBench) -> Option<ZombieState> {
    bench.fleet.zombie(&zkey("m", "a")).map(|stored| stored.value.state)
}

fn grow_old(bench: &mut FleetBench) {
    bench.pass(Duration::from_mins(6));
}

#[test]
fn a_meeting_that_is_no_longer_listed_has_ended() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    grow_old(&mut bench);
    assert!(poll(&mut bench, &[("m", "m-1")]).is_empty());
    assert!(instance(&bench).is_some());
    poll(&mut bench, &[]);
    assert_eq!(instance(&bench), None);
}

#[test]
fn h11_a_poll_removes_no_record_that_was_made_after_it_was_sent() {
    let mut bench = bench();
    let before = bench.store.revision;
    write_record(&mut bench, "a", Some("m-1"));
    grow_old(&mut bench);
    assert_eq!(look(&bench, before, &[]), ReconcilePlan::default());
}

#[test]
fn a_poll_older_than_the_one_applied_is_no_evidence() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    let before = bench.store.revision;
    bench.write(PlanWrite::Sample(sid("a"), sample(before + 1, &[])));
    grow_old(&mut bench);
    assert_eq!(look(&bench, before, &[]), ReconcilePlan::default());
}

#[test]
fn i10_the_watermark_of_another_epoch_is_no_evidence() {
    let mut bench = bench();
    let far_ahead = bench.store.revision + 500;
    bench.write(PlanWrite::Sample(sid("a"), sample(far_ahead, &[])));
    bench.fleet = Fleet::new(8, Policy::default()).begun_at(bench.store.revision);
    bench.store.catch_up(&mut bench.fleet, bench.now.instant);
    poll(&mut bench, &[("m", "m-1")]);
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))), "adopted by the first poll");
}

#[test]
fn f9_the_server_of_a_young_meeting_that_is_missing_is_queried_first() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    let work = look(&bench, bench.store.revision, &[]);
    assert!(work.plans.is_empty() && work.verify.len() == 1);
    assert_eq!(work.verify[0].internal_id, iid("m-1"));
    assert!(bench.commit(&work.verify[0].if_gone));
    assert_eq!(instance(&bench), None);
}

#[test]
fn f9_a_list_from_the_past_does_not_bring_an_old_instance_back() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-7"));
    grow_old(&mut bench);
    let work = look(&bench, bench.store.revision, &[("m", "m-3")]);
    assert!(work.plans.is_empty() && work.verify.len() == 1);
    poll(&mut bench, &[("m", "m-9")]);
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-9".into()))), "a newer instance is accepted");
}

#[test]
fn a_pending_record_is_confirmed_when_listed_and_removed_when_its_create_is_over() {
    let mut bench = bench();
    write_record(&mut bench, "a", None);
    poll(&mut bench, &[]);
    assert!(instance(&bench).is_some(), "the create may still be under way");
    bench.pass(Duration::from_secs(31));
    let mut confirmed = FleetBench { store: bench.store.clone(), fleet: bench.fleet.clone(), now: bench.now };
    poll(&mut confirmed, &[("m", "m-1")]);
    assert_eq!(instance(&confirmed), Some(("a".into(), Some("m-1".into()))));
    poll(&mut bench, &[]);
    assert_eq!(instance(&bench), None);
}

#[test]
fn h6_h7_a_due_zombie_is_marked_then_ended_again_and_again_until_it_is_gone() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, Some("m-1"));
    bench.offline("a");
    for _ in 0..3 {
        assert_eq!(poll(&mut bench, &[("m", "m-1")]), ["m-1"]);
        assert_eq!(zombie(&bench), Some(ZombieState::Ending));
    }
    assert!(poll(&mut bench, &[]).is_empty());
    assert_eq!(zombie(&bench), None);
}

#[test]
fn h6_a_waiting_zombie_is_left_alone_and_routes_again_once_its_server_is_online() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Waiting, Some("m-1"));
    bench.unhealthy("a");
    assert!(poll(&mut bench, &[("m", "m-1")]).is_empty());
    assert_eq!(zombie(&bench), Some(ZombieState::Waiting));
    bench.online("a");
    assert!(poll(&mut bench, &[("m", "m-1")]).is_empty());
    assert_eq!((instance(&bench), zombie(&bench)), (Some(("a".into(), Some("m-1".into()))), None));
}

#[test]
fn h6_a_detached_record_is_never_ended_and_returns_without_a_write() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    bench.offline("a");
    assert_eq!(look(&bench, bench.store.revision, &[("m", "m-1")]), ReconcilePlan::default());
}

#[test]
fn zombie_policy_end_ends_the_meetings_of_a_returning_server() {
    let policy = Policy { zombie_policy: ZombiePolicy::End, ..Policy::default() };
    let mut bench = FleetBench::with_servers(policy, &["a"]);
    write_record(&mut bench, "a", Some("m-1"));
    bench.offline("a");
    assert!(poll(&mut bench, &[("m", "m-1")]).is_empty());
    assert_eq!(poll(&mut bench, &[("m", "m-1")]), ["m-1"]);
    assert_eq!(instance(&bench), None);
}

#[test]
fn h13_a_suspect_zombie_is_any_instance_of_the_id_that_runs_there() {
    let mut bench = bench();
    write_record(&mut bench, "b", Some("m-2"));
    write_zombie(&mut bench, ZombieState::Due, None);
    assert_eq!(poll(&mut bench, &[("m", "m-1")]), ["m-1"]);
    assert!(poll(&mut bench, &[]).is_empty());
    assert_eq!(zombie(&bench), None);
}

#[test]
fn a_zombie_is_not_forgotten_by_a_poll_sent_before_it_was_made() {
    let mut bench = bench();
    let before = bench.store.revision;
    write_zombie(&mut bench, ZombieState::Due, None);
    assert_eq!(look(&bench, before, &[]), ReconcilePlan::default());
}

#[test]
fn an_unknown_marked_meeting_is_adopted_or_due_when_its_id_lives_elsewhere() {
    let mut adopting = bench();
    poll(&mut adopting, &[("m", "m-1")]);
    assert_eq!(instance(&adopting), Some(("a".into(), Some("m-1".into()))));
    let mut bench = bench();
    write_record(&mut bench, "b", Some("m-2"));
    assert!(poll(&mut bench, &[("m", "m-1")]).is_empty());
    assert_eq!(zombie(&bench), Some(ZombieState::Due));
    assert_eq!(poll(&mut bench, &[("m", "m-1")]), ["m-1"]);
}

#[test]
fn h11_a_poll_sent_before_a_record_was_removed_does_not_bring_it_back() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    let before = bench.store.revision;
    bench.write(PlanWrite::Delete(FleetKey::Record(key("m"))));
    assert_eq!(look(&bench, before, &[("m", "m-1")]), ReconcilePlan::default());
    poll(&mut bench, &[("m", "m-1")]);
    assert!(instance(&bench).is_some(), "a poll sent after the removal lists the meeting");
}

#[test]
fn an_ending_record_goes_when_unlisted_and_routes_again_if_its_server_never_ended_it() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    let ended = EndReport { instance: Some(&iid("m-1")), ..EndReport::default() };
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
    assert!(bench.commit(&step.plan));
    poll(&mut bench, &[("m", "m-1")]);
    assert!(
        bench.fleet.routing().meeting(&key("m")).is_none(),
        "the record is ENDING while the server ends the meeting"
    );
    let mut stuck = FleetBench { store: bench.store.clone(), fleet: bench.fleet.clone(), now: bench.now };
    grow_old(&mut stuck);
    poll(&mut stuck, &[("m", "m-1")]);
    assert!(stuck.fleet.routing().meeting(&key("m")).is_some(), "I4");
    poll(&mut bench, &[]);
    assert_eq!(instance(&bench), None);
}

#[test]
fn not_found_removes_a_zombie_only_if_it_names_the_queried_instance() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Ending, Some("m-1"));
    assert!(on_end_not_found(&bench.fleet, &zkey("m", "a"), &iid("m-0")).is_empty());
    assert!(bench.commit(&on_end_not_found(&bench.fleet, &zkey("m", "a"), &iid("m-1"))));
    assert_eq!(zombie(&bench), None);
}

#[test]
fn c7_one_round_is_bounded_and_the_next_one_goes_on() {
    let mut bench = bench();
    let names: Vec<String> = (0..2_500).map(|n| format!("m{n}")).collect();
    let instances: Vec<String> = names.iter().map(|name| format!("{name}-1")).collect();
    let all: Vec<(&str, &str)> =
        names.iter().zip(&instances).map(|(name, id)| (name.as_str(), id.as_str())).collect();
    let work = look(&bench, bench.store.revision, &all);
    assert_eq!((work.plans.len(), work.left_over), (2_000, 500));
    poll(&mut bench, &all);
    poll(&mut bench, &all);
    assert_eq!(bench.fleet.record_count_on(&sid("a")), 2_500);
}
