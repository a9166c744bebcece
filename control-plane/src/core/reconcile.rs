//! Turns the result of a poll into the writes and ends that follow (requirements A5).
//!
//! Only the leader reconciles, and only after a well-formed answer: a failed poll removes no record
//! (I8, H12). Every plan is committed with the leader's fencing token. A refused plan needs no care:
//! the next poll decides again.
//!
//! The watermark of a sample is the revision that its replica had applied before the poll was sent. The
//! poll cannot have seen a later write, so that the absence of a meeting proves no end (H11).

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

/// Plans one poll may lead to; the rest waits for the next (C7).
const MOST_PLANS: usize = 2_000;
/// `end` calls one poll may lead to.
const MOST_ENDS: usize = 500;
/// Answers of `getMeetingInfo` one poll may ask for.
const MOST_VERIFIED: usize = 100;

/// An instance to be ended. First `mark` is committed, with the fencing token, unless it is empty;
/// only then, and while the lease allows it (X3), `end` is sent, by the internal id alone.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceEnd {
    /// Writes down that an `end` may be on its way.
    pub mark: Plan,
    /// Zombie of the instance.
    pub zombie: ZombieKey,
    /// Internal id of the instance.
    pub internal_id: InternalMeetingId,
    /// Password that BBB 2.4 wants with `end`, if the poll gave it.
    pub moderator_password: Option<Secret>,
}

/// An instance whose existence must be checked by `getMeetingInfo` before any decision.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceCheck {
    /// Meeting of the instance.
    pub key: MeetingKey,
    /// The server to ask.
    pub server: ServerId,
    /// The instance to ask for.
    pub internal_id: InternalMeetingId,
    /// Why it is in doubt.
    pub doubt: CheckReason,
    /// Plan to commit if the server does not know the instance.
    pub if_gone: Plan,
}

/// Reason for the check of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckReason {
    /// The list of its own server lacks it although it is young (F9). If the server knows it, the list
    /// lies: alarm `snapshot_inconsistent`.
    Missing,
    /// The server of the id's record may be the very server that listed it, under another entry. If it
    /// knows the instance, they are one.
    OneServerTwice,
}

/// The consequences of a poll.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReconcilePlan {
    /// To be committed, each on its own.
    pub plans: Vec<Plan>,
    /// To be marked and ended.
    pub ends: Vec<InstanceEnd>,
    /// Instances to check by `getMeetingInfo`.
    pub verify: Vec<InstanceCheck>,
    /// Items left for the next poll.
    pub left_over: usize,
}

/// Reconciles the records and zombies of a server with a sample of it. `sent_at` is the time when the
/// poll was sent, on the clock of `now`.
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
        return work; // a newer poll has been applied
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
        // Where there is more than one round can do, no key always comes last.
        let start = usize::try_from(sample.watermark).unwrap_or(0) % keys.len();
        keys.rotate_left(start);
    }
    for key in keys {
        let case = MeetingCase { fleet, server: known, sample, listing: &listing, sent_at, now };
        work.add(case.settle(&key));
    }
    work
}

/// Returns whether the meetings of this server are to be ended as soon as it answers again: it is
/// offline and `zombie_policy` is `end`. A poll that made it online first would restore them instead.
pub fn ends_on_return(fleet: &Fleet, server: &FleetServer) -> bool {
    fleet.policy().zombie_policy == ZombiePolicy::End && server.health() == Health::Offline
}

/// The consequences of one meeting.
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
