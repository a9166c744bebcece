//! The index of the records by key, by tenant in the order of their ids, and by server, with the
//! number of meetings of each tenant.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
    ops::Bound,
    time::Instant,
};

use foldhash::{HashMap, HashMapExt, quality::FixedState};
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
};

use super::instance_stem;
use crate::core::plan::Stored;

/// A record with the times and the reservation that this replica derives for it.
#[derive(Debug, Clone)]
pub struct RecordEntry {
    /// The record with the store revisions that wrote it.
    pub stored: Stored<MeetingRecord>,
    /// When this replica first saw the placement, known by its server and token.
    pub placed_at: Instant,
    /// When this replica saw the last change of the record.
    pub changed_at: Instant,
    /// Users that the record adds to its server's load because the last sample cannot contain its
    /// meeting.
    pub(super) reserved: u32,
    /// Whether the record is counted among the PENDING records of its server.
    pub(super) pending: bool,
    /// Whether the record is counted among the creates that its server has not answered.
    pub(super) unanswered: bool,
}

/// The index of all records.
#[derive(Debug, Clone)]
pub(super) struct RecordIndex {
    /// Boxed, because up to half of the places of the map are free.
    all: HashMap<MeetingKey, Box<RecordEntry>>,
    on: HashMap<ServerId, BTreeSet<MeetingKey>>,
    /// The records of each tenant that has any. The ids are a second index beside `all`, because a
    /// look-up by hash is about ten times as fast as one in an ordered map of a million keys.
    of: BTreeMap<TenantId, TenantRecords>,
    /// The records by their tenants and the stems of the internal ids that they have or may get,
    /// as hashes. Two ids have one stem only if one of them is unscoped (ADR 12).
    by_stem: BTreeMap<u64, StemKeys>,
}

/// The records with one stem. One record is the normal case, for which no list is allocated.
#[derive(Debug, Clone)]
enum StemKeys {
    One(MeetingKey),
    Several(Box<[MeetingKey]>),
}

impl StemKeys {
    fn as_slice(&self) -> &[MeetingKey] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Several(keys) => keys,
        }
    }

    /// Returns the keys with one more.
    fn with(&self, key: &MeetingKey) -> Self {
        Self::Several([self.as_slice(), std::slice::from_ref(key)].concat().into_boxed_slice())
    }

    /// Returns the keys without one; `None` if no other is left.
    fn without(&self, key: &MeetingKey) -> Option<Self> {
        let mut left: Vec<MeetingKey> =
            self.as_slice().iter().filter(|other| *other != key).cloned().collect();
        match left.len() {
            0 => None,
            1 => left.pop().map(Self::One),
            _ => Some(Self::Several(left.into_boxed_slice())),
        }
    }
}

/// The records of one tenant.
#[derive(Debug, Clone, Default)]
struct TenantRecords {
    /// Ids of the meetings with a record in any state.
    ids: BTreeSet<MeetingId>,
    /// Number of records that count as meetings of the tenant.
    meetings: usize,
}

impl Default for RecordIndex {
    fn default() -> Self {
        Self { all: HashMap::new(), on: HashMap::new(), of: BTreeMap::new(), by_stem: BTreeMap::new() }
    }
}

