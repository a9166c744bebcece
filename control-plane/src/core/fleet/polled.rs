//! Which servers were polled in the present epoch (ADR 8). A store that was emptied or set back to
//! a backup lacks the meetings that were created since; only a poll that was written after the
//! epoch began is evidence of them.

use usher_model::{
    meeting::RecordState,
    server::{Health, ServerSample},
};

use super::{Fleet, FleetServer, RecordEntry};
use crate::core::{epoch::Epoch, plan::Stored};

impl Fleet {
    /// Returns the epoch of the store from which the fleet was folded.
    pub fn epoch(&self) -> Epoch {
        Epoch { number: self.revision().epoch, begun: self.begun }
    }

    /// Returns whether the meetings on a server are known: a poll of this epoch succeeded, or the
    /// server became offline in this epoch, which detaches its meetings.
    pub fn knows(&self, server: &FleetServer) -> bool {
        let offline = server.health() == Health::Offline && self.is_of_epoch(server.health_record.as_ref());
        offline || self.is_of_epoch(server.sample.as_ref())
    }

    /// Returns whether a poll of the server ended in this epoch, successful or failed.
    pub fn has_tried(&self, server: &FleetServer) -> bool {
        let failed = server.health_record.as_ref().filter(|health| health.value.error > 0);
        self.is_of_epoch(failed) || self.knows(server)
    }

    /// Returns the last sample of a server if it was taken in this epoch. The watermark of an
    /// earlier sample is a revision of another history and cannot be compared (ADR 8).
    pub fn sample_of_epoch<'a>(&self, server: &'a FleetServer) -> Option<&'a ServerSample> {
        server.sample.as_ref().filter(|sample| self.is_of_epoch(Some(sample))).map(|stored| &stored.value)
    }

    /// Returns whether a poll with this watermark ends a reservation on the server: it was sent after
    /// the record was confirmed, and the stored sample was not.
    pub fn ends_reservation(&self, server: &FleetServer, watermark: u64) -> bool {
        let ends = |entry: &RecordEntry| {
            let active = matches!(entry.stored.value.state, RecordState::Active { .. });
            active && entry.reserved > 0 && entry.stored.modified <= watermark
        };
        server.reserved > 0
            && self.records.on(server.id()).any(|key| self.records.get(key).is_some_and(&ends))
    }

    /// Returns whether this replica saw the last poll of the server when the poll was written, so
    /// that the sample age that it knows is the true one. A sample that came with a listing may be
    /// older, and so may one that later polls confirmed without a write.
    pub fn saw_sampled(&self, server: &FleetServer) -> bool {
        let seen = |modified: u64| modified > self.followed_since;
        server.sample.as_ref().is_some_and(|sample| seen(sample.modified))
            && server.sample_applied_at == server.listed_at()
    }

    fn is_of_epoch<T>(&self, stored: Option<&Stored<T>>) -> bool {
        stored.is_some_and(|stored| stored.modified > self.begun)
    }
}

#[cfg(test)]
mod tests {
    use usher_model::server::{HealthRecord, Server, ServerSample};

    use super::*;
    use crate::core::{plan::FleetEvent, policy::Policy, testkit};

    fn stored<T>(value: T, modified: u64) -> Option<Stored<T>> {
        Some(Stored { value, created: modified, modified })
    }

    fn fleet(
        server: Server,
        sample: Option<(ServerSample, u64)>,
        health: Option<(HealthRecord, u64)>,
    ) -> Fleet {
        let id = server.id.clone();
        let mut events = vec![FleetEvent::Server(id.clone(), stored(server, 1))];
        events.extend(sample.map(|(sample, at)| FleetEvent::Sample(id.clone(), stored(sample, at))));
        events.extend(health.map(|(health, at)| FleetEvent::Health(id, stored(health, at))));
        let mut fleet = Fleet::new(7, Policy::default()).begun_at(10);
        fleet.apply(20, events, std::time::Instant::now());
        fleet
    }

    fn known_and_tried(fleet: &Fleet) -> (bool, bool) {
        let server = fleet.servers().next().unwrap();
        (fleet.knows(server), fleet.has_tried(server))
    }

    #[test]
    fn f7_samples_of_an_earlier_epoch_are_no_evidence() {
        let (server, sample) = (testkit::server("a"), testkit::sample(3, &[]));
        let failing = |error| HealthRecord { recover: 0, error, ..testkit::health(0, error) };
        let offline = Policy::default().unhealthy_threshold;
        assert_eq!(known_and_tried(&fleet(server.clone(), None, None)), (false, false));
        assert_eq!(known_and_tried(&fleet(server.clone(), Some((sample.clone(), 10)), None)), (false, false));
        assert_eq!(known_and_tried(&fleet(server.clone(), Some((sample, 11)), None)), (true, true));
        assert_eq!(known_and_tried(&fleet(server.clone(), None, Some((failing(1), 9)))), (false, false));
        assert_eq!(known_and_tried(&fleet(server.clone(), None, Some((failing(1), 11)))), (false, true));
        assert_eq!(
            known_and_tried(&fleet(server.clone(), None, Some((failing(offline), 9)))),
            (false, false)
        );
        assert_eq!(known_and_tried(&fleet(server, None, Some((failing(offline), 11)))), (true, true));
    }
}
