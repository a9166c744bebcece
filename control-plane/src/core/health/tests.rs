mod evidence;
mod fleetwide;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use usher_model::{
    server::{Health, HealthRecord},
    settings::Settings,
};

use super::*;
use crate::core::{
    policy::Policy,
    testkit::{health, sid},
};

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

fn policy(healthy: u32, unhealthy: u32) -> Policy {
    Policy { healthy_threshold: healthy, unhealthy_threshold: unhealthy, ..Policy::default() }
}

/// One poll, long after every earlier one, so that no change counts as flapping.
fn poll(record: &HealthRecord, ok: bool, policy: &Policy) -> HealthRecord {
    let mut next = if ok {
        on_poll_ok(Some(record), policy, NOW)
    } else {
        on_poll_failed(Some(record), policy, FailureSuspicion::None, "connect", NOW)
    }
    .unwrap_or_else(|| record.clone());
    next.flapped_at_ms.clear();
    next
}

fn offline(record: &HealthRecord, policy: &Policy) -> bool {
    health_of(Some(record), policy) == Health::Offline
}

fn online(record: &HealthRecord, policy: &Policy) -> bool {
    health_of(Some(record), policy) == Health::Online
}

/// Polls with the outcomes in `script` (S, F); returns the polls (from 1) after which the server is
/// offline.
fn reds(script: impl Iterator<Item = char>, policy: &Policy) -> Vec<usize> {
    let mut record = health(policy.healthy_threshold, 0);
    let mut seen = Vec::new();
    for (index, outcome) in script.enumerate() {
        record = poll(&record, outcome == 'S', policy);
        if offline(&record, policy) {
            seen.push(index + 1);
        }
    }
    seen
}

/// Every state that polls can lead to.
fn reachable(policy: &Policy) -> Vec<HealthRecord> {
    let mut states = vec![health(policy.healthy_threshold - 1, 0), health(policy.healthy_threshold, 0)];
    let mut next = 0;
    while let Some(state) = states.get(next).cloned() {
        next += 1;
        for ok in [true, false] {
            let after = poll(&state, ok, policy);
            let same = |other: &HealthRecord| (other.recover, other.error) == (after.recover, after.error);
            if !states.iter().any(same) {
                states.push(after);
            }
        }
    }
    states
}

/// Longest time that a server stays unhealthy from a state on, in polls.
fn longest_unhealthy(record: &HealthRecord, policy: &Policy) -> u32 {
    if health_of(Some(record), policy) != Health::Unhealthy {
        return 0;
    }
    1 + [true, false]
        .map(|ok| longest_unhealthy(&poll(record, ok, policy), policy))
        .into_iter()
        .max()
        .unwrap()
}

#[test]
fn a6_every_property_holds_for_all_thresholds() {
    for (ht, ut) in (1..=6).flat_map(|ht| (1..=6).map(move |ut| (ht, ut))) {
        let policy = policy(ht, ut);
        for state in reachable(&policy) {
            assert!(state.recover < ht || state.error == 0, "I5 {ht} {ut} {state:?}");
            let failed = poll(&state, false, &policy);
            assert!(!online(&failed, &policy), "one failed poll takes it out: {state:?}");
            for ok in [true, false] {
                let after = poll(&state, ok, &policy);
                let faded = offline(&state, &policy) && health_of(Some(&after), &policy) == Health::Unhealthy;
                assert!(!faded, "I6: offline to unhealthy: {state:?}");
                let skipped = online(&state, &policy) && offline(&after, &policy);
                assert!(ut == 1 || !skipped, "I6: online to offline: {state:?}");
            }
            let mut state = failed;
            for successes in 1..=ht {
                state = poll(&state, true, &policy);
                assert_eq!(online(&state, &policy), successes == ht, "{ht} {ut} after {successes}");
            }
        }
        let mut state = health(ht, 0);
        for failures in 1..=ut {
            state = poll(&state, false, &policy);
            assert_eq!(offline(&state, &policy), failures == ut, "{ht} {ut} after {failures}");
        }
        let first = poll(&health(ht, 0), false, &policy);
        assert_eq!(longest_unhealthy(&first, &policy), (ut - 1) * ht, "{ht} {ut}");
    }
}