impl RecordIndex {
    /// Sets or removes the record of `key` and returns the entry that it replaces.
    pub(super) fn set(
        &mut self,
        key: &MeetingKey,
        stored: Option<Stored<MeetingRecord>>,
        now: Instant,
    ) -> Option<RecordEntry> {
        let old = self.all.remove(key).map(|old| *old);
        let stems = [old.as_ref().map(|old| &old.stored), stored.as_ref()].map(|stored| {
            stored.map(|stored| stem_hash(&key.tenant, &instance_stem::stem(key, &stored.value)))
        });
        if stems[0] != stems[1] {
            stems[0].into_iter().for_each(|stem| self.forget_stem(stem, key));
            stems[1].into_iter().for_each(|stem| self.note_stem(stem, key));
        }
        let was = old.as_ref().is_some_and(|old| counts(&old.stored.value));
        let is = stored.as_ref().is_some_and(|new| counts(&new.value));
        self.list(key, (old.is_some(), was), (stored.is_some(), is));
        if let Some(old) = &old
            && stored.as_ref().is_none_or(|new| new.value.server != old.stored.value.server)
            && let Some(keys) = self.on.get_mut(&old.stored.value.server)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.on.remove(&old.stored.value.server);
            }
        }
        if let Some(stored) = stored {
            let same = old.as_ref().filter(|old| {
                let (old, new) = (&old.stored.value, &stored.value);
                old.server == new.server && old.token == new.token
            });
            let placed_at = same.map_or(now, |old| old.placed_at);
            self.on.entry(stored.value.server.clone()).or_default().insert(key.clone());
            let entry = RecordEntry {
                stored,
                placed_at,
                changed_at: now,
                reserved: 0,
                pending: false,
                unanswered: false,
            };
            self.all.insert(key.clone(), Box::new(entry));
        }
        old
    }

    fn note_stem(&mut self, stem: u64, key: &MeetingKey) {
        let keys = self.by_stem.get(&stem).map_or_else(|| StemKeys::One(key.clone()), |keys| keys.with(key));
        self.by_stem.insert(stem, keys);
    }

    fn forget_stem(&mut self, stem: u64, key: &MeetingKey) {
        if let Some(keys) = self.by_stem.remove(&stem)
            && let Some(left) = keys.without(key)
        {
            self.by_stem.insert(stem, left);
        }
    }

    /// Visits the records of a tenant whose internal id begins with `stem`, as far as it is known,
    /// and perhaps others.
    pub(super) fn by_stem(&self, tenant: &TenantId, stem: &str) -> impl Iterator<Item = &MeetingKey> {
        self.by_stem.get(&stem_hash(tenant, stem)).into_iter().flat_map(StemKeys::as_slice)
    }

    /// Lists a record under its tenant. Each pair says whether the record exists, and whether it
    /// counts as a meeting, before and after the change.
    fn list(&mut self, key: &MeetingKey, (was_there, was): (bool, bool), (is_there, is): (bool, bool)) {
        if (was_there, was) == (is_there, is) {
            return;
        }
        let of_tenant = self.of.entry(key.tenant.clone()).or_default();
        match (was, is) {
            (false, true) => of_tenant.meetings += 1,
            (true, false) => of_tenant.meetings -= 1,
            _ => {}
        }
        if is_there {
            of_tenant.ids.insert(key.meeting.clone());
        } else {
            of_tenant.ids.remove(&key.meeting);
            if of_tenant.ids.is_empty() {
                self.of.remove(&key.tenant);
            }
        }
    }

    /// Returns the number of records that count as meetings of a tenant.
    pub(super) fn meeting_count_of(&self, tenant: &TenantId) -> usize {
        self.of.get(tenant).map_or(0, |of_tenant| of_tenant.meetings)
    }

    /// Returns the number of a tenant's records in every state.
    pub(super) fn count_of(&self, tenant: &TenantId) -> usize {
        self.of.get(tenant).map_or(0, |of_tenant| of_tenant.ids.len())
    }

    /// Visits the records after `after` in the order of their keys, of one tenant or of all.
    pub(super) fn after<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        after: Option<&'a MeetingKey>,
    ) -> impl Iterator<Item = (&'a MeetingKey, &'a RecordEntry)> {
        let first = tenant.or(after.map(|after| &after.tenant));
        let first = first.map_or(Bound::Unbounded, Bound::Included);
        let of_tenants = self.of.range::<TenantId, _>((first, Bound::Unbounded));
        let of_tenants = of_tenants
            .take_while(move |(of, _)| tenant.is_none_or(|tenant| tenant == *of))
            .filter(move |(of, _)| after.is_none_or(|after| after.tenant <= **of));
        let keys = of_tenants.flat_map(move |(of, records)| {
            let start = after.filter(|after| after.tenant == *of);
            let start = start.map_or(Bound::Unbounded, |after| Bound::Excluded(&after.meeting));
            let ids = records.ids.range::<MeetingId, _>((start, Bound::Unbounded));
            ids.map(move |id| MeetingKey::new(of.clone(), id.clone()))
        });
        keys.filter_map(|key| self.all.get_key_value(&key).map(|(key, entry)| (key, &**entry)))
    }

    /// Visits the keys of the records on a server after `after` in their order, of one tenant or of
    /// all.
    pub(super) fn on_after<'a>(
        &'a self,
        server: &'a ServerId,
        tenant: Option<&'a TenantId>,
        after: Option<&'a MeetingKey>,
    ) -> impl Iterator<Item = &'a MeetingKey> {
        // The tenant's first record here cannot be sought by the tenant alone, so that its first
        // record anywhere is the bound: no key of the tenant is smaller.
        let least = tenant.and_then(|tenant| self.of.get(tenant)?.ids.first());
        let least = tenant.zip(least).map(|(tenant, id)| MeetingKey::new(tenant.clone(), id.clone()));
        let start = match (after, least) {
            (Some(after), Some(least)) if *after < least => Bound::Included(least),
            (Some(after), _) => Bound::Excluded(after.clone()),
            (None, Some(least)) => Bound::Included(least),
            (None, None) => Bound::Unbounded,
        };
        let keys = self
            .on
            .get(server)
            .into_iter()
            .flat_map(move |keys| keys.range((start.clone(), Bound::Unbounded)));
        keys.take_while(move |key| tenant.is_none_or(|tenant| *tenant == key.tenant))
    }

    pub(super) fn get(&self, key: &MeetingKey) -> Option<&RecordEntry> {
        self.all.get(key).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, key: &MeetingKey) -> Option<&mut RecordEntry> {
        self.all.get_mut(key).map(Box::as_mut)
    }

    /// Returns the record of `key` with the key that the index holds, for others to share.
    pub(super) fn get_shared(&self, key: &MeetingKey) -> Option<(&MeetingKey, &RecordEntry)> {
        self.all.get_key_value(key).map(|(key, entry)| (key, &**entry))
    }

    /// Returns the id of a tenant with records as the index holds it, for others to share.
    pub(super) fn shared_tenant(&self, tenant: &TenantId) -> Option<&TenantId> {
        self.of.get_key_value(tenant).map(|(tenant, _)| tenant)
    }

    /// Returns the id of a server with records as the index holds it, for others to share.
    pub(super) fn shared_server(&self, server: &ServerId) -> Option<&ServerId> {
        self.on.get_key_value(server).map(|(server, _)| server)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&MeetingKey, &RecordEntry)> {
        self.all.iter().map(|(key, entry)| (key, &**entry))
    }

    pub(super) fn on(&self, server: &ServerId) -> impl Iterator<Item = &MeetingKey> {
        self.on.get(server).into_iter().flatten()
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &ServerId> {
        self.on.keys()
    }

    pub(super) fn count_on(&self, server: &ServerId) -> usize {
        self.on.get(server).map_or(0, BTreeSet::len)
    }
}

fn stem_hash(tenant: &TenantId, stem: &str) -> u64 {
    FixedState::default().hash_one((tenant.as_str(), stem))
}

/// Returns whether a record counts as a meeting of its tenant: a record that is ENDING does not,
/// nor does a breakout room, which is part of its parent (ADR 15).
fn counts(record: &MeetingRecord) -> bool {
    !record.breakout && !matches!(record.state, RecordState::Ending { .. })
}
