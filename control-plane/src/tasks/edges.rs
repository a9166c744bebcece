//! The followers of the routing stream that are connected to this replica: the edges, and how far each is behind, and
//! the recordings libraries.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use usher_model::{id::EdgeId, revision::Revision};

use crate::ops::metrics::ControlPlaneMetrics;

/// Largest number of limits that one edge may report.
const LIMITS_MAX: usize = 64;
/// Longest name of a limit, bytes.
const NAME_MAX: usize = 64;

/// One connected edge.
#[derive(Debug, Clone)]
pub struct EdgeEntry {
    /// Name of the edge.
    pub id: EdgeId,
    /// Address at which the edge serves the BBB API.
    pub address: String,
    /// Version of the edge's program.
    pub version: String,
    /// The revision that the edge acknowledged last; `None` before its first acknowledgement.
    pub applied: Option<Revision>,
    /// Time since which a frame sent to the edge is not acknowledged.
    pub behind_since: Option<Instant>,
    /// Refusals of the edge because of a limit since it started, by limit.
    pub shed: BTreeMap<String, u64>,
    /// Time at which the edge connected.
    pub connected_at: Instant,
    /// Address of its port, if the follower is a recordings library and no edge.
    library: Option<String>,
    session: u64,
}

impl EdgeEntry {
    /// Returns the number of revisions that the edge lacks of `held`. An edge of another epoch
    /// lacks all of them; an edge that acknowledged every frame lacks none, because the revisions
    /// between touch no route.
    pub fn lag(&self, held: Revision) -> u64 {
        match self.applied {
            _ if self.behind_since.is_none() => 0,
            Some(applied) if applied.epoch == held.epoch => held.seq.saturating_sub(applied.seq),
            _ => held.seq,
        }
    }

    /// Returns the time for which the edge has been behind.
    pub fn lag_time(&self, now: Instant) -> Duration {
        self.behind_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// The connected edges; clones share one list.
#[derive(Debug, Clone)]
pub struct ConnectedEdges {
    entries: Arc<Mutex<EdgeTable>>,
    metrics: ControlPlaneMetrics,
}

#[derive(Debug, Default)]
struct EdgeTable {
    sessions: u64,
    by_id: BTreeMap<EdgeId, EdgeEntry>,
}

/// The connection of one edge. The drop removes the edge from the list unless it has reconnected.
#[derive(Debug)]
pub struct EdgeSession {
    edges: ConnectedEdges,
    id: EdgeId,
    session: u64,
}

impl ConnectedEdges {
    /// Returns an empty list.
    pub fn new(metrics: ControlPlaneMetrics) -> Self {
        Self { entries: Arc::default(), metrics }
    }

    /// Adds an edge. The new connection replaces an earlier one of the same edge.
    pub fn connect(&self, id: EdgeId, address: String, version: String, now: Instant) -> EdgeSession {
        self.add(id, (address, version), None, now)
    }

    /// Adds a recordings library, whose port has the address `library`. It follows as an edge does and is listed apart.
    pub fn connect_library(&self, id: EdgeId, library: String, version: String, now: Instant) -> EdgeSession {
        self.add(id, (library.clone(), version), Some(library), now)
    }

    fn add(
        &self,
        id: EdgeId,
        (address, version): (String, String),
        library: Option<String>,
        now: Instant,
    ) -> EdgeSession {
        let session = self.change(|entries| {
            entries.sessions += 1;
            let session = entries.sessions;
            let entry = EdgeEntry {
                id: id.clone(),
                address,
                version,
                applied: None,
                behind_since: None,
                shed: BTreeMap::new(),
                connected_at: now,
                library,
                session,
            };
            entries.by_id.insert(id.clone(), entry);
            session
        });
        EdgeSession { edges: self.clone(), id, session }
    }

    /// Returns the edges in the order of their names.
    pub fn list(&self) -> Vec<EdgeEntry> {
        self.select(|entry| entry.library.is_none().then(|| entry.clone()))
    }

    /// Returns the addresses of the recordings libraries.
    pub fn libraries(&self) -> Vec<String> {
        self.select(|entry| entry.library.clone())
    }

    fn select<T>(&self, select: impl FnMut(&EdgeEntry) -> Option<T>) -> Vec<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_id.values().filter_map(select).collect()
    }

    /// Returns the refusals of all edges because of a limit, by limit.
    pub fn shed(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (limit, count) in self.list().into_iter().flat_map(|edge| edge.shed) {
            let total: &mut u64 = sum.entry(limit).or_default();
            *total = total.saturating_add(count);
        }
        sum
    }

    fn change<T>(&self, change: impl FnOnce(&mut EdgeTable) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut entries);
        let edges = entries.by_id.values().filter(|entry| entry.library.is_none());
        self.metrics.edges(edges.count());
        result
    }
}

impl EdgeSession {
    /// Notes that a frame was sent and is not acknowledged yet.
    pub fn sent(&self, now: Instant) {
        self.update(|entry| {
            entry.behind_since.get_or_insert(now);
        });
    }

    /// Notes the revision `applied` that the edge acknowledged; `sent` is the last revision sent to
    /// it.
    pub fn acknowledged(&self, applied: Revision, sent: Revision, now: Instant) {
        self.update(|entry| {
            entry.applied = Some(applied);
            entry.behind_since = if applied.reaches(sent) { None } else { Some(now) };
        });
    }

    /// Notes the refusals that the edge reports, by limit. The numbers replace the earlier ones. An edge may be of a
    /// newer version, so that unknown limits are kept, up to a number of them.
    pub fn reported(&self, shed: impl IntoIterator<Item = (String, u64)>) {
        let is_name =
            |name: &str| name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let shed = shed.into_iter().filter(|(name, count)| *count > 0 && is_name(name)).take(LIMITS_MAX);
        let shed: BTreeMap<_, _> = shed.collect();
        self.update(|entry| entry.shed = shed);
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
        let (edges, now) =
            (ConnectedEdges::new(ControlPlaneMetrics::new(&mut Registry::default())), Instant::now());
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

    #[test]
    fn an_edge_reports_bounded_refusals_and_the_sum_is_over_all_edges() {
        let (edges, now) =
            (ConnectedEdges::new(ControlPlaneMetrics::new(&mut Registry::default())), Instant::now());
        let connect =
            |id: &str| edges.connect(EdgeId::parse(id).expect("is an id"), "a".into(), "1".into(), now);
        let (one, other) = (connect("edge-1"), connect("edge-2"));
        one.reported((0..1000_usize).map(|number| (format!("{}x", "y".repeat(number % 70)), 1)));
        assert!(edges.list()[0].shed.len() <= LIMITS_MAX);
        one.reported([("tenant_cost".into(), 7), ("Bad name".into(), 1), ("connections".into(), 0)]);
        other.reported([("tenant_cost".into(), 2), ("byte_budget".into(), 1)]);
        let sum: Vec<_> = edges.shed().into_iter().collect();
        assert_eq!(sum, [("byte_budget".to_owned(), 1), ("tenant_cost".to_owned(), 9)]);
        drop(other);
        assert_eq!(edges.shed().len(), 1);
    }
}
