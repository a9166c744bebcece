//! The recent past of the routing table: "snapshot or delta?" for a subscriber at some revision.

use std::{collections::VecDeque, sync::Arc};

use usher_model::{revision::Revision, routing::RoutingDelta};

#[cfg(test)]
mod tests;

/// How a subscriber gets to the present.
#[derive(Debug, Clone, PartialEq)]
pub enum ResumePoint {
    /// It is there.
    UpToDate,
    /// By this one delta, from exactly its revision to the present.
    Delta(RoutingDelta),
    /// Its revision is too old, of another epoch, or of a future nobody here has seen.
    Snapshot,
}

/// The last deltas, bounded by their number and by the entries they hold.
#[derive(Debug, Clone)]
pub struct RoutingHistory {
    deltas: VecDeque<Arc<RoutingDelta>>,
    entries: usize,
    start: Revision,
    head: Revision,
    max_deltas: usize,
    max_entries: usize,
}

impl RoutingHistory {
    /// Starts at a revision, without a past. A subscriber whose delta would hold more than
    /// `max_entries` is better served by a snapshot.
    pub fn new(start: Revision, max_deltas: usize, max_entries: usize) -> Self {
        Self { deltas: VecDeque::new(), entries: 0, start, head: start, max_deltas, max_entries }
    }

    /// Returns the revision it has come to.
    pub fn head(&self) -> Revision {
        self.head
    }

    /// Takes the next delta. One that does not follow the last starts the history anew.
    pub fn push(&mut self, delta: Arc<RoutingDelta>) {
        if delta.base != self.head {
            *self = Self::new(delta.base, self.max_deltas, self.max_entries);
        }
        self.head = delta.revision;
        if delta.is_empty() {
            return; // nothing to tell anybody: the next delta bridges it
        }
        self.entries += delta.len();
        self.deltas.push_back(delta);
        while self.deltas.len() > self.max_deltas || self.entries > self.max_entries {
            let Some(oldest) = self.deltas.pop_front() else { break };
            self.entries -= oldest.len();
            self.start = oldest.revision;
        }
    }

    /// Returns how a subscriber that holds `revision` gets to the present.
    pub fn since(&self, revision: Revision) -> ResumePoint {
        if revision == self.head {
            return ResumePoint::UpToDate;
        }
        if !revision.reaches(self.start) || !self.head.reaches(revision) {
            return ResumePoint::Snapshot;
        }
        let mut sum = RoutingDelta::new(revision, self.head);
        let first = self.deltas.partition_point(|delta| delta.revision.seq <= revision.seq);
        for delta in self.deltas.range(first..) {
            // A delta that began before `revision` sets again what stands already: no harm.
            sum.servers.extend(delta.servers.clone());
            sum.tenants.extend(delta.tenants.clone());
            sum.meetings.extend(delta.meetings.clone());
        }
        ResumePoint::Delta(sum)
    }
}
