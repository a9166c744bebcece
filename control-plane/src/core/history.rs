//! The recent changes of the routing table, by which a subscriber at some revision gets a delta or a
//! snapshot (design 6).

use std::{collections::VecDeque, sync::Arc};

use usher_model::{revision::Revision, routing::RoutingDelta};

#[cfg(test)]
mod tests;

/// The way of a subscriber to the present table.
#[derive(Debug, Clone, PartialEq)]
pub enum ResumePoint {
    /// The subscriber has the present table.
    UpToDate,
    /// One delta leads from exactly the subscriber's revision to the present one.
    Delta(RoutingDelta),
    /// The subscriber's revision is too old, of another epoch, or later than this replica's.
    Snapshot,
}

/// The last deltas. Their number and the number of their entries are bounded.
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
    /// Returns a history that starts at a revision, without deltas. A subscriber whose delta would hold
    /// more than `max_entries` gets a snapshot, which is no larger then.
    pub fn new(start: Revision, max_deltas: usize, max_entries: usize) -> Self {
        Self { deltas: VecDeque::new(), entries: 0, start, head: start, max_deltas, max_entries }
    }

    /// Returns the revision of the last delta.
    pub fn head(&self) -> Revision {
        self.head
    }

    /// Adds the next delta. A delta that does not follow the last one starts the history again.
    pub fn push(&mut self, delta: Arc<RoutingDelta>) {
        if delta.base != self.head {
            *self = Self::new(delta.base, self.max_deltas, self.max_entries);
        }
        self.head = delta.revision;
        if delta.is_empty() {
            return; // subscribers need no frame for it: the next delta covers this revision too
        }
        self.entries += delta.len();
        self.deltas.push_back(delta);
        while self.deltas.len() > self.max_deltas || self.entries > self.max_entries {
            let Some(oldest) = self.deltas.pop_front() else { break };
            self.entries -= oldest.len();
            self.start = oldest.revision;
        }
    }

    /// Returns the way from `revision` to the present table.
    pub fn since(&self, revision: Revision) -> ResumePoint {
        self.between(revision, self.head)
    }

    /// Returns the way from `revision` to the table of `until`, or to the present one if the history
    /// does not reach `until`.
    pub fn between(&self, revision: Revision, until: Revision) -> ResumePoint {
        let until = if self.head.reaches(until) { until } else { self.head };
        if revision == until {
            return ResumePoint::UpToDate;
        }
        if !revision.reaches(self.start) || !until.reaches(revision) {
            return ResumePoint::Snapshot;
        }
        let mut sum = RoutingDelta::new(revision, until);
        let first = self.deltas.partition_point(|delta| delta.revision.seq <= revision.seq);
        let end = self.deltas.partition_point(|delta| delta.revision.seq <= until.seq);
        for delta in self.deltas.range(first..end) {
            // A delta that began before `revision` sets entries to values that the subscriber has already.
            sum.servers.extend(delta.servers.clone());
            sum.tenants.extend(delta.tenants.clone());
            sum.meetings.extend(delta.meetings.clone());
        }
        ResumePoint::Delta(sum)
    }
}
