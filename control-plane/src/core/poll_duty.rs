//! The duty of a leader to know, of every server, a poll whose result is in the store (ADR 34).
//!
//! A poll that saw the same writes nothing, and followers conclude from the leadership that it was
//! made. A leader must therefore lead no longer than it polls and can write:
//!
//! | the poll ended, and | its result |
//! |---|---|
//! | its writes are committed, or the store shows what it saw | is in the store |
//! | the entry of the server changed meanwhile | is void, and followers see that themselves |
//! | the store rejects it | is a failed call of the server, unless the store rejects that too: then no replica can place |
//! | the store is unreachable, or its answer was lost | is not in the store; the next poll is written in full |
//! | it did not end: its task hangs, or there is none | is not in the store |
//!
//! If the result of any server's poll has not been in the store for [`limit`], the leader resigns.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use usher_model::id::ServerId;

/// Polling intervals after which a leader without a result resigns. A follower uses a sample for as
/// long (E5).
const INTERVALS: u32 = 3;

/// Returns the longest time without a result in the store: three intervals, and two writes, because a
/// store that answers late is no reason for another leader.
pub fn limit(interval: Duration, write_within: Duration) -> Duration {
    interval * INTERVALS + write_within * 2
}

/// How certain it is that this replica's fleet shows what the store holds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWrite {
    /// Every write of this term was answered; the newest one has this revision, 0 without one.
    Known(u64),
    /// The answer of the last write was lost.
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Settled {
    at: Instant,
    last: LastWrite,
}

/// The servers of one term with the last result that is in the store.
#[derive(Debug, Clone, Default)]
pub struct PollDuty {
    servers: HashMap<ServerId, Settled>,
}

impl PollDuty {
    /// Begins a term: results of an earlier one do not count.
    pub fn begin(&mut self) {
        self.servers.clear();
    }

    /// Notes that the result of a poll is in the store, at `revision` if it was written.
    pub fn settle(&mut self, id: &ServerId, revision: Option<u64>, now: Instant) {
        let before = match self.servers.get(id).map(|settled| settled.last) {
            Some(LastWrite::Known(before)) => before,
            Some(LastWrite::Lost) | None => 0,
        };
        let last = LastWrite::Known(revision.unwrap_or(before));
        self.servers.insert(id.clone(), Settled { at: now, last });
    }

    /// Notes that the store rejects the result. The next poll is written in full.
    pub fn reject(&mut self, id: &ServerId, now: Instant) {
        self.servers.insert(id.clone(), Settled { at: now, last: LastWrite::Lost });
    }

    /// Notes that the answer of the last write was lost.
    pub fn lose(&mut self, id: &ServerId, now: Instant) {
        self.servers.entry(id.clone()).or_insert(Settled { at: now, last: LastWrite::Lost }).last =
            LastWrite::Lost;
    }

    /// Returns the revision that a fleet must have applied before a poll may be compared with it;
    /// `None` if the next poll must be written in full, because no revision is certain to be enough.
    pub fn comparable_from(&self, id: &ServerId) -> Option<u64> {
        match self.servers.get(id).map(|settled| settled.last) {
            Some(LastWrite::Known(revision)) => Some(revision),
            None => Some(0),
            Some(LastWrite::Lost) => None,
        }
    }

    /// Returns a polled server whose last result is older than `limit`. The time of a server that is
    /// polled from now on starts now; servers that are no longer polled are forgotten.
    pub fn overdue(&mut self, polled: &[ServerId], limit: Duration, now: Instant) -> Option<ServerId> {
        let mut before = std::mem::take(&mut self.servers);
        for id in polled {
            let fresh = Settled { at: now, last: LastWrite::Known(0) };
            self.servers.insert(id.clone(), before.remove(id).unwrap_or(fresh));
        }
        let late = |id: &&ServerId| {
            self.servers.get(*id).is_some_and(|settled| now.saturating_duration_since(settled.at) > limit)
        };
        polled.iter().find(late).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testkit::sid;

    const LIMIT: Duration = Duration::from_secs(40);

    #[test]
    fn x3_a_leader_is_overdue_when_one_server_has_no_result_in_time() {
        assert_eq!(limit(Duration::from_secs(10), Duration::from_secs(5)), LIMIT);
        let (mut duty, start, polled) = (PollDuty::default(), Instant::now(), [sid("a"), sid("b")]);
        assert_eq!(duty.overdue(&polled, LIMIT, start), None, "the term has just begun");
        let later = start + LIMIT;
        assert_eq!(duty.overdue(&polled, LIMIT, later), None);
        duty.settle(&sid("a"), None, later);
        let late = later + Duration::from_secs(1);
        assert_eq!(duty.overdue(&polled, LIMIT, late), Some(sid("b")), "its task hangs");
        assert_eq!(duty.overdue(&polled[..1], LIMIT, late), None, "it is no longer polled");
        assert_eq!(duty.overdue(&polled, LIMIT, late), None, "it is polled again, from now on");
        duty.begin();
        assert_eq!(duty.overdue(&polled, LIMIT, late + LIMIT), None, "another term");
    }

    #[test]
    fn f9_a_poll_is_compared_only_with_a_fleet_that_shows_every_earlier_write() {
        let (mut duty, now) = (PollDuty::default(), Instant::now());
        assert_eq!(duty.comparable_from(&sid("a")), Some(0));
        duty.settle(&sid("a"), Some(7), now);
        duty.settle(&sid("a"), None, now);
        assert_eq!(duty.comparable_from(&sid("a")), Some(7), "a poll that wrote nothing changes no revision");
        duty.lose(&sid("a"), now);
        assert_eq!(duty.comparable_from(&sid("a")), None);
        duty.settle(&sid("a"), Some(9), now);
        assert_eq!(duty.comparable_from(&sid("a")), Some(9));
    }

    #[test]
    fn a_write_that_was_lost_settles_nothing() {
        let (mut duty, start) = (PollDuty::default(), Instant::now());
        duty.overdue(&[sid("a")], LIMIT, start);
        duty.lose(&sid("a"), start + LIMIT);
        let late = start + LIMIT * 2;
        assert_eq!(duty.overdue(&[sid("a")], LIMIT, late), Some(sid("a")));
    }
}
