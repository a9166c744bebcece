//! Metrics of callbacks. Labels are bounded and never contain a tenant, meeting or address.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use usher_model::callback::CallbackKind;

use crate::{
    notifications::rules::delivery::{TryOutcome, shares::SpaceRefusal},
    ops::labels::{OutcomeLabel, whole},
};

/// The label `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    kind: &'static str,
}

/// The label `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    reason: &'static str,
}

/// The metrics of callbacks; clones share them.
#[derive(Debug, Clone, Default)]
pub struct DeliveryMetrics {
    accepted: Family<KindLabel, Counter>,
    turned_away: Family<ReasonLabel, Counter>,
    tries: Family<OutcomeLabel, Counter>,
    ended: Family<OutcomeLabel, Counter>,
    waiting: Gauge,
    bytes: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl DeliveryMetrics {
    /// Registers the metrics with `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Callbacks written here before the server was answered";
        registry.register("usher_deliveries_accepted", help, metrics.accepted.clone());
        registry.register(
            "usher_deliveries_turned_away",
            "Deliveries not accepted because too much waits, by the share that is exhausted",
            metrics.turned_away.clone(),
        );
        registry.register("usher_delivery_tries", "Tries by outcome", metrics.tries.clone());
        registry.register("usher_deliveries_ended", "Callbacks by how they ended", metrics.ended.clone());
        registry.register("usher_deliveries_waiting", "Callbacks that wait", metrics.waiting.clone());
        registry.register("usher_deliveries_waiting_bytes", "Size of what waits", metrics.bytes.clone());
        registry.register(
            "usher_deliveries_oldest_seconds",
            "Time since the oldest callback that waits was accepted",
            metrics.oldest.clone(),
        );
        metrics
    }

    /// Counts an accepted callback.
    pub fn accepted(&self, kind: CallbackKind) {
        self.accepted.get_or_create(&KindLabel { kind: kind.name() }).inc();
    }

    /// Counts a delivery that was refused for lack of space.
    pub fn turned_away(&self, refusal: SpaceRefusal) {
        self.turned_away.get_or_create(&ReasonLabel { reason: refusal.name() }).inc();
    }

    /// Counts an attempt.
    pub fn tried(&self, outcome: TryOutcome) {
        let outcome = match outcome {
            TryOutcome::Taken => "taken",
            TryOutcome::Refused => "refused",
            TryOutcome::Failed => "failed",
            TryOutcome::Down => "down",
        };
        self.tries.get_or_create(&OutcomeLabel::new(outcome)).inc();
    }

    /// Counts an ended delivery: taken, refused, expired or dropped.
    pub fn ended(&self, outcome: &'static str) {
        self.ended.get_or_create(&OutcomeLabel::new(outcome)).inc();
    }

    /// Sets the gauges of waiting deliveries.
    pub fn waiting(&self, count: usize, oldest: Option<Duration>, bytes: u64) {
        self.waiting.set(whole(count));
        self.bytes.set(whole(bytes));
        self.oldest.set(oldest.map_or(0.0, |age| age.as_secs_f64()));
    }
}
