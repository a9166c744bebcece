//! The choice of the store's member that is called next, and the time that each attempt gets.
//!
//! Calls stay at one member until it fails, because each member has connections, tokens and a
//! watch of its own. A member that failed is avoided for a while, and a frozen one therefore
//! costs one attempt and not one for each call. Spreading the calls over all members was rejected:
//! one frozen member of three would then delay every third call.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Longest time of one attempt that another member can repeat or whose outcome another member can
/// tell. etcd itself gives a write five seconds; a healthy member needs milliseconds.
const ATTEMPT: Duration = Duration::from_millis(800);

/// Number of attempts of a long call that fit into its deadline.
const LONG_ATTEMPTS: u32 = 3;

/// Silence of a member after which a read is sent to another member too.
const HEDGE_AFTER: Duration = Duration::from_millis(200);

/// Time for which a member is avoided after its first failure, and the longest such time. The
/// latter bounds the time for which a repaired member is unused while the others fail.
const AVOIDED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// The ways in which a call may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A short call with the same effect once or twice: a silent member is not waited for, another
    /// one is called as well.
    Read,
    /// A call with the same effect once or twice that may take long, as a page of a listing.
    Long,
    /// A call that might take effect twice. After a lost answer the caller reads back first.
    Write,
}

/// The times of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTimes {
    /// Longest time of one attempt.
    pub attempt: Duration,
    /// Silence after which another member is called as well; `None` if only one is called at a time.
    pub hedge: Option<Duration>,
}

impl AttemptTimes {
    /// Returns the times of a call that ends after `limit`, in a store of `members` members whose
    /// answers lately took up to `usual`. A cluster that is slow as a whole gets longer attempts:
    /// otherwise no attempt would ever be answered.
    pub fn new(kind: CallKind, limit: Duration, members: usize, usual: Duration) -> Self {
        let third = limit / LONG_ATTEMPTS;
        let attempt = ATTEMPT.max(usual.saturating_mul(2)).min(limit / 2);
        match (kind, members) {
            // With one member, the answer may still come and no other member can tell it earlier.
            (CallKind::Write, 0 | 1) => Self { attempt: limit, hedge: None },
            (CallKind::Write, _) => Self { attempt, hedge: None },
            (CallKind::Long, _) | (CallKind::Read, 0 | 1) => Self { attempt: third, hedge: None },
            (CallKind::Read, _) => Self { attempt, hedge: Some(HEDGE_AFTER.min(limit / LONG_ATTEMPTS)) },
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct MemberState {
    /// Failures since the last answer.
    failures: u32,
    avoided_until: Option<Instant>,
}

/// The members of the store, by index, and the one that is preferred.
#[derive(Debug)]
pub struct MemberChoice {
    members: Vec<MemberState>,
    preferred: usize,
    /// The longest time of an answer lately.
    usual: Duration,
}

impl MemberChoice {
    /// Returns the choice among `members` members, of which there is at least one. The first is
    /// preferred.
    pub fn new(members: usize) -> Self {
        Self { members: vec![MemberState::default(); members.max(1)], preferred: 0, usual: Duration::ZERO }
    }

    /// Returns the member for the next attempt of a call. `tried` has the number of attempts of
    /// this call at each member: a member is repeated only after all others were tried, even the
    /// avoided ones.
    pub fn next(&self, tried: &[u32], now: Instant) -> usize {
        let count = self.members.len();
        let rank = |offset: &usize| {
            let index = (self.preferred + offset) % count;
            (tried.get(index).copied().unwrap_or_default(), self.is_avoided(index, now), *offset)
        };
        let best = (0..count).min_by_key(rank).unwrap_or_default();
        (self.preferred + best) % count
    }

    /// Returns whether a member failed a short time ago.
    pub fn is_avoided(&self, index: usize, now: Instant) -> bool {
        self.members.get(index).and_then(|member| member.avoided_until).is_some_and(|until| now < until)
    }

    /// Returns the times of an attempt at a member. If every other member failed lately, none is
    /// known to be better, and the attempt may take as long as if the answers usually took so long.
    pub fn times(&self, kind: CallKind, limit: Duration, index: usize, now: Instant) -> AttemptTimes {
        let count = self.members.len();
        let alone = (0..count).all(|other| other == index || self.is_avoided(other, now));
        let usual = if alone { limit } else { self.usual };
        AttemptTimes::new(kind, limit, count, usual)
    }

    /// Notes the time of a short answer. The longest is forgotten by and by.
    pub fn took(&mut self, time: Duration) {
        self.usual = time.max(self.usual * 7 / 8);
    }

    /// Notes an answer of a member.
    pub fn answered(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            *member = MemberState::default();
        }
    }

    /// Notes that a member failed a call, and prefers another one if it was the preferred one.
    /// Returns whether the preference changed.
    pub fn failed(&mut self, index: usize, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(index) else { return false };
        // Calls that were under way together fail together: they count as one failure.
        if member.avoided_until.is_none_or(|until| until <= now) {
            let (first, most) = AVOIDED;
            let pause = first.saturating_mul(1 << member.failures.min(16)).min(most);
            member.avoided_until = Some(now + pause);
            member.failures = member.failures.saturating_add(1);
        }
        self.leave(index, now)
    }

    /// Notes that `winner` answered before `slow`, which was called earlier and is not known to
    /// have failed. Returns whether the preference changed.
    pub fn outran(&mut self, slow: usize, winner: usize) -> bool {
        let moves = self.preferred == slow && slow != winner && winner < self.members.len();
        if moves {
            self.preferred = winner;
        }
        moves
    }

    /// Returns the preferred member.
    pub fn preferred(&self) -> usize {
        self.preferred
    }

    fn leave(&mut self, index: usize, now: Instant) -> bool {
        if self.preferred != index {
            return false;
        }
        let tried: Vec<u32> = (0..self.members.len()).map(|member| u32::from(member == index)).collect();
        self.preferred = self.next(&tried, now);
        self.preferred != index
    }
}
