//! Plan, commit, and plan anew when somebody else was first: the loop behind every guarded write.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_common::{
    revision::{FencingToken, Revision},
    runtime::clock::{self, WallClock},
};

use super::{fleet_handle::FleetHandle, revision_reader::RevisionReader};
use crate::{
    core::{epoch::Epoch, fleet::Fleet, lifecycle::Step, now::Now, plan::Plan},
    ops::alarms::{Alarm, Alarms},
    ports::{StoreError, Verdict},
    store::committer::Committer,
};

/// Longest wait for the change that refused a plan. It arrives within milliseconds; when the store
/// counts revisions of others too, it may be none that the fleet will ever see.
const SEE_WITHIN: Duration = Duration::from_secs(1);

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<T> {
    /// What the caller is told.
    pub outcome: T,
    /// Revision from which on it holds.
    pub revision: Revision,
}

/// Why nothing was written, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The decision itself was no.
    #[error(transparent)]
    Decision(E),
    /// The store.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The deadline came first.
    #[error("not written by its deadline")]
    Deadline,
}

/// Commits decisions; clones share everything.
#[derive(Clone)]
pub struct Writer {
    fleet: FleetHandle,
    committer: Committer,
    revisions: RevisionReader,
    alarms: Alarms,
    wall: WallClock,
}

impl Writer {
    /// Writes what is decided from `fleet` through `committer`.
    pub fn new(
        fleet: FleetHandle,
        committer: Committer,
        revisions: RevisionReader,
        alarms: Alarms,
        wall: WallClock,
    ) -> Self {
        Self { fleet, committer, revisions, alarms, wall }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        Now { instant: clock::now(), wall_ms: self.wall.now_ms() }
    }

    /// Returns the fleet decisions are made from.
    pub fn fleet(&self) -> &FleetHandle {
        &self.fleet
    }

    /// Decides and commits until it is written, the decision is no, or the deadline has come. An
    /// answer that was lost is not guessed: the store is read, and the decision made again finds its
    /// own work, or makes a plan whose guards fail if the lost one comes through after all.
    pub async fn write<T, E>(
        &self,
        deadline: Instant,
        fence: Option<&FencingToken>,
        mut decide: impl FnMut(&Fleet, Now) -> Result<Step<T>, E>,
    ) -> Result<Written<T>, WriteError<E>> {
        loop {
            let (decided, epoch, at) =
                self.fleet.read(|fleet| (decide(fleet, self.now()), fleet.epoch(), fleet.revision()));
            let Step { plan, outcome } = decided.map_err(WriteError::Decision)?;
            if plan.is_empty() {
                return Ok(Written { outcome, revision: at });
            }
            let refused_at = match self.commit(&plan, fence, epoch, deadline).await? {
                Verdict::Committed(seq) => {
                    return Ok(Written { outcome, revision: Revision::new(epoch.number, seq) });
                }
                Verdict::Refused(seq) => Revision::new(epoch.number, seq),
            };
            let patience = deadline.saturating_duration_since(clock::now());
            if patience.is_zero() {
                return Err(WriteError::Deadline);
            }
            // Late or not, the next plan is made from the newest fleet there is.
            let _ = self.fleet.reach(refused_at, patience.min(SEE_WITHIN)).await;
        }
    }

    /// Commits a leader's plan, made in `epoch`, once; whoever made it makes another when it is
    /// refused.
    ///
    /// # Errors
    /// The store could not decide, or its answer was lost.
    pub async fn commit_once(
        &self,
        plan: &Plan,
        fence: &FencingToken,
        epoch: Epoch,
    ) -> Result<Verdict, StoreError> {
        let committed = self.committer.commit_plan(plan, Some(fence), epoch).await;
        self.note(committed.as_ref().err());
        committed
    }

    /// Says by the alarm whether the store takes writes (F8).
    fn note(&self, error: Option<&StoreError>) {
        self.alarms.set(Alarm::StoreWriteFailed, error.map(ToString::to_string));
    }

    /// Commits one plan. A lost answer counts as refused at the revision the store has come to.
    async fn commit<E>(
        &self,
        plan: &Plan,
        fence: Option<&FencingToken>,
        epoch: Epoch,
        deadline: Instant,
    ) -> Result<Verdict, WriteError<E>> {
        let committing = self.committer.commit_plan(plan, fence, epoch);
        match tokio::time::timeout_at(deadline.into(), committing).await {
            Ok(Ok(verdict)) => {
                self.note(None);
                Ok(verdict)
            }
            Ok(Err(StoreError::Unknown(_))) => Ok(Verdict::Refused(self.revisions.read().await?)),
            Ok(Err(error)) => {
                self.note(Some(&error));
                Err(Arc::new(error).into())
            }
            Err(_) => Err(WriteError::Deadline),
        }
    }
}
