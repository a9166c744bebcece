//! When the polls of one server begin at a replica that has just begun to poll.

use std::time::Duration;

/// Time over which polls that are overdue are spread. Short, as polling goes on within the lease's
/// TTL and one second of the old leader's end, and the store takes half a second of that (design 5).
const CATCH_UP: Duration = Duration::from_millis(250);

/// The first polls of a server; the second and those after it are an interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSchedule {
    /// Time until the first poll.
    pub first: Duration,
    /// Time until the second poll, more than `first`.
    pub second: Duration,
}

impl PollSchedule {
    /// Polls a server now: it is new, or was just enabled.
    pub fn at_once(interval: Duration) -> Self {
        Self { first: Duration::ZERO, second: interval }
    }

    /// Goes on with a server whose last good sample has this age. `place` is the server's own, from 0
    /// to 1, and the same on every replica.
    ///
    /// One that is not due yet keeps the beat of whoever polled it last. One that is overdue is polled
    /// within 250 ms; its second poll comes early by up to half an interval, so that servers that
    /// are caught up with together do not stay together.
    pub fn resume(age: Duration, place: f64, interval: Duration) -> Self {
        match interval.checked_sub(age) {
            Some(due) if !due.is_zero() => Self { first: due, second: due + interval },
            _ => {
                let first = CATCH_UP.min(interval).mul_f64(place);
                Self { first, second: first + (interval / 2).mul_f64(1.0 + place) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_server_that_is_not_due_keeps_its_beat() {
        let beat = PollSchedule::resume(Duration::from_secs(4), 0.9, INTERVAL);
        assert_eq!(beat, PollSchedule { first: Duration::from_secs(6), second: Duration::from_secs(16) });
    }

    #[test]
    fn overdue_servers_are_polled_soon_and_spread_again_after_that() {
        let beats: Vec<PollSchedule> = (0..=100)
            .map(|place| PollSchedule::resume(INTERVAL * 3, f64::from(place) / 100.0, INTERVAL))
            .collect();
        assert!(beats.iter().all(|beat| beat.first <= CATCH_UP));
        assert!(beats.iter().all(|beat| beat.second >= beat.first + INTERVAL / 2));
        assert!(beats.iter().all(|beat| beat.second <= beat.first + INTERVAL), "none waits longer than that");
        assert!(beats[100].second >= beats[0].second + INTERVAL / 2, "the second polls are spread again");
        let quick = Duration::from_millis(100);
        assert!(PollSchedule::resume(quick, 1.0, quick).first <= quick);
    }
}
