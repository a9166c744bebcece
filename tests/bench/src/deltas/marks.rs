//! The times when each revision was committed, and when the last edge had applied it.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

/// Most revisions that are followed.
const REVISIONS: usize = 1 << 16;

/// A commit that the store acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcknowledgedCommit {
    pub(crate) revision: u64,
    /// The time of the acknowledgement, in microseconds since the marks began.
    pub(crate) at_micros: u64,
}

#[derive(Debug, Default)]
struct AppliedMark {
    edges: AtomicU32,
    last_micros: AtomicU64,
}

/// The revisions that edges applied, with their times.
#[derive(Debug)]
pub(crate) struct RevisionMarks {
    begin: Instant,
    first: u64,
    applied: Vec<AppliedMark>,
}

impl RevisionMarks {
    /// Returns marks for the revisions after `revision`.
    pub(crate) fn after(revision: u64) -> Self {
        let applied = std::iter::repeat_with(AppliedMark::default).take(REVISIONS).collect();
        Self { begin: Instant::now(), first: revision + 1, applied }
    }

    /// Returns the microseconds since the marks began.
    pub(crate) fn now_micros(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Records that one edge has applied all revisions after `before` up to `revision`.
    pub(crate) fn applied(&self, before: u64, revision: u64) {
        let now = self.now_micros();
        for number in before.max(self.first - 1) + 1..=revision {
            if let Some(applied) = self.at(number) {
                applied.last_micros.fetch_max(now, Ordering::Relaxed);
                applied.edges.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns the delay from the commit of each revision to the last of `edges`, in microseconds.
    ///
    /// # Errors
    /// An edge has not applied one of the revisions.
    pub(crate) fn latencies(&self, commits: &[AcknowledgedCommit], edges: usize) -> Result<Histogram<u64>> {
        let mut late = Histogram::new(3)?;
        for commit in commits {
            let applied = self.at(commit.revision).context("more revisions than are followed")?;
            let seen = applied.edges.load(Ordering::Relaxed) as usize;
            ensure!(seen == edges, "revision {} is on {seen} of {edges} edges", commit.revision);
            let last = applied.last_micros.load(Ordering::Relaxed);
            // An edge may have the revision before the writer gets the answer to its commit.
            late.record(last.saturating_sub(commit.at_micros).max(1))?;
        }
        Ok(late)
    }

    fn at(&self, revision: u64) -> Option<&AppliedMark> {
        self.applied.get(usize::try_from(revision.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_counts_when_its_last_edge_has_it() {
        let marks = RevisionMarks::after(10);
        marks.applied(9, 12);
        marks.applied(10, 11);
        let commit = |revision| AcknowledgedCommit { revision, at_micros: 0 };
        assert_eq!(marks.latencies(&[commit(11)], 2).unwrap().len(), 1);
        let missing = marks.latencies(&[commit(12)], 2).map(drop).unwrap_err();
        assert_eq!(missing.to_string(), "revision 12 is on 1 of 2 edges");
        marks.applied(11, 12);
        assert_eq!(marks.latencies(&[commit(11), commit(12)], 2).unwrap().len(), 2);
    }
}
