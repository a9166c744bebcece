//! The loop of every guarded write: decide, commit, and decide again if a concurrent write came
//! first.

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

use super::{
    backoff::Backoff, fleet_handle::FleetHandle, leadership::Leadership, revision_reader::RevisionReader,
};
use crate::{
    core::{
        epoch::Epoch,
        fleet::Fleet,
        lifecycle::PlannedStep,
        now::Now,
        plan::{Plan, PlanGuard},
    },
    ops::alarms::{Alarm, RaisedAlarms},
    ports::{StoreError, TxnVerdict},
    store::{committer::GroupCommitter, keys},
};

/// Longest wait for the change that refused a plan. It arrives within milliseconds; if other
/// programs write to the store too, it may never reach the fleet.
const SEE_WITHIN: Duration = Duration::from_secs(1);

/// Pauses before a plan is committed again although its guards are those that were refused: first
/// and longest.
const REPEAT_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteReceipt<T> {
    /// The outcome of the decision, for the caller.
    pub outcome: T,
    /// The revision from which on the write is in force.
    pub revision: Revision,
}

/// The reason why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The decision itself refused the request.
    #[error(transparent)]
    Decision(E),
    /// The store refused the write or is unreachable.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The deadline passed first. The write may or may not be done.
    #[error("not written by its deadline")]
    Deadline,
}

/// Commits decisions; clones share one state.
#[derive(Clone)]
pub struct PlanWriter {
    fleet: FleetHandle,
    committer: GroupCommitter,
    revisions: RevisionReader,
    leadership: Leadership,
    alarms: RaisedAlarms,
    wall: WallClock,
    /// Whether the store rejected the last write.
    refused: Arc<AtomicBool>,
}

impl PlanWriter {
    /// Returns a writer that decides from `fleet` and commits by `committer`.
    pub fn new(
        fleet: FleetHandle,
        committer: GroupCommitter,
        revisions: RevisionReader,
        leadership: Leadership,
        alarms: RaisedAlarms,
        wall: WallClock,
    ) -> Self {
        Self { fleet, committer, revisions, leadership, alarms, wall, refused: Arc::default() }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        Now { instant: clock::now(), wall_ms: self.wall.now_ms() }
    }

    /// Returns the fleet from which decisions are made.
    pub fn fleet(&self) -> &FleetHandle {
        &self.fleet
    }

    /// Decides and commits until the plan is written, the decision refuses, or the deadline passes.
    /// A lost answer is not guessed: the store's revision is read and the decision repeated. The
    /// repeated decision finds its own write, or makes a plan whose guards fail if the lost write
    /// happens after all.
    ///
    /// If the repeated decision has the guards that were refused, the fleet shows no reason for the
    /// refusal: the fence may have failed, so the leadership is looked at before the plan is
    /// committed again.
    ///
    /// # Errors
    /// The decision refused, the store failed, this replica no longer leads by `fence`, or the
    /// deadline passed.
    pub async fn write<T, E>(
        &self,
        deadline: Instant,
        fence: Option<&FencingToken>,
        mut decide: impl FnMut(&Fleet, Now) -> Result<PlannedStep<T>, E>,
    ) -> Result<WriteReceipt<T>, WriteError<E>> {
        let mut refused: Option<(Epoch, Vec<PlanGuard>)> = None;
        let mut pauses = Backoff::new(REPEAT_AFTER.0, REPEAT_AFTER.1);
        loop {
            let (decided, epoch, at) =
                self.fleet.read(|fleet| (decide(fleet, self.now()), fleet.epoch(), fleet.revision()));
            let PlannedStep { plan, outcome } = decided.map_err(WriteError::Decision)?;
            if plan.is_empty() {
                return Ok(WriteReceipt { outcome, revision: at });
            }
            if refused.as_ref().is_some_and(|(then, guards)| *then == epoch && *guards == plan.guards) {
                let look = self.look_again(fence, pauses.pause());
                if !tokio::time::timeout_at(deadline.into(), look).await.map_err(|_| WriteError::Deadline)? {
                    return Err(
                        Arc::new(StoreError::Unavailable("this replica no longer leads".into())).into()
                    );
                }
            }
            let refused_at = match self.commit(&plan, fence, epoch, deadline).await? {
                TxnVerdict::Committed(seq) => {
                    return Ok(WriteReceipt { outcome, revision: Revision::new(epoch.number, seq) });
                }
                TxnVerdict::Refused(seq) => Revision::new(epoch.number, seq),
            };
            let patience = deadline.saturating_duration_since(clock::now());
            if patience.is_zero() {
                return Err(WriteError::Deadline);
            }
            // The next plan is made from the newest fleet there is, whether or not the change
            // arrived in time.
            let _ = self.fleet.reach(refused_at, patience.min(SEE_WITHIN)).await;
            refused = Some((epoch, plan.guards));
        }
    }

    /// Waits before a plan is repeated; returns `false` if this replica no longer leads by `fence`.
    async fn look_again(&self, fence: Option<&FencingToken>, pause: Duration) -> bool {
        if let Some(token) = fence
            && !self.leadership.confirm(token).await
        {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    /// Commits a leader's plan, made in `epoch`, once. If it is refused, the caller decides again;
    /// the leadership has been looked at by then, because the fence may have failed.
    ///
    /// # Errors
    /// The store could not decide, or its answer was lost.
    pub async fn commit_once(
        &self,
        plan: &Plan,
        fence: &FencingToken,
        epoch: Epoch,
    ) -> Result<TxnVerdict, StoreError> {
        let committed = self.committer.commit_plan(plan, Some(fence), epoch).await;
        self.note(plan, committed.as_ref().err());
        if let Ok(TxnVerdict::Refused(_)) = committed {
            self.leadership.confirm(fence).await;
        }
        committed
    }

    /// Sets the alarm, and logs once, when the store takes no writes (F8). Only an operator can
    /// repair a store that rejects them.
    fn note(&self, plan: &Plan, error: Option<&StoreError>) {
        let refused = matches!(error, Some(StoreError::Rejected(_)));
        let before = self.refused.swap(refused, Ordering::Relaxed);
        let Some(error) = error else { return self.alarms.clear(Alarm::StoreWriteFailed) };
        let key = plan.writes.first().map(|write| keys::path(&write.key())).unwrap_or_default();
        if refused && !before {
            error!(key, cause = %error, "store rejects writes, no new meeting is placed");
        }
        self.alarms.raise(Alarm::StoreWriteFailed, format!("`{key}`: {error}"));
    }

    /// Commits one plan. A lost answer counts as a refusal at the store's current revision.
    async fn commit<E>(
        &self,
        plan: &Plan,
        fence: Option<&FencingToken>,
        epoch: Epoch,
        deadline: Instant,
    ) -> Result<TxnVerdict, WriteError<E>> {
        let committing = self.committer.commit_plan(plan, fence, epoch);
        match tokio::time::timeout_at(deadline.into(), committing).await {
            Ok(Ok(verdict)) => {
                self.note(plan, None);
                Ok(verdict)
            }
            Ok(Err(StoreError::Unknown(_))) => match self.revisions.read().await {
                Ok(revision) => Ok(TxnVerdict::Refused(revision)),
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
