//! Meetings without a record: marked ones, and those of another balancer (ADR 12).

use super::*;

fn foreign() -> SampledMeeting {
    SampledMeeting { key: None, ..listed("m", "m-1") }
}

#[test]
fn meetings_of_others_and_breakouts_are_neither_adopted_nor_ended() {
    let breakout = SampledMeeting { breakout: true, ..listed("m", "m-1") };
    for (adopt, meeting, adopted) in [
        (AdoptPolicy::Tagged, foreign(), false),
        (AdoptPolicy::None, listed("m", "m-1"), false),
        (AdoptPolicy::All, foreign(), true),
        (AdoptPolicy::All, breakout, false),
    ] {
        let bench = FleetBench::with_servers(Policy { adopt, ..Policy::default() }, &["a"]);
        let sample = ServerSample { meetings: vec![meeting], ..sample(bench.store.revision, &[]) };
        let work = on_sample(&bench.fleet, &sid("a"), &sample, bench.now.instant, bench.now);
        assert_eq!((work.plans.len(), work.ends.len()), (usize::from(adopted), 0), "{adopt:?}");
    }
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, None);
    let sample = ServerSample { meetings: vec![foreign()], ..sample(bench.store.revision, &[]) };
    let work = on_sample(&bench.fleet, &sid("a"), &sample, bench.now.instant, bench.now);
    assert!(work.ends.is_empty(), "a suspect zombie applies only to a marked meeting");
}

/// Polls a server that lists one meeting and commits all plans; returns whether an instance is to
/// be ended.
fn poll_all(bench: &mut FleetBench, server: &str, meeting: SampledMeeting) -> bool {
    let sample = ServerSample { meetings: vec![meeting], ..sample(bench.store.revision, &[]) };
    let work = on_sample(&bench.fleet, &sid(server), &sample, bench.now.instant, bench.now);
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    !work.ends.is_empty()
}

#[test]
fn i2_of_two_servers_with_one_unmarked_id_neither_meeting_is_ended_under_adopt_all() {
    let all = Policy { adopt: AdoptPolicy::All, ..Policy::default() };
    let mut bench = FleetBench::with_servers(all, &["a", "b"]);
    let on_b = SampledMeeting { internal_id: iid("m-2"), ..foreign() };
    for _ in 0..3 {
        assert!(!poll_all(&mut bench, "a", foreign()) && !poll_all(&mut bench, "b", on_b.clone()));
    }
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))));
    assert_eq!(bench.fleet.zombies().len(), 0);
    grow_old(&mut bench);
    poll(&mut bench, &[]);
    assert!(!poll_all(&mut bench, "b", on_b));
    assert_eq!(
        instance(&bench),
        Some(("b".into(), Some("m-2".into()))),
        "the second meeting is adopted once the id is free"
    );
}

#[test]
fn i2_a_suspect_zombie_is_never_a_meeting_without_our_mark() {
    let all = Policy { adopt: AdoptPolicy::All, ..Policy::default() };
    let mut bench = FleetBench::with_servers(all, &["a", "b"]);
    write_record(&mut bench, "b", Some("m-2"));
    write_zombie(&mut bench, ZombieState::Due, None);
    assert!(!poll_all(&mut bench, "a", foreign()));
    assert_eq!(zombie(&bench), None, "no marked meeting runs there");
}
