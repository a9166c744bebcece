//! Plan, commit, and plan anew when somebody else was first: the loop behind every guarded write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::error;
use usher_model::revision::{FencingToken, Revision};
use usher_runtime::clock::{self, WallClock};

use super::{fleet_handle::FleetHandle, revision_reader::RevisionReader};
use crate::{
    core::{epoch::Epoch, fleet::Fleet, lifecycle::Step, now::Now, plan::Plan},
    ops::alarms::{Alarm, RaisedAlarms},
    ports::{StoreError, Verdict},
    store::{committer::GroupCommitter, keys},
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
    committer: GroupCommitter,
    revisions: RevisionReader,
    alarms: RaisedAlarms,
    wall: WallClock,
    /// The last write was refused for good.
    refused: Arc<AtomicBool>,
}

impl Writer {
    /// Writes what is decided from `fleet` through `committer`.
    pub fn new(
        fleet: FleetHandle,
        committer: GroupCommitter,
        revisions: RevisionReader,
        alarms: RaisedAlarms,
        wall: WallClock,
    ) -> Self {
        Self { fleet, committer, revisions, alarms, wall, refused: Arc::default() }
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
        self.note(plan, committed.as_ref().err());
        committed
    }

    /// Says by the alarm, and once in the log, whether the store takes writes (F8). What it refuses
    /// only a person can mend.
    fn note(&self, plan: &Plan, error: Option<&StoreError>) {
        let refused = matches!(error, Some(StoreError::Rejected(_)));
        let before = self.refused.swap(refused, Ordering::Relaxed);
        let Some(error) = error else { return self.alarms.clear(Alarm::StoreWriteFailed) };
        let key = plan.writes.first().map(|write| keys::path(&write.key())).unwrap_or_default();
        if refused && !before {
            error!(key, cause = %error, "the store refuses a write; no new meeting is placed until it takes them");
        }
        self.alarms.raise(Alarm::StoreWriteFailed, format!("`{key}`: {error}"));
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
                self.note(plan, None);
                Ok(verdict)
            }
            Ok(Err(StoreError::Unknown(_))) => match self.revisions.read().await {
                Ok(revision) => Ok(Verdict::Refused(revision)),
                Err(error) => {
                    self.note(plan, Some(&error));
                    Err(error.into())
                }
            },
            Ok(Err(error)) => {
                self.note(plan, Some(&error));
                Err(Arc::new(error).into())
            }
            Err(_) => Err(WriteError::Deadline),
        }
    }
}
