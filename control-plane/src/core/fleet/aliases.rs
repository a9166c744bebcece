//! Which entries of the server list are one BBB server (ADR 21). An operator may add a server
//! twice: by another name, by its address in addition to its name, or from a list with other ids. A
//! BBB server has no identity that Usher could query, but the meetings that it runs identify it: an
//! internal meeting id contains the time of its creation in milliseconds, so two entries that list
//! the same instance reach the same server.
//!
//! The relation follows from the present content of the store alone, so that every replica derives
//! the same one. While a server runs no meeting, two addresses of it look like two servers; during
//! that time no meeting can be harmed.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    server::{AdminState, Health},
};

use super::{Fleet, FleetServer};

impl Fleet {
    /// Visits the other entries of the same BBB server; one entry may occur several times.
    pub fn aliases_of<'a>(&'a self, id: &'a ServerId) -> impl Iterator<Item = &'a ServerId> {
        self.aliases.of(id)
    }

    /// Returns the entry in whose favour this entry takes no meetings: the oldest entry of the same
    /// BBB server that is neither disabled nor offline (ADR 21). Returns `None` if this entry is
    /// the oldest of them or has no alias; then the entry is used like any other.
    pub fn original_of(&self, id: &ServerId) -> Option<&ServerId> {
        if self.aliases.is_empty() {
            return None;
        }
        let own = self.server(id)?;
        let age = |server: &FleetServer| (server.stored.created, server.id().clone());
        let used = |server: &&FleetServer| {
            server.admin() != AdminState::Disabled && server.health() != Health::Offline
        };
        let aliases = self.aliases_of(id).filter_map(|alias| self.server(alias)).filter(used);
        aliases.filter(|alias| age(alias) < age(own)).min_by_key(|alias| age(alias)).map(FleetServer::id)
    }

    /// Returns another entry than `except` whose address means the same place as `url`. The entry
    /// that keeps a former address does not count: it is disabled, and its server may return to
    /// that address.
    pub fn entry_at(&self, url: &str, except: &ServerId) -> Option<&ServerId> {
        let is_left =
            |id: &ServerId| self.server(id).is_some_and(|server| server.stored.value.former_of.is_some());
        self.aliases.at(url).filter(|id| *id != except && !is_left(id)).min()
    }

    /// Visits the entries whose last sample lists an instance.
    pub fn listers_of(&self, instance: &InternalMeetingId) -> impl Iterator<Item = &ServerId> {
        self.aliases.listers_of(instance)
    }
}

#[cfg(test)]
mod tests {
    use usher_model::server::Server;

    use crate::core::{
        plan::{FleetKey, PlanWrite},
        policy::Policy,
        testkit::{FleetBench, iid, sample, server, sid},
    };

    fn listing(bench: &mut FleetBench, server: &str, meetings: &[(&str, &str)]) {
        let sample = sample(bench.store.revision, meetings);
        bench.write(PlanWrite::Sample(sid(server), sample));
    }

    fn original(bench: &FleetBench, server: &str) -> Option<String> {
        bench.fleet.original_of(&sid(server)).map(ToString::to_string)
    }

    #[test]
    fn a5_entries_that_list_one_instance_are_one_server_for_as_long_as_they_do() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["b", "c"]);
        bench.write(PlanWrite::server(server("a"))); // "a" is the younger entry, although its name sorts first
        bench.online("a");
        listing(&mut bench, "b", &[("m", "i-1"), ("n", "i-2")]);
        assert_eq!(original(&bench, "a"), None);
        listing(&mut bench, "a", &[("m", "i-1"), ("n", "i-2")]);
        assert_eq!((original(&bench, "a"), original(&bench, "b")), (Some("b".into()), None));
        assert_eq!(original(&bench, "c"), None);
        assert_eq!(bench.fleet.listers_of(&iid("i-1")).count(), 2);
        listing(&mut bench, "b", &[("n", "i-2")]);
        assert_eq!(original(&bench, "a").as_deref(), Some("b"), "one is left");
        listing(&mut bench, "b", &[]);
        assert_eq!(original(&bench, "a"), None);
        bench.write(PlanWrite::Delete(FleetKey::Sample(sid("a"))));
        assert_eq!(bench.fleet.listers_of(&iid("i-1")).count(), 0);
    }

    #[test]
    fn an_entry_is_used_while_the_older_one_cannot_be() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        listing(&mut bench, "a", &[("m", "i-1")]);
        listing(&mut bench, "b", &[("m", "i-1")]);
        assert_eq!(original(&bench, "b").as_deref(), Some("a"));
        bench.offline("a");
        assert_eq!(original(&bench, "b"), None);
        bench.unhealthy("a");
        assert_eq!(original(&bench, "b").as_deref(), Some("a"));
        let disabled = Server { admin: usher_model::server::AdminState::Disabled, ..server("a") };
        bench.write(PlanWrite::server(disabled));
        assert_eq!(original(&bench, "b"), None);
    }

    #[test]
    fn one_address_is_one_server_without_any_meeting() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        let moved = Server { url: "http://A.example.org/bigbluebutton/api".into(), ..server("b") };
        bench.write(PlanWrite::server(moved));
        assert_eq!(original(&bench, "b").as_deref(), Some("a"));
        bench.write(PlanWrite::server(server("b")));
        assert_eq!(original(&bench, "b"), None);
        bench.write(PlanWrite::server(Server { url: server("a").url, ..server("b") }));
        bench.write(PlanWrite::Delete(FleetKey::Server(sid("a"))));
        assert_eq!(original(&bench, "b"), None);
    }

    #[test]
    fn ids_without_a_time_prove_no_identity() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        for server in ["a", "b"] {
            listing(&mut bench, server, &[("m", "m")]);
        }
        assert_eq!(original(&bench, "b"), None);
    }
}
