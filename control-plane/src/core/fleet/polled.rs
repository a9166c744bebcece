//! What is known of a server in this epoch. A store that was emptied, or set back to a backup, tells
//! nothing of what was created since: only polls that were written after the epoch began do.

use usher_model::server::{Health, ServerSample};

use super::{Fleet, FleetServer};
use crate::core::{epoch::Epoch, plan::Stored};

impl Fleet {
    /// Returns the epoch it stands in.
    pub fn epoch(&self) -> Epoch {
        Epoch { number: self.revision().epoch, begun: self.begun }
    }

    /// Tells whether what runs on a server is known: a poll of this epoch was answered, or it turned
    /// offline in this epoch, which detaches its meetings.
    pub fn knows(&self, server: &FleetServer) -> bool {
        let offline = server.health() == Health::Offline && self.is_of_epoch(server.health_record.as_ref());
        offline || self.is_of_epoch(server.sample.as_ref())
    }

    /// Tells whether a server was asked in this epoch, whether it answered or not.
    pub fn has_tried(&self, server: &FleetServer) -> bool {
        let failed = server.health_record.as_ref().filter(|health| health.value.error > 0);
        self.is_of_epoch(failed) || self.knows(server)
    }

    /// Returns the last sample of a server, if it was taken in this epoch. The watermark of an earlier one
    /// is a revision of another history and cannot be compared.
    pub fn sample_of_epoch<'a>(&self, server: &'a FleetServer) -> Option<&'a ServerSample> {
        server.sample.as_ref().filter(|sample| self.is_of_epoch(Some(sample))).map(|stored| &stored.value)
    }

    /// Tells whether this replica saw what the last poll of a server wrote being written: the age it knows is the true
    /// one.
    pub fn saw_sampled(&self, server: &FleetServer) -> bool {
        let seen = |modified: u64| modified > self.followed_since;
        server.sample.as_ref().is_some_and(|sample| seen(sample.modified))
            || server.freshness.as_ref().is_some_and(|fresh| seen(fresh.modified))
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

    fn looked(fleet: &Fleet) -> (bool, bool) {
        let server = fleet.servers().next().unwrap();
        (fleet.knows(server), fleet.has_tried(server))
    }

    #[test]
    fn f7_what_an_earlier_epoch_saw_proves_nothing() {
        let (server, sample) = (testkit::server("a"), testkit::sample(3, &[]));
        let failing = |error| HealthRecord { recover: 0, error, ..testkit::health(0, error) };
        let red = Policy::default().unhealthy_threshold;
        assert_eq!(looked(&fleet(server.clone(), None, None)), (false, false));
        assert_eq!(looked(&fleet(server.clone(), Some((sample.clone(), 10)), None)), (false, false));
        assert_eq!(looked(&fleet(server.clone(), Some((sample, 11)), None)), (true, true));
        assert_eq!(looked(&fleet(server.clone(), None, Some((failing(1), 9)))), (false, false));
        assert_eq!(looked(&fleet(server.clone(), None, Some((failing(1), 11)))), (false, true));
        assert_eq!(looked(&fleet(server.clone(), None, Some((failing(red), 9)))), (false, false));
        assert_eq!(looked(&fleet(server, None, Some((failing(red), 11)))), (true, true));
    }
}
