//! Which entries of the server list are one BBB server (ADR 21). An operator may add a server
//! twice: by another name, by its address in addition to its name, or from a list with other ids. A
//! BBB server has no identity that Usher could query, but the meetings that it runs identify it: an
//! internal meeting id contains the time of its creation in milliseconds, so two entries that list
//! the same instance reach the same server.
//!
//! The relation follows from the present content of the store alone, so that every replica derives
//! the same one. While a server runs no meeting, two addresses of it look like two servers; during
//! that time no meeting can be harmed.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
};

use foldhash::{HashMap, HashMapExt, HashSet, quality::FixedState};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    server::{AdminState, Health, ServerSample, place_of},
};

use super::{Fleet, FleetServer};
use crate::core::instance::create_time_of;

/// The entries whose last sample lists an instance. One entry is the normal case, for which no set
/// is allocated.
#[derive(Debug, Clone)]
enum Listers {
    One(ServerId),
    Several(BTreeSet<ServerId>),
}

/// The index of the aliases: the entries by the hash of each instance, and the pairs of entries
/// that list a common instance or have the same address.
#[derive(Debug, Clone)]
pub(super) struct ServerAliases {
    listers: HashMap<u64, Listers>,
    /// Number of instances that both entries of a pair list; a pair without a common instance is
    /// absent.
    shared: BTreeMap<(ServerId, ServerId), usize>,
    places: HashMap<ServerId, String>,
    at: HashMap<String, BTreeSet<ServerId>>,
    same_address: BTreeSet<(ServerId, ServerId)>,
}

impl Default for ServerAliases {
    fn default() -> Self {
        Self {
            listers: HashMap::new(),
            shared: BTreeMap::new(),
            places: HashMap::new(),
            at: HashMap::new(),
            same_address: BTreeSet::new(),
        }
    }
}

impl ServerAliases {
    /// Replaces the instances of an entry's sample. The cost is linear in the length of the two
    /// samples.
    pub(super) fn sampled(
        &mut self,
        id: &ServerId,
        before: Option<&ServerSample>,
        after: Option<&ServerSample>,
    ) {
        let (before, after) = (instances(before), instances(after));
        for instance in before.difference(&after) {
            self.unlist(id, *instance);
        }
        for instance in after.difference(&before) {
            self.list(id, *instance);
        }
    }

    /// Sets the address of an entry; `None` when the entry was deleted.
    pub(super) fn addressed(&mut self, id: &ServerId, url: Option<&str>) {
        let place = url.map(place_of);
        if self.places.get(id) == place.as_ref() {
            return;
        }
        if let Some(before) = self.places.remove(id)
            && let Some(there) = self.at.get_mut(&before)
        {
            there.remove(id);
            if there.is_empty() {
                self.at.remove(&before);
            }
            self.same_address.retain(|(one, other)| one != id && other != id);
        }
        let Some(place) = place else { return };
        let there = self.at.entry(place.clone()).or_default();
        self.same_address.extend(there.iter().map(|other| pair(id, other)));
        there.insert(id.clone());
        self.places.insert(id.clone(), place);
    }

    fn list(&mut self, id: &ServerId, instance: u64) {
        let Some(listers) = self.listers.get_mut(&instance) else {
            self.listers.insert(instance, Listers::One(id.clone()));
            return;
        };
        let mut several = match listers {
            Listers::One(one) => BTreeSet::from([one.clone()]),
            Listers::Several(several) => std::mem::take(several),
        };
        for other in several.iter().filter(|other| *other != id) {
            *self.shared.entry(pair(id, other)).or_default() += 1;
        }
        several.insert(id.clone());
        *listers = Listers::Several(several);
    }

    fn unlist(&mut self, id: &ServerId, instance: u64) {
        match self.listers.get_mut(&instance) {
            None => {}
            Some(Listers::One(_)) => {
                self.listers.remove(&instance);
            }
            Some(Listers::Several(several)) => {
                several.remove(id);
                for other in several.iter() {
                    let shared = pair(id, other);
                    match self.shared.get_mut(&shared) {
                        Some(count) if *count > 1 => *count -= 1,
                        _ => drop(self.shared.remove(&shared)),
                    }
                }
                if several.is_empty() {
                    self.listers.remove(&instance);
                }
            }
        }
    }

    fn listers_of(&self, instance: &InternalMeetingId) -> impl Iterator<Item = &ServerId> {
        let (one, several) = match self.listers.get(&hash(instance)) {
            None => (None, None),
            Some(Listers::One(one)) => (Some(one), None),
            Some(Listers::Several(several)) => (None, Some(several)),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    fn of<'a>(&'a self, id: &'a ServerId) -> impl Iterator<Item = &'a ServerId> {
        let pairs = self.shared.keys().chain(&self.same_address);
        pairs.filter_map(move |(one, other)| match (one == id, other == id) {
            (true, _) => Some(other),
            (_, true) => Some(one),
            _ => None,
        })
    }

    fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.same_address.is_empty()
    }
}

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
        let there = self.aliases.at.get(&place_of(url))?.iter();
        let is_left =
            |id: &ServerId| self.server(id).is_some_and(|server| server.stored.value.former_of.is_some());
        there.filter(|id| *id != except && !is_left(id)).min()
    }

    /// Visits the entries whose last sample lists an instance.
    pub fn listers_of(&self, instance: &InternalMeetingId) -> impl Iterator<Item = &ServerId> {
        self.aliases.listers_of(instance)
    }
}

fn instances(sample: Option<&ServerSample>) -> HashSet<u64> {
    let meetings = sample.map_or(&[][..], |sample| &sample.meetings);
    // An id without a time proves no identity, because two servers may give it to two meetings.
    let dated = meetings.iter().filter(|meeting| create_time_of(&meeting.internal_id) != 0);
    dated.map(|meeting| hash(&meeting.internal_id)).collect()
}

fn hash(instance: &InternalMeetingId) -> u64 {
    FixedState::default().hash_one(instance.as_str())
}

fn pair(one: &ServerId, other: &ServerId) -> (ServerId, ServerId) {
    if one <= other { (one.clone(), other.clone()) } else { (other.clone(), one.clone()) }
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
        bench.write(PlanWrite::Server(server("a"))); // "a" is the younger entry, although its name sorts first
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
        bench.write(PlanWrite::Server(disabled));
        assert_eq!(original(&bench, "b"), None);
    }

    #[test]
    fn one_address_is_one_server_without_any_meeting() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        let moved = Server { url: "http://A.example.org/bigbluebutton/api".into(), ..server("b") };
        bench.write(PlanWrite::Server(moved));
        assert_eq!(original(&bench, "b").as_deref(), Some("a"));
        bench.write(PlanWrite::Server(server("b")));
        assert_eq!(original(&bench, "b"), None);
        bench.write(PlanWrite::Server(Server { url: server("a").url, ..server("b") }));
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
