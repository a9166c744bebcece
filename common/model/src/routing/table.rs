//! The immutable view edges route by, at one revision (I9: equal at equal revisions).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    delta::{RevisionGap, RoutingDelta},
    digest::{DigestInput, TableDigest},
    entry::{MeetingRoute, ServerRoute, TenantRoute},
    sharded::ShardedMap,
};
use crate::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
};

/// Servers, tenants and meetings at one revision. Clones share what does not change after.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    revision: Revision,
    servers: Arc<BTreeMap<ServerId, ServerRoute>>,
    tenants: Arc<BTreeMap<TenantId, TenantRoute>>,
    meetings: ShardedMap<MeetingKey, Arc<MeetingRoute>>,
    digest: TableDigest,
}

impl PartialEq for RoutingTable {
    fn eq(&self, other: &Self) -> bool {
        self.revision == other.revision
            && self.digest == other.digest
            && self.servers == other.servers
            && self.tenants == other.tenants
            && self.meetings.len() == other.meetings.len()
            && self.meetings.iter().all(|(key, route)| other.meetings.get(key) == Some(route))
    }
}

impl RoutingTable {
    /// Returns an empty table.
    pub fn empty(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Returns the revision it stands at.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the digest over all entries.
    pub fn digest(&self) -> TableDigest {
        self.digest
    }

    /// Looks a server up.
    pub fn server(&self, id: &ServerId) -> Option<&ServerRoute> {
        self.servers.get(id)
    }

    /// Looks a tenant up.
    pub fn tenant(&self, id: &TenantId) -> Option<&TenantRoute> {
        self.tenants.get(id)
    }

    /// Looks a meeting up.
    pub fn meeting(&self, key: &MeetingKey) -> Option<&MeetingRoute> {
        self.meetings.get(key).map(Arc::as_ref)
    }

    /// Visits the servers by id.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &ServerRoute> {
        self.servers.values()
    }

    /// Visits the tenants by id.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &TenantRoute> {
        self.tenants.values()
    }

    /// Visits the meetings, in no particular order.
    pub fn meetings(&self) -> impl Iterator<Item = &MeetingRoute> {
        self.meetings.iter().map(|(_, route)| route.as_ref())
    }

    /// Returns the number of meetings.
    pub fn meeting_count(&self) -> usize {
        self.meetings.len()
    }

    /// Visits the meetings in which the two tables may differ.
    pub fn meetings_not_shared_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a MeetingRoute> {
        self.meetings.unshared(&other.meetings).map(|(_, route)| route.as_ref())
    }

    /// Moves the table on by one delta, at a cost that depends on the delta alone.
    ///
    /// # Errors
    /// The delta applies to another revision; nothing was changed.
    pub fn apply(&mut self, delta: &RoutingDelta) -> Result<(), RevisionGap> {
        if delta.base != self.revision {
            return Err(RevisionGap { have: self.revision, base: delta.base });
        }
        if !delta.servers.is_empty() {
            set_all(Arc::make_mut(&mut self.servers), &delta.servers, &mut self.digest);
        }
        if !delta.tenants.is_empty() {
            set_all(Arc::make_mut(&mut self.tenants), &delta.tenants, &mut self.digest);
        }
        for (key, route) in &delta.meetings {
            let old = match route {
                Some(route) => {
                    self.digest.add(route);
                    self.meetings.insert(key.clone(), Arc::new(route.clone()))
                }
                None => self.meetings.remove(key),
            };
            if let Some(old) = old {
                self.digest.remove(old.as_ref());
            }
        }
        self.revision = delta.revision;
        Ok(())
    }
}

fn set_all<K: Ord + Clone, V: DigestInput + Clone>(
    map: &mut BTreeMap<K, V>,
    changes: &BTreeMap<K, Option<V>>,
    digest: &mut TableDigest,
) {
    for (key, value) in changes {
        let old = match value {
            Some(value) => {
                digest.add(value);
                map.insert(key.clone(), value.clone())
            }
            None => map.remove(key),
        };
        if let Some(old) = old {
            digest.remove(&old);
        }
    }
}
