//! The edges that are connected to this replica, and how far behind each is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use usher_model::{id::EdgeId, revision::Revision};

use crate::ops::metrics::ControlPlaneMetrics;

/// One connected edge.
#[derive(Debug, Clone)]
pub struct EdgeEntry {
    /// Its name.
    pub id: EdgeId,
    /// Where it serves the BBB API.
    pub address: String,
    /// Its version.
    pub version: String,
    /// What it said it has applied; none before it first did.
    pub applied: Option<Revision>,
    /// Since when something sent to it is not acknowledged.
    pub behind_since: Option<Instant>,
    /// Since when it is connected.
    pub connected_at: Instant,
    session: u64,
}

impl EdgeEntry {
    /// Returns the revisions between what it applied and `held`, all of them in another epoch; none
    /// while it has acknowledged whatever concerns it.
    pub fn lag(&self, held: Revision) -> u64 {
        match self.applied {
            _ if self.behind_since.is_none() => 0,
            Some(applied) if applied.epoch == held.epoch => held.seq.saturating_sub(applied.seq),
            _ => held.seq,
        }
    }

    /// Returns how long it has been behind.
    pub fn lag_time(&self, now: Instant) -> Duration {
        self.behind_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// The connected edges; clones are the same.
#[derive(Debug, Clone)]
pub struct Edges {
    entries: Arc<Mutex<Entries>>,
    metrics: ControlPlaneMetrics,
}

#[derive(Debug, Default)]
struct Entries {
    sessions: u64,
    by_id: BTreeMap<EdgeId, EdgeEntry>,
}

/// One edge's connection; takes it off the list when dropped, unless the edge is back already.
#[derive(Debug)]
pub struct EdgeSession {
    edges: Edges,
    id: EdgeId,
    session: u64,
}

impl Edges {
    /// Returns an empty list.
    pub fn new(metrics: ControlPlaneMetrics) -> Self {
        Self { entries: Arc::default(), metrics }
    }

    /// Adds an edge; a connection it had before counts no more.
    pub fn connect(&self, id: EdgeId, address: String, version: String, now: Instant) -> EdgeSession {
        let session = self.change(|entries| {
            entries.sessions += 1;
            let session = entries.sessions;
            let entry = EdgeEntry {
                id: id.clone(),
                address,
                version,
                applied: None,
                behind_since: None,
                connected_at: now,
                session,
            };
            entries.by_id.insert(id.clone(), entry);
            session
        });
        EdgeSession { edges: self.clone(), id, session }
    }

    /// Returns the edges by name.
    pub fn list(&self) -> Vec<EdgeEntry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).by_id.values().cloned().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut entries);
        self.metrics.edges(entries.by_id.len());
        result
    }
}

impl EdgeSession {
    /// Notes that something was sent and is not acknowledged yet.
    pub fn sent(&self, now: Instant) {
        self.update(|entry| {
            entry.behind_since.get_or_insert(now);
        });
    }

    /// Notes what the edge has applied; `sent` is the last revision it was sent.
    pub fn acknowledged(&self, applied: Revision, sent: Revision, now: Instant) {
        self.update(|entry| {
            entry.applied = Some(applied);
            entry.behind_since = if applied.reaches(sent) { None } else { Some(now) };
        });
    }

    fn update(&self, update: impl FnOnce(&mut EdgeEntry)) {
        self.edges.change(|entries| {
            if let Some(entry) = entries.by_id.get_mut(&self.id).filter(|entry| entry.session == self.session)
            {
                update(entry);
            }
        });
    }
}

impl Drop for EdgeSession {
    fn drop(&mut self) {
        self.edges.change(|entries| {
            if entries.by_id.get(&self.id).is_some_and(|entry| entry.session == self.session) {
                entries.by_id.remove(&self.id);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn an_edge_that_reconnects_is_listed_once_and_survives_the_end_of_its_old_stream() {
        let (edges, now) = (Edges::new(ControlPlaneMetrics::new(&mut Registry::default())), Instant::now());
        let id = || EdgeId::parse("edge-1").expect("is an id");
        let old = edges.connect(id(), "a".into(), "1".into(), now);
        let new = edges.connect(id(), "b".into(), "1".into(), now);
        drop(old);
        assert_eq!(edges.list().iter().map(|edge| edge.address.clone()).collect::<Vec<_>>(), ["b"]);
        new.sent(now);
        let (held, later) = (Revision::new(1, 9), now + Duration::from_secs(3));
        assert_eq!((edges.list()[0].lag(held), edges.list()[0].lag_time(later)), (9, Duration::from_secs(3)));
        new.acknowledged(held, held, later);
        assert_eq!((edges.list()[0].lag(held), edges.list()[0].lag_time(later)), (0, Duration::ZERO));
        drop(new);
        assert!(edges.list().is_empty());
    }
}
