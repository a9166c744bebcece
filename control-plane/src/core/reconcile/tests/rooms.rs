//! Breakout rooms that applications create themselves (ADR 15): servers list them as breakout
//! rooms, and Usher knows them by the applications' ids.

use super::*;

/// Returns the list entry of the breakout room `m`.
fn room(instance: &str) -> SampledMeeting {
    SampledMeeting {
        breakout: true,
        named: true,
        external_id: "of-the-server".into(),
        ..listed("m", instance)
    }
}

fn poll_rooms(bench: &mut FleetBench, rooms: Vec<SampledMeeting>) -> Vec<String> {
    let sample = ServerSample { meetings: rooms, ..sample(bench.store.revision, &[]) };
    let work = on_sample(&bench.fleet, &sid("a"), &sample, bench.now.instant, bench.now);
    for plan in work.plans.iter().chain(work.ends.iter().map(|end| &end.mark)) {
        assert!(plan.is_empty() || bench.commit(plan));
    }
    work.ends.iter().map(|end| end.internal_id.to_string()).collect()
}

fn breakout(bench: &FleetBench) -> bool {
    bench.fleet.record(&key("m")).unwrap().value.breakout
}

#[test]
fn a_breakout_room_without_a_record_is_adopted_as_one() {
    let mut bench = bench();
    assert!(poll_rooms(&mut bench, vec![room("m-1")]).is_empty());
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))));
    assert!(breakout(&bench));
    assert_eq!(bench.fleet.meeting_count_of(&key("m").tenant), 0);
    for _ in 0..3 {
        assert!(poll_rooms(&mut bench, vec![room("m-1")]).is_empty());
        assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))), "the record stays");
    }
    grow_old(&mut bench);
    poll_rooms(&mut bench, Vec::new());
    assert_eq!(instance(&bench), None, "the breakout room ended with its parent");
}

#[test]
fn a_create_whose_answer_was_lost_is_confirmed_by_a_poll() {
    let mut bench = bench();
    write_record(&mut bench, "a", None);
    poll_rooms(&mut bench, vec![room("m-1")]);
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))));
    assert!(breakout(&bench));
}

#[test]
fn a_superseded_breakout_room_is_ended_when_its_server_returns() {
    let mut bench = bench();
    write_record(&mut bench, "b", Some("m-2"));
    write_zombie(&mut bench, ZombieState::Due, Some("m-1"));
    assert_eq!(poll_rooms(&mut bench, vec![room("m-1")]), ["m-1"]);
    assert!(poll_rooms(&mut bench, Vec::new()).is_empty());
    assert_eq!(zombie(&bench), None);
}

#[test]
fn the_instance_of_a_record_lives_under_any_name_on_the_server() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    grow_old(&mut bench);
    for key in [None, Some(key("of-the-server"))] {
        poll_rooms(&mut bench, vec![SampledMeeting { named: false, key, ..room("m-1") }]);
        assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))));
    }
    assert_eq!(bench.fleet.records().len(), 1);
}

#[test]
fn h13_a_second_instance_on_the_same_server_is_ended() {
    let mut bench = bench();
    poll_rooms(&mut bench, vec![room("m-1")]);
    let late = SampledMeeting { age_ms: 1, ..room("m-0") };
    poll_rooms(&mut bench, vec![room("m-1"), late.clone()]);
    assert_eq!(zombie(&bench), Some(ZombieState::Due));
    assert_eq!(poll_rooms(&mut bench, vec![room("m-1"), late]), ["m-0"]);
    assert_eq!(instance(&bench), Some(("a".into(), Some("m-1".into()))));
    assert!(poll_rooms(&mut bench, vec![room("m-1")]).is_empty());
    assert_eq!((zombie(&bench), instance(&bench)), (None, Some(("a".into(), Some("m-1".into())))));
}
