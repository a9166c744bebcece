//! The counter of refusals because of a limit, by reason.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::core::admission::ShedReason;

/// The label `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counts refusals because of a limit; clones share the counters. Every reason is exported from the start,
/// so that an alert on its rate needs no first refusal. The default is not registered.
#[derive(Debug, Clone, Default)]
pub struct ShedCounters {
    /// In the order of [`ShedReason::ALL`].
    by_reason: [Counter; ShedReason::ALL.len()],
}

impl ShedCounters {
    /// Registers the counter with each of its reasons.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let family = Family::<ReasonLabel, Counter>::default();
        let help = "Requests, connections and calls refused because of a limit, by limit";
        registry.register("usher_edge_shed", help, family.clone());
        let of = |reason: ShedReason| family.get_or_create(&ReasonLabel { reason: reason.name() }).clone();
        Self { by_reason: ShedReason::ALL.map(of) }
    }

    /// Returns the counter of one reason.
    pub fn of(&self, reason: ShedReason) -> Counter {
        self.by_reason.get(reason as usize).cloned().unwrap_or_default()
    }

    /// Counts one refusal.
    pub fn count(&self, reason: ShedReason) {
        if let Some(counter) = self.by_reason.get(reason as usize) {
            counter.inc();
        }
    }

    /// Returns the refusals so far, each reason with its number, in the order of [`ShedReason::ALL`].
    pub fn totals(&self) -> impl Iterator<Item = (ShedReason, u64)> + '_ {
        ShedReason::ALL.into_iter().zip(self.by_reason.iter().map(Counter::get))
    }
}
