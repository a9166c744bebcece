//! Telling the control plane of servers that fail calls although their polls succeed (X6).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::debug;
use usher_common::{bbb::call::Call, id::ServerId, proto::v1::FailureKind, runtime::tasks::Tasks};

use crate::control::placement::Placement;

/// Shortest time between two reports about one server.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends reports, a few per server; clones share the limits.
#[derive(Debug, Clone)]
pub struct PassiveReports {
    placement: Placement,
    tasks: Tasks,
    last: Arc<Mutex<HashMap<ServerId, Instant>>>,
}

impl PassiveReports {
    /// Makes a sender.
    pub fn new(placement: Placement, tasks: Tasks) -> Self {
        Self { placement, tasks, last: Arc::default() }
    }

    /// Reports a failure, unless one of the same server was reported just now.
    pub fn report(&self, server: &ServerId, kind: FailureKind, call: Call) {
        if !self.is_due(server) {
            return;
        }
        let (placement, server) = (self.placement.clone(), server.clone());
        self.tasks.spawn_short("report-failure", async move {
            if let Err(error) = placement.report_failure(&server, kind, call.name()).await {
                debug!(%server, %error, "a failure was not reported");
            }
        });
    }

    fn is_due(&self, server: &ServerId) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get(server) {
            Some(at) if now.duration_since(*at) < PAUSE => false,
            _ => last.insert(server.clone(), now).is_none_or(|at| now.duration_since(at) >= PAUSE),
        }
    }
}
