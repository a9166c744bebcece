//! That a server leaves `online` for nothing but what it did: a poll, or a call, that really failed there.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use usher_model::{
    id::ServerId,
    server::{Health, HealthRecord},
};

use super::checker::{Checker, Kind};
use crate::servers::home;

/// For how long a failure may count: an edge's memory of it, and its report's way.
const COUNTS: Duration = Duration::from_secs(80);

/// When a call last failed at each server, whoever called.
#[derive(Default)]
pub(super) struct Failures(BTreeMap<ServerId, Instant>);

impl Checker {
    /// A call to a server has failed, by any of its entries.
    pub(super) fn call_failed(&mut self, server: &ServerId) {
        self.failures.0.insert(home(server), Instant::now());
    }

    /// Judges the new health of a server, before it is taken over.
    pub(super) fn health_changes(&mut self, server: &ServerId, new: &HealthRecord) {
        let was = self.truth.colour(server);
        let is = self.truth.colour_of(new);
        // One that is new, or was just enabled, is on probation for no reason.
        if was != Health::Online || is == Health::Online || new.reason.is_empty() {
            return;
        }
        let failed = self.failures.0.get(&home(server)).is_some_and(|at| at.elapsed() < COUNTS);
        if !failed {
            let text = format!("X6: {server} leaves online and has failed nobody: {}", new.reason);
            self.fail(Kind::Slander, None, text);
        }
    }
}
