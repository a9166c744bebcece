//! The times at which the leader renews its lease and stops acting (design 5, X3).
//!
//! Times count from the moment at which a keep-alive was *sent*: the store may have accepted it
//! immediately after, so that the lease cannot end earlier than one TTL after the sending. A leader
//! stops acting after two thirds of the TTL without an acknowledged keep-alive, before another replica
//! can lead. The fencing guard refuses the writes that it had sent by then.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Shortest timeout of a call: a server that is healthy needs less, and a shorter one would only fail.
const LEAST_CALL: Duration = Duration::from_millis(100);

/// The part of the lease that its holder may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClock {
    ttl: Duration,
    sent: Instant,
    lost: bool,
}

impl LeaseClock {
    /// Returns the clock of a lease that was requested at `sent`.
    pub fn new(ttl: Duration, sent: Instant) -> Self {
        Self { ttl, sent, lost: false }
    }

    /// Applies the answer to a keep-alive that was sent at `sent`; a `ttl` of zero means that the lease
    /// is lost. A late answer extends the lease from its sending only, and a lost lease stays lost.
    pub fn acknowledged(&mut self, sent: Instant, ttl: Duration) {
        if ttl.is_zero() {
            self.lost = true;
        } else if sent >= self.sent {
            (self.sent, self.ttl) = (sent, ttl);
        }
    }

    /// Marks the lease as lost: the store no longer knows it.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Returns the time of the next keep-alive: a third of the TTL after the sending of the last
    /// acknowledged one.
    pub fn renew_at(&self) -> Instant {
        self.sent + self.ttl / 3
    }

    /// Returns the time at which the holder stops acting, unless a keep-alive is acknowledged before.
    pub fn stop_at(&self) -> Instant {
        self.sent + self.ttl * 2 / 3
    }

    /// Returns whether the holder may act as the leader.
    pub fn may_act(&self, now: Instant) -> bool {
        !self.lost && now < self.stop_at()
    }

    /// Returns the certain rest of the lease; zero once it is lost.
    pub fn remaining(&self, now: Instant) -> Duration {
        if self.lost { Duration::ZERO } else { (self.sent + self.ttl).saturating_duration_since(now) }
    }

    /// Returns whether an `end` of at most `call_timeout` ends before another replica can lead.
    pub fn may_end(&self, now: Instant, call_timeout: Duration) -> bool {
        self.may_act(now) && self.remaining(now) > call_timeout
    }

    /// Returns the timeout of an `end` that is sent now: `wanted`, or the rest of the lease if that is
    /// shorter; `None` if no call may be sent.
    pub fn end_timeout(&self, now: Instant, wanted: Duration) -> Option<Duration> {
        let fits = wanted.min(self.remaining(now).saturating_sub(Duration::from_millis(1)));
        (fits >= LEAST_CALL.min(wanted) && self.may_end(now, fits)).then_some(fits)
    }
}
