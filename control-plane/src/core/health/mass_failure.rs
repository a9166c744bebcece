//! Mass failure: when most servers fail at once, the fault is probably on our side (H10, A7-4).
//!
//! The number of failing servers is read from the stored counters, so that a new leader continues from
//! the last one's state, and every replica can raise the alarm. Only the duration is the leader's own;
//! a new leader waits anew. An operator who cannot wait runs `usher servers panic`.

use std::time::{Duration, Instant};

use usher_model::{
    id::ServerId,
    server::{AdminState, HealthRecord},
};

use super::counters::FailureSuspicion;
use crate::core::fleet::{Fleet, FleetServer};

/// Returns whether more than `mass_failure_guard` of the servers in use failed their latest check.
/// `judged` is a server whose check is complete but not stored yet.
pub fn most_fail(fleet: &Fleet, judged: Option<(&ServerId, bool)>) -> bool {
    let (mut servers, mut failing) = (0_u32, 0_u32);
    for server in fleet.servers().filter(|server| server.admin() != AdminState::Disabled) {
        let failed = match judged {
            Some((id, ok)) if id == server.id() => !ok,
            _ => server.health_record.as_ref().is_some_and(|stored| failed_last(&stored.value)),
        };
        servers += 1;
        failing += u32::from(failed);
    }
    f64::from(failing) > fleet.policy().mass_failure_guard * f64::from(servers)
}

/// Names the servers that failed their latest check.
pub fn failing(fleet: &Fleet) -> impl Iterator<Item = &FleetServer> {
    let used = fleet.servers().filter(|server| server.admin() != AdminState::Disabled);
    used.filter(|server| server.health_record.as_ref().is_some_and(|stored| failed_last(&stored.value)))
}

/// A success counts up from 0, a failure starts anew.
fn failed_last(record: &HealthRecord) -> bool {
    record.recover == 0
}

/// For how long most servers have failed, as the leader saw it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MassFailureGuard {
    since: Option<Instant>,
}

impl MassFailureGuard {
    /// Judges a failed check. `hold` is the time after which failures are believed all the same.
    pub fn judge(&mut self, most_fail: bool, now: Instant, hold: Duration) -> FailureSuspicion {
        if !most_fail {
            self.since = None;
            return FailureSuspicion::None;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < hold {
            FailureSuspicion::Us
        } else {
            FailureSuspicion::HeldTooLong
        }
    }
}
