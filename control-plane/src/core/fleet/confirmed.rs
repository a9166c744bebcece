//! Ages of samples whose later polls wrote no value (ADR 34). A poll that saw the same writes
//! nothing, so a replica derives that it was made:
//!
//! | the replica knows of a server, at one revision of the store | the sample is |
//! |---|---|
//! | the leader wrote the sample in its present term, the entry of the server is older than the poll, and the last check or call succeeded | confirmed: its age starts again |
//! | no replica leads, or another one than the writer of the sample | ageing |
//! | the last check or call failed, or the entry was changed after the poll | ageing, until a poll is written |
//! | no sample of this epoch | unknown |
//!
//! A failed poll is written, a changed one too, and a leader that can write neither in time resigns
//! ([`crate::core::poll_duty`]). So a leader in whose term the sample was written, and of which no
//! failure is stored, has polled the server within [`crate::core::poll_duty::limit`], mostly within
//! one interval.

use std::{collections::BTreeSet, time::Instant};

use usher_model::id::ServerId;

use super::{Fleet, FleetServer};

impl Fleet {
    /// Starts the ages of samples again that the leader of `term` keeps: it led at `at`, which is
    /// before the revision of this fleet was read. Without a leader every age goes on. The
    /// reservations that time alone ends are counted again.
    pub fn confirm_samples(&mut self, term: Option<u64>, at: Instant) {
        let kept = |server: &&FleetServer| term.is_some_and(|term| self.is_kept(server, term));
        let kept: Vec<ServerId> =
            self.servers.values().filter(kept).map(|server| server.id().clone()).collect();
        let mut touched = BTreeSet::new();
        for id in kept {
            self.renew_age(&id, at);
            touched.insert(id);
        }
        let waiting: Vec<ServerId> = self
            .servers
            .values()
            .filter(|server| waits_for_time(server))
            .map(|server| server.id().clone())
            .collect();
        for id in waiting {
            self.recount(&id, at);
            touched.insert(id);
        }
        self.index_candidates(&touched);
    }

    /// Starts the age of a sample again, because this replica itself polled the server at `at` and
    /// found no difference. The reservations that time alone ends are counted again.
    pub fn confirm_sample(&mut self, id: &ServerId, at: Instant) {
        self.renew_age(id, at);
        if self.servers.get(id).is_some_and(waits_for_time) {
            self.recount(id, at);
        }
        self.index_candidates(&BTreeSet::from([id.clone()]));
    }

    /// Returns whether the sample is the one that the leader of `term` finds unchanged.
    fn is_kept(&self, server: &FleetServer, term: u64) -> bool {
        let succeeded = server.health_record.as_ref().is_some_and(|health| health.value.recover > 0);
        let sample = self.sample_of_epoch(server);
        succeeded
            && self.is_polled(server.id())
            && sample.is_some_and(|sample| sample.term == term && sample.watermark >= server.stored.modified)
    }

    fn renew_age(&mut self, id: &ServerId, at: Instant) {
        let Some(server) = self.servers.get_mut(id).filter(|server| server.sample.is_some()) else { return };
        server.sample_applied_at = server.sample_applied_at.max(Some(at));
    }
}

/// Returns whether the server has a reservation or a create under way, which time alone may end.
fn waits_for_time(server: &FleetServer) -> bool {
    server.reserved > 0 || server.unanswered > 0
}

#[cfg(test)]
mod tests;
