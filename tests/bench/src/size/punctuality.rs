//! Whether polls start on time.

use std::time::{Duration, Instant};

/// The largest delay of a poll that is on time, as a part of the polling interval: 1 s of 10 s.
const TOLERATED: f64 = 0.1;

/// Returns the share of servers all of whose polls were on time, from the arrivals at each of them in
/// a time of `length`. The polls of a server are due one `interval` apart, and the one with the least
/// delay tells when.
pub(super) fn share_on_time(polls: &[Vec<Instant>], interval: Duration, length: Duration) -> f64 {
    let on_time = polls.iter().filter(|arrivals| is_on_time(arrivals, interval, length)).count();
    on_time as f64 / polls.len().max(1) as f64
}

fn is_on_time(arrivals: &[Instant], interval: Duration, length: Duration) -> bool {
    let Some(first) = arrivals.first() else { return false };
    let since: Vec<f64> = arrivals.iter().map(|at| at.duration_since(*first).as_secs_f64()).collect();
    let interval = interval.as_secs_f64();
    let dues = since.iter().map(|at| (at / interval).round());
    let delays: Vec<f64> = since.iter().zip(dues).map(|(at, due)| at - due * interval).collect();
    let least = delays.iter().copied().fold(f64::INFINITY, f64::min);
    let expected = (length.as_secs_f64() / interval).floor() as usize;
    arrivals.len() >= expected && delays.iter().all(|delay| delay - least <= TOLERATED * interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_poll_and_a_missed_one_are_seen() {
        let begun = Instant::now();
        let at = |seconds: &[f64]| -> Vec<Instant> {
            seconds.iter().map(|seconds| begun + Duration::from_secs_f64(*seconds)).collect()
        };
        let interval = Duration::from_secs(10);
        let is_on_time = |arrivals: &[Instant]| is_on_time(arrivals, interval, interval * 3);
        assert!(is_on_time(&at(&[3.0, 13.0, 23.9])));
        assert!(is_on_time(&at(&[3.9, 13.0, 23.0])), "the first poll may be the late one");
        assert!(!is_on_time(&at(&[3.0, 13.0, 24.1])));
        assert!(!is_on_time(&at(&[3.0, 23.0])) && !is_on_time(&[]));
        let share = share_on_time(&[at(&[3.0, 13.0, 23.0]), at(&[3.0, 23.0])], interval, interval * 3);
        assert!((share - 0.5).abs() < 1e-9);
    }
}
