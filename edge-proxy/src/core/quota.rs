//! How many users a tenant may have at a time, as far as one edge can tell.
//!
//! Polls count users; the control plane tells edges. Between two polls an edge counts the joins it sent on
//! itself. It does not know who joins twice, nor what other edges sent on: with several edges the limit
//! may be exceeded by what the others admit until the next poll.

use std::time::{Duration, Instant};

/// Time after which somebody who was sent on is either among those that polls count, or did not come.
const ARRIVAL: Duration = Duration::from_secs(20);

/// The joins that this edge sent on since polls last told another number.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecentJoins {
    counted: u32,
    joined: u32,
    since: Option<Instant>,
}

impl RecentJoins {
    /// Admits one more user where that keeps the limit; `counted` is the number polls last told.
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
