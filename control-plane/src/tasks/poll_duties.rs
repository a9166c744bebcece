//! The duty of the leader to poll and to write (ADR 34), shared by the polls and the leader task.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use usher_model::id::ServerId;

use super::fleet_handle::FleetHandle;
use crate::core::{fleet::FleetServer, poll_duty::PollDuty};

/// The results of this leadership's polls; clones share them.
#[derive(Clone)]
pub struct PollDuties {
    fleet: FleetHandle,
    limit: Duration,
    duty: Arc<Mutex<PollDuty>>,
}

impl PollDuties {
    /// Returns the duties for the servers of `fleet`; each must have a result within `limit`.
    pub fn new(fleet: FleetHandle, limit: Duration) -> Self {
        Self { fleet, limit, duty: Arc::default() }
    }

    /// Begins a term of this replica.
    pub(super) fn begin(&self) {
        self.lock().begin();
    }

    /// Notes that the store holds the result of a poll, since `revision` if it was written.
    pub(super) fn settle(&self, id: &ServerId, revision: Option<u64>, now: Instant) {
        self.lock().settle(id, revision, now);
    }

    /// Notes that the store may hold a result of a poll that was not acknowledged.
    pub(super) fn lose(&self, id: &ServerId, now: Instant) {
        self.lock().lose(id, now);
    }

    /// Notes that the store rejects the result of a poll, which no other leader could write either.
    pub(super) fn note_rejected(&self, id: &ServerId, now: Instant) {
        self.lock().reject(id, now);
    }

    /// Returns the revision of the last acknowledged write of a server; `None` if one may have been
    /// lost.
    pub(super) fn comparable_from(&self, id: &ServerId) -> Option<u64> {
        self.lock().comparable_from(id)
    }

    /// Returns a server without a result in time.
    pub(super) fn overdue(&self, now: Instant) -> Option<ServerId> {
        let polled: Vec<ServerId> = self.fleet.read(|fleet| {
            let ids = fleet.servers().map(FleetServer::id);
            ids.filter(|id| fleet.is_polled(id)).cloned().collect()
        });
        self.lock().overdue(&polled, self.limit, now)
    }

    fn lock(&self) -> MutexGuard<'_, PollDuty> {
        self.duty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
