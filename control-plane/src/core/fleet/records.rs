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

use super::{instance_stem, record_entry::RecordEntry, record_table::RecordTable};
use crate::core::plan::Stored;

/// The index of all records.
#[derive(Debug, Clone)]
pub(super) struct RecordIndex {
    all: RecordTable,
    on: HashMap<ServerId, BTreeSet<MeetingKey>>,
    /// The records of each tenant that has any. The ids are a second index beside `all`, because a
    /// look-up by hash is about ten times as fast as one in an ordered map of a million keys.
    of: BTreeMap<TenantId, TenantRecords>,
    /// The ids of the records by the hashes of their tenants and of the stems of the internal ids
    /// that they have or may get. Two ids have one stem only if one of them is unscoped (ADR 12).
    by_stem: BTreeSet<(u64, MeetingId)>,
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
        let (of, by_stem) = (BTreeMap::new(), BTreeSet::new());
        Self { all: RecordTable::default(), on: HashMap::new(), of, by_stem }
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
        let old = self.all.remove(key);
        let stems = [old.as_ref().map(|old| &old.stored), stored.as_ref()].map(|stored| {
            stored.map(|stored| stem_hash(&key.tenant, &instance_stem::stem(key, &stored.value)))
        });
        if stems[0] != stems[1] {
            let [was, is] = stems.map(|stem| stem.map(|stem| (stem, key.meeting.clone())));
            self.by_stem.extend(is);
            if let Some(was) = was {
                self.by_stem.remove(&was);
            }
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
            self.all.add(RecordEntry {
                key: key.clone(),
                stored,
                placed_at,
                changed_at: now,
                reserved: 0,
                pending: false,
                unanswered: false,
            });
        }
        old
    }

    /// Visits the records of a tenant whose internal id begins with `stem`, as far as it is known,
    /// and perhaps others.
    pub(super) fn by_stem<'a>(
        &'a self,
        tenant: &TenantId,
        stem: &str,
    ) -> impl Iterator<Item = (&'a MeetingKey, &'a RecordEntry)> {
        let hash = stem_hash(tenant, stem);
        let ids = self.by_stem.range((hash, MeetingId::LEAST)..).take_while(move |(other, _)| *other == hash);
        ids.filter_map(|(_, id)| self.get_shared(&MeetingKey::new(tenant.clone(), id.clone())))
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
        keys.filter_map(|key| self.get_shared(&key))
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
        self.all.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &MeetingKey) -> Option<&mut RecordEntry> {
        self.all.get_mut(key)
    }

    /// Returns the record of `key` with the key that the index holds, for others to share.
    pub(super) fn get_shared(&self, key: &MeetingKey) -> Option<(&MeetingKey, &RecordEntry)> {
        self.all.get(key).map(|entry| (&entry.key, entry))
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
        self.all.iter().map(|entry| (&entry.key, entry))
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
