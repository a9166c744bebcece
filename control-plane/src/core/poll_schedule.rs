//! The first polls of a server at a replica that has just begun to lead.

use std::time::Duration;

/// Time over which overdue polls are spread. It is short, because polling must continue within the TTL
/// of the lease and one second after the end of the old leader, and the store takes half a second of
/// that (design 5).
const CATCH_UP: Duration = Duration::from_millis(250);

/// The first two polls of a server. From the second on, the polls are one interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSchedule {
    /// Time until the first poll.
    pub first: Duration,
    /// Time until the second poll; always more than `first`.
    pub second: Duration,
}

impl PollSchedule {
    /// Returns the schedule of a server that is new or was just enabled: it is polled now. `place` is a
    /// number of the server from 0 to 1, equal on every replica. An operator may add a thousand servers
    /// at once, so the second poll is early as in [`Self::resume`].
    pub fn at_once(place: f64, interval: Duration) -> Self {
        Self { first: Duration::ZERO, second: spread_again(place, interval) }
    }

    /// Returns the schedule of a server at `place` whose last good sample has this age.
    ///
    /// A server that is not due yet keeps the schedule of the former leader. An overdue server is polled
    /// within 250 ms. Its second poll is early by up to half an interval, so that servers with a common
    /// first poll do not keep a common schedule.
    pub fn resume(age: Duration, place: f64, interval: Duration) -> Self {
        match interval.checked_sub(age) {
            Some(due) if !due.is_zero() => Self { first: due, second: due + interval },
            _ => {
                let first = CATCH_UP.min(interval).mul_f64(place);
                Self { first, second: first + spread_again(place, interval) }
            }
        }
    }
}

/// Returns the time from a common first poll to the second one.
fn spread_again(place: f64, interval: Duration) -> Duration {
    (interval / 2).mul_f64(1.0 + place)
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
    fn servers_that_are_added_together_do_not_keep_a_common_beat() {
        let beats = [0.0, 0.5, 1.0].map(|place| PollSchedule::at_once(place, INTERVAL));
        assert!(beats.iter().all(|beat| beat.first.is_zero()));
        assert_eq!(beats.map(|beat| beat.second.as_secs_f64()), [5.0, 7.5, 10.0]);
    }

    #[test]
    fn overdue_servers_are_polled_soon_and_spread_again_after_that() {
        let beats: Vec<PollSchedule> = (0..=100)
            .map(|place| PollSchedule::resume(INTERVAL * 3, f64::from(place) / 100.0, INTERVAL))
            .collect();
        assert!(beats.iter().all(|beat| beat.first <= CATCH_UP));
        assert!(beats.iter().all(|beat| beat.second >= beat.first + INTERVAL / 2));
        assert!(
            beats.iter().all(|beat| beat.second <= beat.first + INTERVAL),
            "no server waits longer than one interval"
        );
        assert!(beats[100].second >= beats[0].second + INTERVAL / 2, "the second polls are spread again");
        let quick = Duration::from_millis(100);
        assert!(PollSchedule::resume(quick, 1.0, quick).first <= quick);
    }
}