#[test]
fn h2_offline_exactly_at_the_last_failure_without_enough_successes_in_a_row() {
    // F,S,S twice, then F: with HT=3 two successes never suffice, with UT=6 the sixth F makes it
    // offline.
    let script = "FSSFSSFSSFSSFSSFSS".chars();
    assert_eq!(reds(script, &policy(3, 6)), [16, 17, 18]);
    assert!(reds("FFFFFSSSFFFFF".chars(), &policy(3, 6)).is_empty(), "HT successes start anew");
}

#[test]
fn h3_recovery_needs_successes_in_a_row() {
    let policy = policy(3, 6);
    let mut record = health(0, 6);
    for _ in 0..100 {
        record = poll(&poll(&record, true, &policy), false, &policy);
        assert!(offline(&record, &policy));
    }
    for _ in 0..3 {
        record = poll(&record, true, &policy);
    }
    assert!(online(&record, &policy) && record.error == 0);
}

#[test]
fn h16_thresholds_are_durations() {
    for (interval, polls) in [(5, 12), (10, 6), (20, 3), (60, 3), (90, 3)] {
        let mut settings = Settings::default();
        settings.health.interval = Duration::from_secs(interval);
        assert_eq!(Policy::new(&settings).unhealthy_threshold, polls);
    }
}

proptest! {
    /// For any settings, a server needs three failed polls and `unhealthy_after` from its last success
    /// until it is offline; failed calls in between shorten neither.
    #[test]
    fn h16_offline_takes_three_failed_polls_and_the_time_that_was_set(
        interval in 1_u64..400, after in 1_u64..400, calls in prop::collection::vec(0_u8..3, 0..20),
    ) {
        let mut settings = Settings::default();
        settings.health.interval = Duration::from_secs(interval);
        settings.health.unhealthy_after = Duration::from_secs(after);
        let policy = Policy::new(&settings);
        let (mut record, mut failed_polls) = (health(3, 0), 0_u64);
        let mut failed_calls = calls.into_iter().cycle().take(1000);
        while !offline(&record, &policy) {
            for _ in 0..failed_calls.next().unwrap_or(0) {
                record = on_passive_failure(Some(&record), &policy, "create", NOW).unwrap_or(record);
                prop_assert!(!offline(&record, &policy));
            }
            record = poll(&record, false, &policy);
            failed_polls += 1;
        }
        prop_assert!(failed_polls >= 3 && failed_polls * interval >= after, "{failed_polls}");
        prop_assert!(failed_polls == 3 || (failed_polls - 1) * interval < after, "no longer than that");
    }
}

#[test]
fn h9_failed_calls_make_an_online_server_unhealthy_and_none_offline() {
    for ut in 1..=6 {
        let policy = policy(3, ut);
        let mut record = health(3, 0);
        for _ in 0..100 {
            if let Some(next) = on_passive_failure(Some(&record), &policy, "create", NOW) {
                record = next;
            }
            assert_eq!(health_of(Some(&record), &policy), Health::Unhealthy);
        }
        assert!(record.error <= 1);
        assert_eq!(on_passive_failure(Some(&record), &policy, "create", NOW), None, "nothing new to write");
    }
    let offline = health(2, 6);
    let after = on_passive_failure(Some(&offline), &policy(3, 6), "join", NOW).unwrap();
    assert_eq!((after.recover, after.error), (0, 6));
}

#[test]
fn h9_at_most_one_passive_failure_counts_per_interval() {
    let (mut gate, start, interval) =
        (PassiveFailureGate::default(), Instant::now(), Duration::from_secs(10));
    assert!(gate.admit(&sid("a"), start, interval));
    assert!(!gate.admit(&sid("a"), start + Duration::from_secs(9), interval));
    assert!(gate.admit(&sid("b"), start + Duration::from_secs(9), interval));
    assert!(gate.admit(&sid("a"), start + Duration::from_secs(10), interval));
}

#[test]
fn h10_while_we_suspect_ourselves_no_server_becomes_offline() {
    let policy = policy(3, 6);
    let mut record = health(3, 0);
    for _ in 0..20 {
        let next = on_poll_failed(Some(&record), &policy, FailureSuspicion::Us, "timeout", NOW);
        record = next.unwrap_or(record);
    }
    assert_eq!((health_of(Some(&record), &policy), record.error), (Health::Unhealthy, 5));
    let next = on_poll_failed(Some(&record), &policy, FailureSuspicion::HeldTooLong, "timeout", NOW).unwrap();
    assert!(offline(&next, &policy), "believed after all");
    let still = on_poll_failed(Some(&health(1, 6)), &policy, FailureSuspicion::Us, "timeout", NOW).unwrap();
    assert!(offline(&still, &policy), "an offline server stays offline");
}

