//! The pace of one client's requests: a rate, and a burst of one second of it.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND: u64 = 1_000_000_000;

/// The requests of one client, as the time at which all of them would have come at the highest rate (the
/// generic cell rate algorithm). One atomic number: connections of one client share it without a lock.
#[derive(Debug, Default)]
pub struct RequestPace {
    /// Nanoseconds from the origin of the caller's clock.
    paid_until: AtomicU64,
}

impl RequestPace {
    /// Returns whether a request at `now`, nanoseconds, is within `rate` requests per second, and counts it
    /// if it is. A rate of 0 means no limit.
    pub fn admits(&self, now: u64, rate: u32) -> bool {
        if rate == 0 {
            return true;
        }
        let each = SECOND / u64::from(rate);
        let paid = |until: u64| {
            let next = until.max(now) + each;
            (next <= now + SECOND.max(each)).then_some(next)
        };
        self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }

    /// Returns whether a new pace would admit the same requests from `now` on.
    pub fn is_rested(&self, now: u64) -> bool {
        self.paid_until.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_of_a_second_is_admitted_and_then_the_rate() {
        let pace = RequestPace::default();
        let admitted = |now| (0..1000).filter(|_| pace.admits(now, 100)).count();
        assert_eq!((admitted(SECOND), admitted(SECOND)), (100, 0));
        assert_eq!((admitted(SECOND + SECOND / 2), admitted(10 * SECOND)), (50, 100));
        assert!(!pace.is_rested(10 * SECOND) && pace.is_rested(11 * SECOND));
        assert!((0..1000).all(|_| pace.admits(0, 0)), "no limit");
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_burst_and_the_rate(
            steps in prop::collection::vec(0_u64..20_000_000, 1..400),
            rate in 1_u32..200,
        ) {
            let (pace, mut now, mut admitted) = (RequestPace::default(), 0, Vec::new());
            for step in steps {
                now += step;
                if pace.admits(now, rate) {
                    admitted.push(now);
                }
            }
            for (index, begin) in admitted.iter().enumerate() {
                let within = admitted[index..].iter().filter(|at| **at <= begin + SECOND).count();
                prop_assert!(within <= 2 * rate as usize + 1);
            }
        }
    }
}
