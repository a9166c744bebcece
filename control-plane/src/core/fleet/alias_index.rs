//! The index of the entries that are one BBB server: by the instances that their last samples list,
//! and by their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
};

use foldhash::{HashMap, HashMapExt, HashSet, quality::FixedState};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    server::{ServerSample, place_of},
};

use crate::core::instance::create_time_of;

/// The index of the aliases: the entries by the hash of each instance, and the pairs of entries
/// that list a common instance or have the same address.
#[derive(Debug, Clone)]
pub(super) struct ServerAliases {
    /// The instances of the last samples, as hashes, each with the entries that list it. An ordered
    /// set takes less memory than a map, half of whose places would be free.
    listers: BTreeSet<(u64, ServerId)>,
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
            listers: BTreeSet::new(),
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
        for other in listers_of(&self.listers, instance).filter(|other| *other != id) {
            *self.shared.entry(pair(id, other)).or_default() += 1;
        }
        self.listers.insert((instance, id.clone()));
    }

    fn unlist(&mut self, id: &ServerId, instance: u64) {
        self.listers.remove(&(instance, id.clone()));
        for other in listers_of(&self.listers, instance) {
            let shared = pair(id, other);
            match self.shared.get_mut(&shared) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.shared.remove(&shared)),
            }
        }
    }

    /// Visits the entries whose last sample lists an instance.
    pub(super) fn listers_of(&self, instance: &InternalMeetingId) -> impl Iterator<Item = &ServerId> {
        listers_of(&self.listers, hash(instance))
    }

    /// Visits the entries whose addresses mean the same place as `url`.
    pub(super) fn at(&self, url: &str) -> impl Iterator<Item = &ServerId> {
        self.at.get(&place_of(url)).into_iter().flatten()
    }

    /// Visits the aliases of an entry; one of them may occur several times.
    pub(super) fn of<'a>(&'a self, id: &'a ServerId) -> impl Iterator<Item = &'a ServerId> {
        let pairs = self.shared.keys().chain(&self.same_address);
        pairs.filter_map(move |(one, other)| match (one == id, other == id) {
            (true, _) => Some(other),
            (_, true) => Some(one),
            _ => None,
        })
    }

    /// Returns whether no entry has an alias.
    pub(super) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.same_address.is_empty()
    }
}

fn listers_of(listers: &BTreeSet<(u64, ServerId)>, instance: u64) -> impl Iterator<Item = &ServerId> {
    let from_first = listers.range((instance, ServerId::LEAST)..);
    from_first.take_while(move |(other, _)| *other == instance).map(|(_, id)| id)
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
