//! When the leader renews its lease, and when it stops acting (design 5, X3).
//!
//! Times count from when a keep-alive was *sent*: the store may have taken it the moment after, so
//! the lease can run out no earlier than one TTL after that. A leader stops acting when two thirds
//! of the TTL have passed without an acknowledged keep-alive, well before another can lead; what it
//! has sent off by then is stopped by the fencing guard.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Shortest time worth giving to a call.
const LEAST_CALL: Duration = Duration::from_millis(100);

/// The lease as its holder may count on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClock {
    ttl: Duration,
    sent: Instant,
    lost: bool,
}

impl LeaseClock {
    /// Starts with a lease that was asked for at `sent`.
    pub fn new(ttl: Duration, sent: Instant) -> Self {
        Self { ttl, sent, lost: false }
    }

    /// Takes the answer to a keep-alive that was sent at `sent`. One that comes back late renews
    /// nothing beyond its own time, and a lease once lost stays lost.
    pub fn acknowledged(&mut self, sent: Instant, ttl: Duration) {
        if ttl.is_zero() {
            self.lost = true;
        } else if sent >= self.sent {
            (self.sent, self.ttl) = (sent, ttl);
        }
    }

    /// Notes that the store no longer knows the lease.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Returns when the next keep-alive is to be sent: a third of the TTL after the last one that
    /// was acknowledged.
    pub fn renew_at(&self) -> Instant {
        self.sent + self.ttl / 3
    }

    /// Returns when to stop acting unless a keep-alive is acknowledged before.
    pub fn stop_at(&self) -> Instant {
        self.sent + self.ttl * 2 / 3
    }

    /// Tells whether the holder may act as the leader.
    pub fn may_act(&self, now: Instant) -> bool {
        !self.lost && now < self.stop_at()
    }

    /// Returns what is left of the lease for certain.
    pub fn remaining(&self, now: Instant) -> Duration {
        if self.lost { Duration::ZERO } else { (self.sent + self.ttl).saturating_duration_since(now) }
    }

    /// Tells whether an `end` that takes at most `call_timeout` is over before another can lead.
    pub fn may_end(&self, now: Instant, call_timeout: Duration) -> bool {
        self.may_act(now) && self.remaining(now) > call_timeout
    }

    /// Returns the time an `end` sent now may take: what was wanted, or what the lease allows if that
    /// is less; none when no call may be sent.
    pub fn end_timeout(&self, now: Instant, wanted: Duration) -> Option<Duration> {
        let fits = wanted.min(self.remaining(now).saturating_sub(Duration::from_millis(1)));
        (fits >= LEAST_CALL.min(wanted) && self.may_end(now, fits)).then_some(fits)
    }
}
