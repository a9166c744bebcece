//! The check that a server leaves `online` only after a failure of its own: of a poll or a call to
//! it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use usher_model::{
    id::ServerId,
    server::{Health, HealthRecord},
};

use super::checker::{InvariantChecker, ViolationKind};
use crate::servers::home;

/// How long a failure may count: the time that an edge remembers it, and the delay of its report.
const COUNTS: Duration = Duration::from_secs(80);

/// The time of the last failed call to each server, of any caller.
#[derive(Default)]
pub(super) struct CallFailures(BTreeMap<ServerId, Instant>);

impl InvariantChecker {
    /// Records that a call to a server has failed, under any of its entries.
    pub(super) fn call_failed(&mut self, server: &ServerId) {
        self.failures.0.insert(home(server), Instant::now());
    }

    /// Judges the new health of a server, before it is applied.
    pub(super) fn health_changes(&mut self, server: &ServerId, new: &HealthRecord) {
        let was = self.truth.health(server);
        let is = self.truth.judged_health(new);
        // A server that is new, or was just enabled, is on probation without a failure.
        if was != Health::Online || is == Health::Online || new.reason.is_empty() {
            return;
        }
        let failed = self.failures.0.get(&home(server)).is_some_and(|at| at.elapsed() < COUNTS);
        if !failed {
            let text = format!("X6: {server} leaves online without a failure: {}", new.reason);
            self.fail(ViolationKind::Slander, None, text);
        }
    }
}