#[test]
fn h17_slow_flapping_is_damped_and_ends_offline_by_poll_33() {
    let policy = policy(3, 6);
    let mut record = health(3, 0);
    let mut greens = Vec::new();
    for number in 0..60_i64 {
        let now = NOW + number * 10_000;
        let next = if number % 4 == 0 {
            on_poll_failed(Some(&record), &policy, FailureSuspicion::None, "timeout", now)
        } else {
            on_poll_ok(Some(&record), &policy, now)
        };
        record = next.unwrap_or(record);
        if online(&record, &policy) {
            greens.push(number + 1);
        }
        assert_eq!(offline(&record, &policy), number >= 32, "poll {}", number + 1);
    }
    assert_eq!(greens, [4, 8, 12], "three failures are forgiven, the fourth costs more");
}

#[test]
fn h17_a_clock_that_was_set_back_does_not_damp_for_ever() {
    let policy = policy(3, 6);
    let mut record = health(12, 0);
    record.flapped_at_ms = (1..=5).map(|n| NOW + 86_400_000 + n).collect();
    record = on_poll_failed(Some(&record), &policy, FailureSuspicion::None, "timeout", NOW).unwrap();
    assert_eq!((healthy_threshold(&record, &policy), record.flapped_at_ms), (3, vec![NOW]));
}

#[test]
fn h17_single_failures_hours_apart_have_no_consequence() {
    let policy = policy(3, 6);
    let mut record = health(3, 0);
    for hour in 1..50 {
        let now = NOW + hour * HOUR;
        record = on_poll_failed(Some(&record), &policy, FailureSuspicion::None, "timeout", now).unwrap();
        assert_eq!(healthy_threshold(&record, &policy), 3);
        for _ in 0..3 {
            record = on_poll_ok(Some(&record), &policy, now).unwrap();
        }
        assert!(online(&record, &policy));
    }
}

#[test]
fn a_new_server_is_one_success_from_online_and_fails_like_others() {
    let policy = policy(3, 6);
    assert_eq!(health_of(None, &policy), Health::Unhealthy);
    assert!(online(&on_poll_ok(None, &policy, NOW).unwrap(), &policy));
    let failed = on_poll_failed(None, &policy, FailureSuspicion::None, "connect", NOW).unwrap();
    assert_eq!((failed.recover, failed.error), (0, 1));
}

#[test]
fn a_lowered_threshold_strands_no_server() {
    assert_eq!(health_of(Some(&health(5, 0)), &policy(3, 6)), Health::Online);
    assert_eq!(health_of(Some(&health(0, 6)), &policy(3, 4)), Health::Offline);
}

proptest! {
    /// I5, I6 and the bounds of the counters, over random events in random order.
    #[test]
    fn counters_stay_in_bounds(
        ht in 1_u32..=6, ut in 1_u32..=6,
        events in prop::collection::vec((0_u8..4, 0_i64..700_000), 0..200),
    ) {
        let policy = policy(ht, ut);
        let (mut record, mut now) = (None::<HealthRecord>, NOW);
        for (event, pause) in events {
            now += pause;
            let was = health_of(record.as_ref(), &policy);
            let next = match event {
                0 => on_poll_failed(record.as_ref(), &policy, FailureSuspicion::None, "x", now),
                1 => on_poll_failed(record.as_ref(), &policy, FailureSuspicion::Us, "x", now),
                2 => on_passive_failure(record.as_ref(), &policy, "x", now),
                _ => on_poll_ok(record.as_ref(), &policy, now),
            };
            prop_assert!(next.is_none() || next != record, "a write that changes nothing");
            record = next.or(record);
            let is = health_of(record.as_ref(), &policy);
            prop_assert!(!(was == Health::Offline && is == Health::Unhealthy));
            prop_assert!(!(event != 0 && was != Health::Offline && is == Health::Offline));
            if let Some(record) = &record {
                prop_assert!(record.error <= ut && record.recover <= 24.max(ht));
                prop_assert!(is != Health::Online || record.error == 0);
                if was != is {
                    prop_assert_eq!(record.since_ms, now);
                }
            }
        }
    }
}
