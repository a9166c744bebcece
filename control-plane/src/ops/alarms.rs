//! RaisedAlarms: conditions that an operator must know of. The detail of an alarm names the remedy.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{info, warn};

/// The condition of an alarm. The names are part of the contract with operators (design 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// So many servers fail at once that the fault is probably on this side (H10).
    SuspectSelf,
    /// Enabled servers have no load sample (F6).
    LoadUnknown,
    /// A server's list lacks a meeting that still runs on it (F9).
    SnapshotInconsistent,
    /// Polls of a server succeed while calls of its users fail (X6).
    GrayFailure,
    /// Load is spread unevenly (F10).
    PlacementImbalance,
    /// The store refuses writes or does not answer them (F8).
    StoreWriteFailed,
    /// Two entries of the server list name one BBB server (A5, ADR 21).
    ServerListedTwice,
    /// The store is close to its quota, beyond which it takes no more writes.
    StoreSpace,
    /// Deliveries of a tenant were lost lately because too many of them wait (ADR 37).
    DeliverySpace,
}

impl Alarm {
    /// Every alarm, in the order of the metrics.
    pub const ALL: [Self; 9] = [
        Self::SuspectSelf,
        Self::LoadUnknown,
        Self::SnapshotInconsistent,
        Self::GrayFailure,
        Self::PlacementImbalance,
        Self::StoreWriteFailed,
        Self::ServerListedTwice,
        Self::StoreSpace,
        Self::DeliverySpace,
    ];

    /// Returns the name of the alarm in metrics and in `usher status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SuspectSelf => "suspect_self",
            Self::LoadUnknown => "load_unknown",
            Self::SnapshotInconsistent => "snapshot_inconsistent",
            Self::GrayFailure => "gray_failure",
            Self::PlacementImbalance => "placement_imbalance",
            Self::StoreWriteFailed => "store_write_failed",
            Self::ServerListedTwice => "server_listed_twice",
            Self::StoreSpace => "store_space",
            Self::DeliverySpace => "delivery_space",
        }
    }
}

/// The raised alarms, each with a text for operators. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RaisedAlarms(Arc<Mutex<BTreeMap<Alarm, String>>>);

impl RaisedAlarms {
    /// Raises an alarm, or changes its text.
    pub fn raise(&self, alarm: Alarm, detail: impl Into<String>) {
        let detail = detail.into();
        if self.lock().insert(alarm, detail.clone()).is_none() {
            warn!(alarm = alarm.name(), detail, "alarm raised");
        }
    }

    /// Clears an alarm.
    pub fn clear(&self, alarm: Alarm) {
        if self.lock().remove(&alarm).is_some() {
            info!(alarm = alarm.name(), "alarm cleared");
        }
    }

    /// Raises the alarm with the text of `wrong`, or clears it if there is none.
    pub fn set(&self, alarm: Alarm, wrong: Option<String>) {
        match wrong {
            Some(detail) => self.raise(alarm, detail),
            None => self.clear(alarm),
        }
    }

    /// Returns the raised alarms with their texts.
    pub fn raised(&self) -> Vec<(Alarm, String)> {
        self.lock().iter().map(|(alarm, detail)| (*alarm, detail.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Alarm, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
