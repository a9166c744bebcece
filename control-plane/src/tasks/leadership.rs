//! This replica's leadership, as the other tasks see it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::info;
use usher_model::revision::FencingToken;
use usher_runtime::clock;

use crate::core::lease::LeaseClock;

/// The duties of this replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaRole {
    /// Another replica leads, or none does yet.
    Follower,
    /// This replica leads, with this token for its writes.
    Leader(FencingToken),
    /// This replica led until the store became unreachable: polls go on in memory, but it neither
    /// writes nor ends a meeting (design 8).
    Stranded,
}

/// The leadership of this replica. The leader task sets it, and the tasks that act for the leader
/// read it; clones share it.
#[derive(Debug, Clone)]
pub struct Leadership {
    role: watch::Sender<ReplicaRole>,
    clock: Arc<Mutex<Option<LeaseClock>>>,
    /// Number of doubts that refused writes raised.
    doubts: watch::Sender<u64>,
    /// Number of doubts at the sending of the last acknowledged renewal.
    settled: watch::Sender<u64>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self {
            role: watch::Sender::new(ReplicaRole::Follower),
            clock: Arc::default(),
            doubts: watch::Sender::new(0),
            settled: watch::Sender::new(0),
        }
    }
}

impl Leadership {
    /// Notes that the store acknowledged the lease.
    pub fn renewed(&self, token: FencingToken, clock: LeaseClock) {
        self.set_clock(Some(clock));
        self.set_role(ReplicaRole::Leader(token));
    }

    /// Ends the leadership of this replica; it continues as `role`.
    pub fn step_down(&self, role: ReplicaRole) {
        self.set_clock(None);
        self.set_role(role);
    }

    /// Returns the token that guards the leader's writes, while this replica may act.
    pub fn token(&self, now: Instant) -> Option<FencingToken> {
        match &*self.role.borrow() {
            ReplicaRole::Leader(token) if self.clock()?.may_act(now) => Some(token.clone()),
            _ => None,
        }
    }

    /// Asks the leader task to renew the lease now, because the store refused a write that `token`
    /// guards, and returns whether this replica still leads by `token`. Concurrent callers share
    /// one renewal. Without this, a leader whose election key is gone would repeat its refused
    /// writes until the next scheduled renewal.
    pub async fn confirm(&self, token: &FencingToken) -> bool {
        let mut wanted = 0;
        self.doubts.send_modify(|doubts| {
            *doubts += 1;
            wanted = *doubts;
        });
        let (mut settled, mut roles) = (self.settled.subscribe(), self.role.subscribe());
        loop {
            if self.token(clock::now()).as_ref() != Some(token) {
                return false;
            }
            if *settled.borrow_and_update() >= wanted {
                return true;
            }
            // Fails only without a leadership, which `self` is.
            tokio::select! {
                _ = settled.changed() => {}
                _ = roles.changed() => {}
            }
        }
    }

    /// Returns a receiver of the number of doubts, for the leader task.
    pub(super) fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.subscribe()
    }

    /// Notes that a renewal was acknowledged that was sent after this number of doubts.
    pub(super) fn settle(&self, doubts: u64) {
        self.settled.send_replace(doubts);
    }

    /// Returns the token and the longest time for an `end` that is sent now: the call must finish
    /// before another replica can act as leader (X3). `None` if no `end` may be sent.
    pub fn end_timeout(&self, wanted: Duration, now: Instant) -> Option<(FencingToken, Duration)> {
        let timeout = self.clock()?.end_timeout(now, wanted)?;
        Some((self.token(now)?, timeout))
    }

    /// Returns whether this replica polls.
    pub fn polls(&self) -> bool {
        !matches!(*self.role.borrow(), ReplicaRole::Follower)
    }

    /// Returns whether this replica leads.
    pub fn leads(&self) -> bool {
        matches!(*self.role.borrow(), ReplicaRole::Leader(_))
    }

    /// Returns a receiver of changes of the role.
    pub fn changes(&self) -> watch::Receiver<ReplicaRole> {
        self.role.subscribe()
    }

    fn clock(&self) -> Option<LeaseClock> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_clock(&self, clock: Option<LeaseClock>) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    fn set_role(&self, role: ReplicaRole) {
        let changed = self.role.send_if_modified(|current| {
            let changed = *current != role;
            *current = role;
            changed
        });
        if changed {
            info!(leads = self.leads(), polls = self.polls(), "role changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn x3_a_doubt_is_settled_by_the_next_renewal_or_ends_with_the_leadership() {
        let (leadership, lease) =
            (Leadership::default(), LeaseClock::new(Duration::from_mins(1), clock::now()));
        let token = FencingToken { key: "election/1".into(), create_revision: 7 };
        assert!(!leadership.confirm(&token).await, "a follower confirms no token");
        let mut doubts = leadership.doubts();
        leadership.renewed(token.clone(), lease);
        for leads_on in [true, false] {
            let renew = async {
                doubts.changed().await.expect("is asked");
                let raised = *doubts.borrow_and_update();
                if leads_on {
                    leadership.renewed(token.clone(), lease);
                    leadership.settle(raised);
                } else {
                    leadership.step_down(ReplicaRole::Follower);
                }
            };
            let (one, other, ()) =
                tokio::join!(leadership.confirm(&token), leadership.confirm(&token), renew);
            assert_eq!((one, other), (leads_on, leads_on));
        }
    }

    #[test]
    fn x3_a_leader_acts_only_while_its_lease_is_certain() {
        let (leadership, now) = (Leadership::default(), Instant::now());
        let token = FencingToken { key: "election/1".into(), create_revision: 7 };
        assert_eq!(leadership.token(now), None);
        leadership.renewed(token.clone(), LeaseClock::new(Duration::from_secs(6), now));
        assert_eq!(leadership.token(now), Some(token));
        assert!(leadership.token(now + Duration::from_secs(5)).is_none(), "two thirds have passed");
        let end = leadership.end_timeout(Duration::from_secs(10), now).map(|(_, timeout)| timeout);
        assert!(
            end.is_none_or(|timeout| timeout < Duration::from_secs(6)),
            "the call could outlive the lease"
        );
        leadership.step_down(ReplicaRole::Stranded);
        assert!(leadership.polls() && !leadership.leads() && leadership.token(now).is_none());
    }
}
