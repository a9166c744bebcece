//! Metrics of webhooks. Labels are bounded and never contain a tenant, meeting or address.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    notifications::rules::hooks::keeper::HookCheckOutcome,
    ops::labels::{OutcomeLabel, whole},
};

/// The label `state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    state: &'static str,
}

/// The fate of an event that a server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFate {
    /// The event is stored for an application.
    Accepted,
    /// No hook of the event's tenant selects it.
    Unwanted,
    /// The event's meeting belongs to no tenant.
    Foreign,
    /// The event is unreadable.
    Malformed,
    /// The waiting events of the tenant have reached their limit.
    TurnedAway,
}

/// The metrics of webhooks; clones share them.
#[derive(Debug, Clone, Default)]
pub struct HookMetrics {
    hooks: Gauge,
    servers: Family<StateLabel, Gauge>,
    events: Family<OutcomeLabel, Counter>,
    changes: Family<OutcomeLabel, Counter>,
}

impl HookMetrics {
    /// Registers the metrics with `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("usher_hooks", "Webhooks that applications registered", metrics.hooks.clone());
        registry.register(
            "usher_hook_servers",
            "Servers by how their webhooks are, as the leader last saw it",
            metrics.servers.clone(),
        );
        registry.register(
            "usher_hook_events",
            "Events of servers by what became of them here",
            metrics.events.clone(),
        );
        registry.register(
            "usher_hook_changes",
            "Changes of hooks on servers that were tried here",
            metrics.changes.clone(),
        );
        metrics
    }

    /// Sets the number of registered hooks.
    pub fn registered(&self, count: usize) {
        self.hooks.set(whole(count));
    }

    /// Sets the gauges of servers by the outcome of their last check; `None` means not checked yet.
    pub fn servers(&self, outcomes: impl Iterator<Item = Option<HookCheckOutcome>>) {
        let mut counts = [("kept", 0), ("changing", 0), ("unsupported", 0), ("failing", 0), ("unseen", 0)];
        for outcome in outcomes {
            let at = match outcome {
                Some(HookCheckOutcome::Kept) => 0,
                Some(HookCheckOutcome::Changed) => 1,
                Some(HookCheckOutcome::Unsupported) => 2,
                Some(HookCheckOutcome::Failed) => 3,
                None => 4,
            };
            counts[at].1 += 1;
        }
        for (state, count) in counts {
            self.servers.get_or_create(&StateLabel { state }).set(count);
        }
    }

    /// Counts an event by its fate.
    pub fn event(&self, fate: EventFate) {
        let outcome = match fate {
            EventFate::Accepted => "accepted",
            EventFate::Unwanted => "unwanted",
            EventFate::Foreign => "foreign",
            EventFate::Malformed => "malformed",
            EventFate::TurnedAway => "turned_away",
        };
        self.events.get_or_create(&OutcomeLabel::new(outcome)).inc();
    }

    /// Counts a change of a server's hooks.
    pub fn changed(&self, done: bool) {
        let outcome = if done { "done" } else { "failed" };
        self.changes.get_or_create(&OutcomeLabel::new(outcome)).inc();
    }
}
