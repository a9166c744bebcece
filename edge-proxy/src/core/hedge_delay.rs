//! The time after which a second control plane is called beside a silent one (ADR 11).

use std::time::Duration;

/// The shortest delay. A control plane that waits for its store for a moment is not silent.
const SHORTEST: Duration = Duration::from_millis(300);
/// The longest delay. Long answers may have been caused by a server and not by the control plane (a
/// create that waits for free capacity, F5).
const LONGEST: Duration = Duration::from_millis(1500);
/// An answer is late after this multiple of the mean duration.
const LATE: u32 = 4;
/// The newest answer counts as one of this number.
const WEIGHT: u32 = 8;

/// The mean duration of the latest answers, and the delay that follows from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HedgeDelay {
    mean: Duration,
}

impl HedgeDelay {
    /// Adds the duration of one answer to the mean.
    pub fn observe(&mut self, took: Duration) {
        let took = took.min(LONGEST * LATE);
        self.mean = (self.mean * (WEIGHT - 1) + took) / WEIGHT;
    }

    /// Returns how long to wait for an answer before a second control plane is called.
    pub fn current(&self) -> Duration {
        (self.mean * LATE).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_slow_answer_changes_little_and_many_do() {
        let mut delay = HedgeDelay::default();
        assert_eq!(delay.current(), SHORTEST);
        delay.observe(Duration::from_millis(500));
        assert_eq!(delay.current(), SHORTEST);
        (0..40).for_each(|_| delay.observe(Duration::from_millis(200)));
        assert!(delay.current() > Duration::from_millis(700));
        (0..60).for_each(|_| delay.observe(Duration::from_millis(2)));
        assert_eq!(delay.current(), SHORTEST);
    }

    proptest! {
        #[test]
        fn the_delay_has_bounds(answers in prop::collection::vec(0_u64..100_000, 0..50)) {
            let mut delay = HedgeDelay::default();
            for millis in answers {
                delay.observe(Duration::from_millis(millis));
            }
            prop_assert!((SHORTEST..=LONGEST).contains(&delay.current()));
        }
    }
}
