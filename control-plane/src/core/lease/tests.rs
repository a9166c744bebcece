use super::*;

const TTL: Duration = Duration::from_secs(6);

fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

#[test]
fn x3_a_leader_stops_two_thirds_into_its_lease_unless_it_was_renewed() {
    let start = Instant::now();
    let mut clock = LeaseClock::new(TTL, start);
    assert_eq!(clock.renew_at(), after(start, 2000));
    assert!(clock.may_act(after(start, 3999)) && !clock.may_act(after(start, 4000)));
    clock.acknowledged(after(start, 2000), TTL);
    assert!(clock.may_act(after(start, 5999)) && !clock.may_act(after(start, 6000)));
}

#[test]
fn x3_an_answer_that_came_late_counts_from_when_it_was_asked_for() {
    let start = Instant::now();
    let mut clock = LeaseClock::new(TTL, start);
    clock.acknowledged(after(start, 2000), TTL);
    clock.acknowledged(after(start, 1000), TTL);
    assert_eq!(clock.stop_at(), after(start, 6000));
}

#[test]
fn x3_a_lost_lease_stays_lost() {
    let start = Instant::now();
    let mut clock = LeaseClock::new(TTL, start);
    clock.acknowledged(after(start, 100), Duration::ZERO);
    clock.acknowledged(after(start, 200), TTL);
    assert!(!clock.may_act(after(start, 300)));
    assert_eq!(clock.remaining(after(start, 300)), Duration::ZERO);
    assert_eq!(clock.end_timeout(after(start, 300), TTL), None);
}

#[test]
fn x3_an_end_is_sent_only_if_it_is_over_before_the_lease() {
    let start = Instant::now();
    let clock = LeaseClock::new(TTL, start);
    assert!(clock.may_end(after(start, 1000), Duration::from_millis(4999)));
    assert!(!clock.may_end(after(start, 1000), Duration::from_secs(5)));
    let fits = clock.end_timeout(after(start, 1000), Duration::from_secs(10)).unwrap();
    assert!(clock.may_end(after(start, 1000), fits) && fits > Duration::from_secs(4));
    assert_eq!(clock.end_timeout(after(start, 1000), Duration::from_secs(1)), Some(Duration::from_secs(1)));
    assert_eq!(clock.end_timeout(after(start, 4000), Duration::from_secs(1)), None);
}
