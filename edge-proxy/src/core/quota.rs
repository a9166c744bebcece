//! The limit of simultaneous users of a tenant, as far as one edge can enforce it.
//!
//! Polls count the users, and the control plane sends the number to the edges. Between two polls an
//! edge adds the joins that it redirected. It does not know which users join twice, nor the joins
//! at other edges. With several edges the limit may therefore be exceeded until the next poll, by
//! the joins that the other edges admit.

use std::time::{Duration, Instant};

/// The time after which a redirected user is either counted by polls or did not arrive.
const ARRIVAL: Duration = Duration::from_secs(20);

/// The joins that this edge redirected since the number from polls changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecentJoins {
    counted: u32,
    joined: u32,
    since: Option<Instant>,
}

impl RecentJoins {
    /// Returns whether one more user may join without exceeding `limit`, and counts the join.
    /// `counted` is the latest number from polls.
    pub fn admit(&mut self, counted: u32, limit: u32, now: Instant) -> bool {
        let over = self.since.is_none_or(|since| now.saturating_duration_since(since) > ARRIVAL);
        if over || counted != self.counted {
            *self = Self { counted, joined: 0, since: Some(now) };
        }
        let admitted = counted.saturating_add(self.joined) < limit;
        self.joined += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_count_until_polls_do() {
        let (mut recent, start) = (RecentJoins::default(), Instant::now());
        for expected in [true, true, false, false] {
            assert_eq!(recent.admit(8, 10, start), expected);
        }
        assert!(!recent.admit(10, 10, start), "polls count them now");
        assert!(recent.admit(9, 10, start), "one has left");
        assert!(!recent.admit(9, 10, start + ARRIVAL));
        assert!(recent.admit(9, 10, start + ARRIVAL + Duration::from_secs(1)), "nobody came");
    }
}
