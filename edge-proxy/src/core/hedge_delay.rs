//! How long a silent control plane is waited for before another is asked too.

use std::time::Duration;

/// Never less: a control plane that waits for its store for a moment is not silent.
const SHORTEST: Duration = Duration::from_millis(300);
/// Never more: what answers took lately may have been a server's business, not the control plane's
/// (a create that waits for room, F5).
const LONGEST: Duration = Duration::from_millis(1500);
/// Answers may take so many times their mean before they are late.
const LATE: u32 = 4;
/// The newest answer counts as one of so many.
const WEIGHT: u32 = 8;

/// What answers took lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HedgeDelay {
    mean: Duration,
}

impl HedgeDelay {
    /// Takes in how long an answer took.
    pub fn observe(&mut self, took: Duration) {
        let took = took.min(LONGEST * LATE);
        self.mean = (self.mean * (WEIGHT - 1) + took) / WEIGHT;
    }

    /// Returns how long to wait for an answer before somebody else is asked too.
    pub fn patience(&self) -> Duration {
        (self.mean * LATE).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_slow_answer_changes_little_and_many_do() {
        let mut pace = HedgeDelay::default();
        assert_eq!(pace.patience(), SHORTEST);
        pace.observe(Duration::from_millis(500));
        assert_eq!(pace.patience(), SHORTEST);
        (0..40).for_each(|_| pace.observe(Duration::from_millis(200)));
        assert!(pace.patience() > Duration::from_millis(700));
        (0..60).for_each(|_| pace.observe(Duration::from_millis(2)));
        assert_eq!(pace.patience(), SHORTEST);
    }

    proptest! {
        #[test]
        fn patience_has_bounds(answers in prop::collection::vec(0_u64..100_000, 0..50)) {
            let mut pace = HedgeDelay::default();
            for millis in answers {
                pace.observe(Duration::from_millis(millis));
            }
            prop_assert!((SHORTEST..=LONGEST).contains(&pace.patience()));
        }
    }
}
