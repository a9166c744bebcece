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
mod listing;
mod meeting;
mod sweep;

#[cfg(test)]
mod tests;

pub use answers::on_end_not_found;
pub use sweep::{MissingServer, SweepPlan, sweep};

use std::{collections::BTreeSet, time::Instant};

use usher_bbb::secret::Secret;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, ZombieKey},
    server::{Health, ServerSample},
    settings::ZombiePolicy,
};

use self::{listing::ListedIndex, meeting::MeetingCase};
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

/// An instance to be ended. First `mark` is committed with the fencing token, unless it is empty.
/// Only then, and while the lease allows it (X3), `end` is sent with the internal id alone, so that
/// it cannot hit a newer meeting of the same id (I2).
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceEnd {
    /// Moves the zombie to *ending*, which records that an `end` may be on its way; empty if it is
    /// marked already.
    pub mark: Plan,
    /// The zombie whose instance is ended.
    pub zombie: ZombieKey,
    /// Internal id of the instance.
    pub internal_id: InternalMeetingId,
    /// The moderator password, which BBB 2.4 requires for `end`, if the poll contained it.
    pub moderator_password: Option<Secret>,
}

/// An instance whose existence a server is queried for, by `getMeetingInfo`, before the list is
/// trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceCheck {
    /// Tenant and id of the meeting.
    pub key: MeetingKey,
    /// The server that is queried.
    pub server: ServerId,
    /// The internal id for which the server is queried.
    pub internal_id: InternalMeetingId,
    /// The reason for the query.
    pub doubt: CheckReason,
    /// The plan to commit if the server does not know the instance.
    pub if_gone: Plan,
}

/// The reason for which a server is queried for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckReason {
    /// The list of the instance's own server lacks it although it is young (F9). If the server
    /// knows it, the list is wrong: alarm `snapshot_inconsistent`.
    Missing,
    /// The server of the id's record may be the same server as the one that listed the instance,
    /// under another entry. If it knows the instance, the two entries are one server (ADR 21).
    OneServerTwice,
}

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
    let mut work = ReconcilePlan::default();
    let Some(known) = fleet.server(server) else { return work };
    if fleet.sample_of_epoch(known).is_some_and(|newest| newest.watermark > sample.watermark) {
        return work; // a newer poll was applied: this one is no evidence
    }
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

/// Returns whether the meetings on this server are ended as soon as it answers again: it is offline
/// and `zombie_policy` is `end`. The caller ends them before it writes the counters, because a poll
/// that makes the server online would restore them first.
pub fn ends_on_return(fleet: &Fleet, server: &FleetServer) -> bool {
    fleet.policy().zombie_policy == ZombiePolicy::End && server.health() == Health::Offline
}

/// The work that follows from one meeting.
#[derive(Debug, Default)]
struct MeetingFindings {
    plan: Plan,
    end: Option<InstanceEnd>,
    verify: Option<InstanceCheck>,
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
