//! Alarms: conditions a person should know of, each with what to do about it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{info, warn};

/// What can be wrong. The names are part of the contract with operators (design 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// So many servers fail at once that the fault is probably here (H10).
    SuspectSelf,
    /// Enabled servers without a load sample (F6).
    LoadUnknown,
    /// A server's list lacks a meeting that still runs there (F9).
    SnapshotInconsistent,
    /// Polls succeed while users' calls fail (X6).
    GrayFailure,
    /// Load is spread unevenly (F10).
    PlacementImbalance,
    /// The store refuses or does not take writes (F8).
    StoreWriteFailed,
    /// Two entries are one BBB server (A5).
    ServerListedTwice,
    /// The store is about to take no more writes.
    StoreSpace,
}

impl Alarm {
    /// Every alarm.
    pub const ALL: [Self; 8] = [
        Self::SuspectSelf,
        Self::LoadUnknown,
        Self::SnapshotInconsistent,
        Self::GrayFailure,
        Self::PlacementImbalance,
        Self::StoreWriteFailed,
        Self::ServerListedTwice,
        Self::StoreSpace,
    ];

    /// Returns the name by which metrics and `usher status` call it.
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
        }
    }
}

/// The alarms that are raised, with what is wrong, for people.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<Alarm, String>>>);

impl Alarms {
    /// Raises an alarm, or changes what it says.
    pub fn raise(&self, alarm: Alarm, detail: impl Into<String>) {
        let detail = detail.into();
        if self.lock().insert(alarm, detail.clone()).is_none() {
            warn!(alarm = alarm.name(), detail, "alarm raised");
        }
    }

    /// Takes an alarm back.
    pub fn clear(&self, alarm: Alarm) {
        if self.lock().remove(&alarm).is_some() {
            info!(alarm = alarm.name(), "alarm cleared");
        }
    }

    /// Raises the alarm if something is wrong, else takes it back.
    pub fn set(&self, alarm: Alarm, wrong: Option<String>) {
        match wrong {
            Some(detail) => self.raise(alarm, detail),
            None => self.clear(alarm),
        }
    }

    /// Returns the alarms that are raised.
    pub fn raised(&self) -> Vec<(Alarm, String)> {
        self.lock().iter().map(|(alarm, detail)| (*alarm, detail.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Alarm, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
