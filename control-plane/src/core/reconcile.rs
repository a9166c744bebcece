//! Turns the list of a poll into the writes and `end` calls that it requires (requirements A5).
//!
//! Only the leader reconciles, and only after a well-formed answer: a failed poll removes no
//! meeting (I8, H12). Every plan is committed with the leader's fencing token. A refused plan is
//! not retried, because the next poll decides again.
//!
//! The watermark of a sample is the revision that the leader had applied before it sent the poll.
//! The poll cannot have seen a meeting that was recorded later, so the absence of that meeting from
//! the list is no evidence that it ended (H11, ADR 2).

mod answers;
mod end_on_return;
mod findings;
mod listing;
mod meeting;
mod settled;
mod sweep;

#[cfg(test)]
mod tests;

pub use answers::on_end_not_found;
pub use end_on_return::ends_on_return;
pub use findings::{CheckReason, InstanceCheck, InstanceEnd};
pub use sweep::{MissingServer, SweepPlan, sweep};

use std::{collections::BTreeSet, time::Instant};

use usher_model::{id::ServerId, meeting::MeetingKey, server::ServerSample};

use self::{findings::MeetingFindings, listing::ListedIndex, meeting::MeetingCase};
use crate::core::{
    fleet::{Fleet, FleetServer},
    now::Now,
    plan::Plan,
};

/// Maximum of plans of one poll; the remaining meetings wait for the next poll (C7).
const MOST_PLANS: usize = 2_000;
/// Maximum of `end` calls of one poll (C7).
const MOST_ENDS: usize = 500;
/// Maximum of `getMeetingInfo` calls of one poll (C7).
const MOST_VERIFIED: usize = 100;

/// The work that follows from one poll.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReconcilePlan {
    /// Plans to commit, each in a transaction of its own.
    pub plans: Vec<Plan>,
    /// Instances to mark and to end.
    pub ends: Vec<InstanceEnd>,
    /// Instances to query by `getMeetingInfo`.
    pub verify: Vec<InstanceCheck>,
    /// Number of meetings that are left for the next poll.
    pub left_over: usize,
}

/// Reconciles the records and zombies of a server with the list of a poll. `sent_at` is the time at
/// which the poll was sent, on the clock of `now`.
pub fn on_sample(
    fleet: &Fleet,
    server: &ServerId,
    sample: &ServerSample,
    sent_at: Instant,
    now: Now,
) -> ReconcilePlan {
    let none = ReconcilePlan::default();
    let Some(known) = fleet.server(server) else { return none };
    if fleet.sample_of_epoch(known).is_some_and(|newest| newest.watermark > sample.watermark) {
        return none; // a newer poll was applied: this one is no evidence
    }
    if settled::is_settled(fleet, known, sample) {
        debug_assert_eq!(work_of(fleet, known, sample, sent_at, now), none, "the server is settled");
        return none;
    }
    work_of(fleet, known, sample, sent_at, now)
}

/// Compares each meeting that the server has or lists with the other side.
fn work_of(
    fleet: &Fleet,
    known: &FleetServer,
    sample: &ServerSample,
    sent_at: Instant,
    now: Now,
) -> ReconcilePlan {
    let (mut work, server) = (ReconcilePlan::default(), known.id());
    let listing = ListedIndex::new(fleet, server, sample);
    let keys: BTreeSet<MeetingKey> = fleet
        .records_on(server)
        .map(|(key, _)| key.clone())
        .chain(fleet.zombies_on(server).map(|(key, _)| key.meeting))
        .chain(listing.ours().cloned())
        .collect();
    let mut keys: Vec<MeetingKey> = keys.into_iter().collect();
    if !keys.is_empty() {
        // The start changes with each poll, so that the same meetings do not come last in every
        // poll while there are more than the limits allow.
        let start = usize::try_from(sample.watermark).unwrap_or(0) % keys.len();
        keys.rotate_left(start);
    }
    for key in keys {
        let case = MeetingCase { fleet, server: known, sample, listing: &listing, sent_at, now };
        work.add(case.settle(&key));
    }
    work
}

impl ReconcilePlan {
    fn add(&mut self, outcome: MeetingFindings) {
        let full = self.plans.len() >= MOST_PLANS
            || (outcome.end.is_some() && self.ends.len() >= MOST_ENDS)
            || (outcome.verify.is_some() && self.verify.len() >= MOST_VERIFIED);
        if full {
            self.left_over += 1;
            return;
        }
        if !outcome.plan.is_empty() {
            self.plans.push(outcome.plan);
        }
        self.ends.extend(outcome.end);
        self.verify.extend(outcome.verify);
    }
}
