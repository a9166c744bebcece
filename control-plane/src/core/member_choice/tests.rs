use proptest::prelude::*;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn a_write_gets_a_second_where_another_member_can_tell_its_outcome() {
    assert_eq!(AttemptTimes::new(CallKind::Write, LIMIT, 1, Duration::ZERO).attempt, LIMIT);
    let several = AttemptTimes::new(CallKind::Write, LIMIT, 3, Duration::ZERO);
    assert!(several.attempt <= Duration::from_secs(1), "{several:?}");
    assert_eq!(several.hedge, None, "a write is never sent twice at once");
}

#[test]
fn a_frozen_member_costs_one_attempt_and_is_avoided_for_a_while() {
    let (mut choice, now) = (MemberChoice::new(3), Instant::now());
    assert_eq!(choice.next(&[0; 3], now), 0);
    assert!(choice.failed(0, now));
    assert_eq!(choice.next(&[0; 3], now), 1);
    assert_eq!(choice.next(&[0, 1, 0], now), 2, "the frozen member is the last resort");
    assert_eq!(choice.next(&[0, 1, 1], now), 0);
    assert!(choice.failed(1, now), "the next member fails too");
    assert_eq!(choice.preferred(), 2, "not the frozen one");
    let later = now + AVOIDED.0;
    assert!(!choice.is_avoided(0, later));
    assert_eq!(choice.preferred(), 2, "a member that works is kept");
}

#[test]
fn a_member_that_fails_again_is_avoided_longer_and_an_answer_ends_it() {
    let (mut choice, mut now) = (MemberChoice::new(2), Instant::now());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        choice.failed(0, now);
        choice.failed(0, now + Duration::from_millis(1)); // a call that was under way too
        let mut pause = Duration::ZERO;
        while choice.is_avoided(0, now + pause) {
            pause += Duration::from_secs(1);
        }
        pauses.push(pause);
        now += pause;
    }
    assert_eq!(pauses[0], AVOIDED.0);
    assert_eq!(pauses[1], 2 * AVOIDED.0);
    assert_eq!(pauses.last(), Some(&AVOIDED.1));
    choice.failed(0, now);
    choice.answered(0);
    assert!(!choice.is_avoided(0, now));
}

#[test]
fn a_member_that_another_one_outran_is_left_without_being_avoided() {
    let (mut choice, now) = (MemberChoice::new(3), Instant::now());
    assert!(choice.outran(0, 2));
    assert_eq!(choice.preferred(), 2);
    assert!(!choice.is_avoided(0, now));
    assert!(!choice.outran(0, 1), "calls have left it already");
}

#[test]
fn a_cluster_that_is_slow_as_a_whole_gets_longer_attempts() {
    let (mut choice, now) = (MemberChoice::new(3), Instant::now());
    let attempt = |choice: &MemberChoice| choice.times(CallKind::Write, LIMIT, 2, now).attempt;
    assert_eq!(attempt(&choice), ATTEMPT);
    choice.failed(0, now);
    assert_eq!(attempt(&choice), ATTEMPT, "another member may be better");
    choice.failed(1, now);
    assert_eq!(attempt(&choice), LIMIT / 2, "none is known to be better");
    choice.answered(0);
    choice.took(Duration::from_secs(1));
    assert_eq!(attempt(&choice), Duration::from_secs(2));
    for _ in 0..20 {
        choice.took(Duration::from_millis(2));
    }
    assert_eq!(attempt(&choice), ATTEMPT, "it is fast again");
}

#[derive(Debug, Clone, Copy)]
enum MemberEvent {
    Answered(usize),
    Failed(usize),
    Outran(usize, usize),
    Passes(u64),
}

fn event() -> impl Strategy<Value = MemberEvent> {
    prop_oneof![
        (0..5_usize).prop_map(MemberEvent::Answered),
        (0..5_usize).prop_map(MemberEvent::Failed),
        (0..5_usize, 0..5_usize).prop_map(|(slow, winner)| MemberEvent::Outran(slow, winner)),
        (0..90_000_u64).prop_map(MemberEvent::Passes),
    ]
}

proptest! {
    /// In any state, one call tries every member once before it repeats one, those that are not
    /// avoided first; and a member is never avoided for longer than the limit.
    #[test]
    fn every_call_reaches_every_member(count in 1..5_usize, events in prop::collection::vec(event(), 0..60)) {
        let (mut choice, mut now) = (MemberChoice::new(count), Instant::now());
        for event in events {
            match event {
                MemberEvent::Answered(index) => choice.answered(index),
                MemberEvent::Failed(index) => {
                    choice.failed(index, now);
                }
                MemberEvent::Outran(slow, winner) => {
                    choice.outran(slow, winner);
                }
                MemberEvent::Passes(millis) => now += Duration::from_millis(millis),
            }
            prop_assert!(choice.preferred() < count);
            let mut tried = vec![0; count];
            let mut order = Vec::new();
            for _ in 0..count {
                let next = choice.next(&tried, now);
                tried[next] += 1;
                order.push(choice.is_avoided(next, now));
            }
            prop_assert!(tried.iter().all(|tries| *tries == 1), "{tried:?}");
            prop_assert!(order.is_sorted(), "avoided members come last: {order:?}");
            prop_assert!((0..count).all(|index| !choice.is_avoided(index, now + AVOIDED.1)));
        }
    }

    /// The attempts of a call fit into its deadline, and a hedge comes before the attempt ends.
    #[test]
    fn attempts_fit_into_the_deadline(
        millis in 1..60_000_u64, members in 1..8_usize, usual in 0..60_000_u64
    ) {
        let limit = Duration::from_millis(millis);
        for kind in [CallKind::Read, CallKind::Long, CallKind::Write] {
            let times = AttemptTimes::new(kind, limit, members, Duration::from_millis(usual));
            prop_assert!(times.attempt <= limit);
            prop_assert!(times.hedge.is_none_or(|hedge| hedge <= times.attempt));
            if members > 1 {
                prop_assert!(times.attempt <= limit / 2, "time for another member is left");
            }
        }
    }
}
