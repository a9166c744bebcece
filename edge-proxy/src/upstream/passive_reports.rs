//! Reports to the control plane about servers that fail calls although their polls succeed (X6).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::debug;
use usher_bbb::call::ApiCall;
use usher_model::id::ServerId;
use usher_runtime::{clock, tasks::TaskGroup};

use crate::{
    control::placement::PlacementClient,
    core::evidence::{CallLedger, CallOrigin, FailureEvidence, FailureKind},
};

/// The shortest time between two reports about one server.
const PAUSE: Duration = Duration::from_secs(1);

/// Records the outcomes of calls, and sends a few reports of failures for each server; clones share
/// the records.
#[derive(Debug, Clone)]
pub struct PassiveReports {
    placement: PlacementClient,
    tasks: TaskGroup,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug, Default)]
struct Noted {
    ledger: CallLedger,
    /// The time of the last report about a server, separately for failed connections: a failure
    /// that a caller may have caused must not suppress the report that the server accepts no
    /// connection.
    reported: HashMap<(ServerId, bool), Instant>,
}

impl PassiveReports {
    /// Makes a sender without records.
    pub fn new(placement: PlacementClient, tasks: TaskGroup) -> Self {
        Self { placement, tasks, noted: Arc::default() }
    }

    /// Records that a server answered a call.
    pub fn succeeded(&self, server: &ServerId, call: ApiCall) {
        self.lock().ledger.succeeded(server, call, clock::now());
    }

    /// Reports a failure, unless the server was reported within the last second. The next report
    /// then carries the evidence of this failure too.
    pub fn failed(&self, server: &ServerId, kind: FailureKind, call: ApiCall, caller: &CallOrigin) {
        let Some(evidence) = self.lock().due_report(server, kind, call, caller, clock::now()) else {
            return;
        };
        let (placement, server) = (self.placement.clone(), server.clone());
        self.tasks.spawn_short("report-failure", async move {
            if let Err(error) = placement.report_failure(&server, kind, call.name(), &evidence).await {
                debug!(%server, %error, "a failure was not reported");
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn due_report(
        &mut self,
        server: &ServerId,
        kind: FailureKind,
        call: ApiCall,
        caller: &CallOrigin,
        now: Instant,
    ) -> Option<FailureEvidence> {
        let is_connection = matches!(kind, FailureKind::Connect | FailureKind::Tls);
        let evidence = if is_connection {
            FailureEvidence::default()
        } else {
            self.ledger.failed(server, call, caller, now)
        };
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < PAUSE;
        self.reported.retain(|_, at| is_recent(at));
        let about = (server.clone(), is_connection);
        if self.reported.contains_key(&about) {
            return None;
        }
        self.reported.insert(about, now);
        Some(evidence)
    }
}
