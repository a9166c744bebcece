use proptest::prelude::*;
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn id(number: u64) -> DeliveryId {
    DeliveryId::parse(&format!("{number:032x}")).expect("is an id")
}

fn lane(meeting: u8, target: u8) -> DeliveryLane {
    let meeting = MeetingId::parse(&format!("room-{meeting}")).expect("is an id");
    DeliveryLane {
        meeting: MeetingKey::new(TenantId::default_tenant(), meeting),
        target: format!("https://t{target}"),
        hook: None,
    }
}

fn seen(lane: DeliveryLane, accepted: u64) -> StoredDelivery {
    StoredDelivery { lane, order_ms: 0, accepted, attempts: 0, waited: Duration::ZERO, retries_asked: 0 }
}

fn limits() -> DeliveryLimits {
    DeliveryLimits { per_target: 3, in_all: 100, ..DeliveryLimits::new(Duration::from_hours(24)) }
}

fn tries(work: &[QueueWork]) -> Vec<DeliveryId> {
    work.iter()
        .filter_map(|work| if let QueueWork::Try(id) = work { Some(id.clone()) } else { None })
        .collect()
}

/// One target is down for ten minutes: the lane's order holds, the pauses grow to a minute, and each
/// delivery arrives within one pause of the target's return.
#[test]
fn an_application_that_is_down_for_ten_minutes_gets_everything_in_order() {
    let (start, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    for number in 0..20 {
        queue.upsert(id(number), seen(lane((number % 4) as u8, 0), number), start);
    }
    let (mut now, mut tried, mut taken) = (start, 0, Vec::new());
    while !queue.is_empty() {
        let up = now >= start + Duration::from_mins(10);
        for id in tries(&queue.work(now)) {
            tried += 1;
            let next = queue.finished(&id, if up { TryOutcome::Taken } else { TryOutcome::Down }, now, 0.5);
            if next == Some(DeliveryStep::Taken) {
                taken.push(u64::from_str_radix(id.as_str(), 16).expect("is a number"));
                queue.remove(&id);
            } else {
                queue.settled(&id);
            }
        }
        match queue.next_wake() {
            Some(at) => now = now.max(at),
            None => assert!(queue.is_empty(), "nothing wakes it"),
        }
    }
    assert!(now < start + Duration::from_mins(11), "{:?}", now - start);
    assert!(tried < 20 + 30, "a target that is down is probed, not stormed: {tried} tries");
    for meeting in 0..4 {
        let of: Vec<u64> = taken.iter().copied().filter(|number| number % 4 == meeting).collect();
        assert!(of.is_sorted() && of.len() == 5, "{of:?}");
    }
}

#[test]
fn a_delivery_that_is_not_taken_expires_after_its_time_and_not_before() {
    let (start, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    queue.upsert(id(1), seen(lane(1, 0), 1), start);
    queue.upsert(id(2), seen(lane(2, 0), 2), start);
    let (mut now, mut ends) = (start, Vec::new());
    while !queue.is_empty() {
        for work in queue.work(now) {
            let (id, over) = match work {
                QueueWork::Try(id) => {
                    let next = queue.finished(&id, TryOutcome::Down, now, 0.0).expect("still waits");
                    (id, next == DeliveryStep::Expired)
                }
                QueueWork::Expire(id) => (id, true),
            };
            if over {
                ends.push(now - start);
                queue.remove(&id);
            } else {
                queue.settled(&id);
            }
        }
        now = queue.next_wake().map_or(now, |at| now.max(at));
    }
    let day = Duration::from_hours(24);
    assert!(ends.iter().all(|end| (day..=day + Duration::from_mins(2)).contains(end)), "{ends:?}");
}

#[test]
fn an_operator_has_it_tried_at_once() {
    let (now, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    queue.upsert(id(1), seen(lane(1, 0), 1), now);
    for _ in 0..2 {
        assert_eq!(tries(&queue.work(now)), [id(1)]);
        queue.finished(&id(1), TryOutcome::Down, now, 0.0);
        queue.settled(&id(1));
        assert!(tries(&queue.work(now)).is_empty(), "it has to wait");
        let retries_asked = 1 + queue.items[&id(1)].seen.retries_asked;
        queue.upsert(id(1), StoredDelivery { retries_asked, ..seen(lane(1, 0), 1) }, now);
    }
}

#[test]
fn a_delivery_dropped_during_an_attempt_needs_no_write_and_delays_no_other() {
    let (now, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    queue.upsert(id(1), seen(lane(1, 0), 1), now);
    queue.upsert(id(2), seen(lane(1, 0), 2), now);
    assert_eq!(tries(&queue.work(now)), [id(1)]);
    queue.remove(&id(1));
    assert!(tries(&queue.work(now)).is_empty(), "D1: one at a time, also now");
    assert_eq!(queue.finished(&id(1), TryOutcome::Taken, now, 0.0), None);
    assert_eq!(tries(&queue.work(now)), [id(2)]);
}

#[test]
fn d6_a_tenant_whose_applications_hang_leaves_attempts_to_others() {
    let (now, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    let of = |tenant: &str, target: u64| {
        let meeting = MeetingKey { tenant: TenantId::parse(tenant).expect("is an id"), ..lane(0, 0).meeting };
        DeliveryLane { meeting, target: format!("https://{tenant}{target}"), hook: None }
    };
    for number in 0..300 {
        queue.upsert(id(number), seen(of("greedy", number), number), now);
    }
    let greedy = tries(&queue.work(now));
    assert_eq!(greedy.len(), limits().in_all / 2);
    assert_eq!(queue.next_wake(), None, "only the end of an attempt makes space");
    queue.upsert(id(1000), seen(of("modest", 0), 1000), now);
    assert_eq!(tries(&queue.work(now)), [id(1000)]);
    queue.finished(&greedy[0], TryOutcome::Taken, now, 0.0);
    queue.remove(&greedy[0]);
    assert_eq!(tries(&queue.work(now)).len(), 1, "what became free is used");
}

#[derive(Debug, Clone)]
enum Step {
    Accept { meeting: u8, target: u8 },
    Finish { which: prop::sample::Index, outcome: TryOutcome },
    Drop(prop::sample::Index),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(TryOutcome::Taken),
        Just(TryOutcome::Refused),
        Just(TryOutcome::Failed),
        Just(TryOutcome::Down)
    ];
    prop_oneof![
        4 => (0..4_u8, 0..3_u8).prop_map(|(meeting, target)| Step::Accept { meeting, target }),
        6 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::Finish { which, outcome }),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        3 => (0..300_u16).prop_map(Step::Wait),
    ]
}

proptest! {
    /// D1, D2, D3 and D5 after every step of any history. Target 0 always takes: D4.
    #[test]
    fn invariants_hold_in_any_history(steps in prop::collection::vec(step(), 1..120)) {
        let limits = limits();
        let (mut now, mut queue) = (Instant::now(), DeliveryQueue::new(limits));
        let mut standing: Vec<(u64, DeliveryLane)> = Vec::new();
        let mut flying: Vec<(u64, DeliveryLane)> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Accept { meeting, target } => {
                    next += 1;
                    standing.push((next, lane(meeting, target)));
                    queue.upsert(id(next), seen(lane(meeting, target), next), now);
                }
                Step::Finish { which, outcome } if !flying.is_empty() => {
                    let (number, lane) = flying.remove(which.index(flying.len()));
                    let outcome = if lane.target == "https://t0" { TryOutcome::Taken } else { outcome };
                    let stands = standing.iter().any(|(other, _)| *other == number);
                    let came = queue.finished(&id(number), outcome, now, 0.3);
                    prop_assert_eq!(came.is_some(), stands);
                    match came {
                        Some(DeliveryStep::Taken | DeliveryStep::Refused) => {
                            prop_assert!(matches!(outcome, TryOutcome::Taken | TryOutcome::Refused), "D2");
                            standing.retain(|(other, _)| *other != number);
                            queue.remove(&id(number));
                        }
                        Some(DeliveryStep::Expired) => prop_assert!(false, "D2: nobody tried for a day"),
                        Some(DeliveryStep::Later { .. }) => queue.settled(&id(number)),
                        None => {}
                    }
                }
                Step::Drop(which) if !standing.is_empty() => {
                    let (number, _) = standing.remove(which.index(standing.len()));
                    queue.remove(&id(number));
                }
                Step::Wait(seconds) => now += SECOND * u32::from(seconds),
                Step::Finish { .. } | Step::Drop(_) => {}
            }
            for started in tries(&queue.work(now)) {
                let found = standing.iter().find(|(number, _)| id(*number) == started).cloned();
                let (number, lane) = found.expect("only what stands is tried");
                prop_assert!(flying.iter().all(|(_, other)| *other != lane), "D1: two of a lane");
                let first = standing.iter().filter(|(_, other)| *other == lane).map(|(n, _)| *n).min();
                prop_assert_eq!(first, Some(number), "D1: out of order");
                flying.push((number, lane));
            }
            for target in ["https://t0", "https://t1", "https://t2"] {
                let of_target = |list: &[(u64, DeliveryLane)]| list.iter().filter(|(_, l)| l.target == target).count();
                prop_assert!(of_target(&flying) <= limits.per_target, "D3");
                let mut lanes: Vec<&DeliveryLane> = standing.iter().map(|(_, l)| l).filter(|l| l.target == target).collect();
                lanes.sort();
                lanes.dedup();
                let idle = lanes.iter().filter(|lane| flying.iter().all(|(_, other)| other != **lane)).count();
                if target == "https://t0" && idle > 0 {
                    prop_assert_eq!(of_target(&flying), limits.per_target, "D4: it takes everything, and waits");
                }
            }
            if !standing.is_empty() && flying.is_empty() {
                prop_assert!(queue.next_wake().is_some(), "D5: nothing wakes it");
            }
            prop_assert_eq!(queue.len(), standing.len(), "D2");
        }
    }
}

/// A server sends events at the same time, and sends some again: those of one hook that wait go out as
/// they happened, and each waits a moment for those before it.
#[test]
fn events_go_out_in_the_order_in_which_they_happened() {
    let (start, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    let event = |order_ms: i64, accepted: u64| StoredDelivery { order_ms, ..seen(lane(0, 0), accepted) };
    queue.upsert(id(3), event(30, 1), start);
    assert!(queue.work(start).is_empty(), "it waits a moment");
    queue.upsert(id(2), event(20, 2), start + HOLD / 2);
    queue.upsert(id(1), event(10, 3), start + HOLD / 2);
    let mut now = start;
    for number in 1..=3 {
        now = now.max(queue.next_wake().expect("something waits"));
        assert!(now <= start + HOLD * 2, "no longer than that");
        assert_eq!(tries(&queue.work(now)), [id(number)]);
        assert_eq!(queue.finished(&id(number), TryOutcome::Taken, now, 0.5), Some(DeliveryStep::Taken));
        queue.remove(&id(number));
    }
    assert!(queue.is_empty() && queue.next_wake().is_none());
}

/// One application is down with many deliveries, another one takes its own: no step looks at those
/// that wait.
#[test]
fn a_step_costs_the_same_however_many_deliveries_wait() {
    let steps_with = |waiting: u64| {
        let (now, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
        let own_lane = |number: u64, target: u8| {
            let meeting = MeetingId::parse(&format!("room-{number}")).expect("is an id");
            let of = lane(0, target);
            DeliveryLane { meeting: MeetingKey::new(of.meeting.tenant.clone(), meeting), ..of }
        };
        for number in 0..waiting {
            // Half of them in one lane, as the events of one hook; half in lanes of their own.
            let lane = if number % 2 == 0 { lane(0, 0) } else { own_lane(number, 0) };
            queue.upsert(id(number), seen(lane, number), now);
        }
        for started in tries(&queue.work(now)) {
            queue.finished(&started, TryOutcome::Down, now, 0.0);
            queue.settled(&started);
        }
        queue.work(now);
        queue.steps = 0;
        for number in 0..1000 {
            let event = id(1_000_000 + number);
            queue.upsert(event.clone(), seen(own_lane(number, 1), number), now);
            assert_eq!(tries(&queue.work(now)), std::slice::from_ref(&event));
            assert!(queue.next_wake().is_some());
            assert_eq!(queue.finished(&event, TryOutcome::Taken, now, 0.0), Some(DeliveryStep::Taken));
            queue.remove(&event);
            queue.work(now);
        }
        queue.steps / 1000
    };
    let (few, many) = (steps_with(10), steps_with(20_000));
    assert_eq!(few, many);
    assert!(many < 30, "{many} steps an event");
}

#[test]
fn an_attempt_that_did_not_begin_is_due_again_later() {
    let (now, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    for number in 1..=2 {
        queue.upsert(id(number), seen(lane(1, 0), number), now);
    }
    assert_eq!(tries(&queue.work(now)), [id(1)]);
    queue.postpone(&id(1), now + SECOND);
    assert!(tries(&queue.work(now)).is_empty(), "D1: the second waits behind it");
    assert_eq!(queue.next_wake(), Some(now + SECOND));
    assert_eq!(tries(&queue.work(now + SECOND)), [id(1)]);
    queue.remove(&id(1));
    queue.postpone(&id(1), now);
    assert_eq!(tries(&queue.work(now + SECOND)), [id(2)]);
    queue.remove(&id(2));
    queue.postpone(&id(2), now);
    assert!(queue.is_empty() && queue.next_wake().is_none() && queue.targets.is_empty());
}

#[test]
fn many_deliveries_that_expire_together_end_in_parts() {
    let (start, mut queue) = (Instant::now(), DeliveryQueue::new(limits()));
    for number in 0..1000 {
        queue.upsert(id(number), seen(lane(0, 0), number), start);
    }
    for started in tries(&queue.work(start)) {
        queue.finished(&started, TryOutcome::Down, start, 0.0);
        queue.settled(&started);
    }
    let later = start + Duration::from_hours(25);
    let mut ended = 0;
    while !queue.is_empty() {
        let work = queue.work(later);
        let expired: Vec<&DeliveryId> = work
            .iter()
            .filter_map(|work| if let QueueWork::Expire(id) = work { Some(id) } else { None })
            .collect();
        assert!((1..=limits().in_all).contains(&expired.len()), "{} at once", expired.len());
        ended += expired.len();
        for id in expired {
            queue.remove(id);
        }
        for started in tries(&work) {
            queue.finished(&started, TryOutcome::Down, later, 0.0);
            queue.remove(&started);
            ended += 1;
        }
    }
    assert_eq!(ended, 1000);
}
