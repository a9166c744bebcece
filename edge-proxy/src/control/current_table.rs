//! The one pointer that readers load, and the age of the table that it points at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{sync::watch, time::Instant};
use usher_model::{
    revision::Revision,
    routing::{RevisionGap, RoutingDelta},
};
use usher_proto::v1::Seal;

use super::table::LiveTable;

/// The table by which requests are routed, in the place that readers load it from.
#[derive(Debug)]
pub struct CurrentTable {
    table: ArcSwapOption<LiveTable>,
    revision: watch::Sender<Option<Revision>>,
    /// Notified when the way to a tenant has changed, after the table has.
    ways: watch::Sender<()>,
    started: Instant,
    /// The last seal of a control plane. The edge cannot read it, and sends it back at the next
    /// subscription.
    seal: ArcSwapOption<Seal>,
    /// The time at which a control plane last confirmed that the table is current, in milliseconds
    /// after `started`; 0 means never.
    vouched_ms: AtomicU64,
    /// The addresses of the recordings libraries, as a control plane named them last.
    libraries: watch::Sender<Arc<Vec<String>>>,
}

impl Default for CurrentTable {
    fn default() -> Self {
        Self {
            table: ArcSwapOption::empty(),
            revision: watch::Sender::new(None),
            ways: watch::Sender::new(()),
            started: Instant::now(),
            seal: ArcSwapOption::empty(),
            vouched_ms: AtomicU64::new(0),
            libraries: watch::Sender::default(),
        }
    }
}

impl CurrentTable {
    /// Returns the table, if there is one.
    pub fn load(&self) -> arc_swap::Guard<Option<Arc<LiveTable>>> {
        self.table.load()
    }

    /// Returns the table for longer use, if there is one.
    pub fn load_full(&self) -> Option<Arc<LiveTable>> {
        self.table.load_full()
    }

    /// Returns the revision of the table, if there is one.
    pub fn revision(&self) -> Option<Revision> {
        *self.revision.borrow()
    }

    /// Returns the time since a control plane last confirmed that the table is current; `None` if
    /// none has.
    pub fn age(&self) -> Option<Duration> {
        match self.vouched_ms.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.started.elapsed().saturating_sub(Duration::from_millis(at))),
        }
    }

    /// Stores a control plane's seal on a revision of the store, in place of the former seal.
    pub fn keep_seal(&self, seal: Seal) {
        self.seal.store(Some(Arc::new(seal)));
    }

    /// Returns the last seal.
    pub fn seal(&self) -> Option<Seal> {
        self.seal.load().as_deref().cloned()
    }

    /// Stores the addresses of the recordings libraries, in place of the former ones.
    pub fn keep_libraries(&self, addresses: Vec<String>) {
        self.libraries.send_replace(Arc::new(addresses));
    }

    /// Returns the addresses of the recordings libraries.
    pub fn libraries(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.libraries.borrow())
    }

    /// Waits until there is a recordings library.
    pub async fn until_library(&self) {
        // This cannot fail, because the sender lives in `self`.
        let _ = self.libraries.subscribe().wait_for(|known| !known.is_empty()).await;
    }

    /// Waits until there is a table.
    pub async fn ready(&self) {
        // This cannot fail, because the sender lives in `self`.
        let _ = self.revision.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns a receiver of every new revision.
    pub fn follow(&self) -> watch::Receiver<Option<Revision>> {
        self.revision.subscribe()
    }

    /// Returns a receiver of every change of the way to a tenant.
    pub fn follow_ways(&self) -> watch::Receiver<()> {
        self.ways.subscribe()
    }

    /// Waits until the table has reached `revision`, for at most `patience`. Returns whether it
    /// has.
    pub async fn reach(&self, revision: Revision, patience: Duration) -> bool {
        let mut seen = self.revision.subscribe();
        let reached = seen.wait_for(|have| have.is_some_and(|have| have.reaches(revision)));
        tokio::time::timeout(patience, reached).await.is_ok()
    }

    /// Replaces the table by a new one, which takes over what this edge itself knows.
    pub fn replace(&self, table: LiveTable) {
        let revision = table.revision();
        if let Some(former) = &*self.load() {
            table.inherit(former);
        }
        self.table.store(Some(Arc::new(table)));
        self.revision.send_replace(Some(revision));
        self.ways.send_replace(());
    }

    /// Applies one delta to the table.
    pub fn apply(&self, delta: &RoutingDelta) -> Result<(), RevisionGap> {
        let guard = self.load();
        let Some(table) = &*guard else {
            return Err(RevisionGap { have: Revision::default(), base: delta.base });
        };
        let ways = table.ways_changed();
        table.apply(delta)?;
        self.revision.send_replace(Some(delta.revision));
        if table.ways_changed() != ways {
            self.ways.send_replace(());
        }
        Ok(())
    }

    /// Records that a control plane has just confirmed that the table is current.
    pub fn vouch(&self) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.vouched_ms.store(at.max(1), Ordering::Relaxed);
    }
}
