//! The routing table: the immutable view by which edges route, at one revision (I9: equal at equal revisions).

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    delta::{RevisionGap, RoutingDelta},
    digest::{DigestInput, TableDigest},
    entry::{MeetingRoute, ServerRoute, TenantRoute},
    sharded::ShardedSet,
};
use crate::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
};

/// Servers, tenants and meetings at one revision. Clones share the entries that do not change afterwards.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    revision: Revision,
    servers: Arc<BTreeMap<ServerId, ServerRoute>>,
    tenants: Arc<BTreeMap<TenantId, TenantRoute>>,
    meetings: ShardedSet<MeetingKey, KeyedRoute>,
    digest: TableDigest,
}

/// The route of a meeting as an entry of the set, which finds it by its key.
#[derive(Debug, Clone)]
struct KeyedRoute(Arc<MeetingRoute>);

impl Borrow<MeetingKey> for KeyedRoute {
    fn borrow(&self) -> &MeetingKey {
        &self.0.key
    }
}

impl PartialEq for KeyedRoute {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for KeyedRoute {}

impl Hash for KeyedRoute {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl PartialEq for RoutingTable {
    fn eq(&self, other: &Self) -> bool {
        self.revision == other.revision
            && self.digest == other.digest
            && self.servers == other.servers
            && self.tenants == other.tenants
            && self.meetings.len() == other.meetings.len()
            && self.meetings().all(|route| other.meeting(&route.key) == Some(route))
    }
}

impl RoutingTable {
    /// Returns an empty table at a revision.
    pub fn empty(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Returns the revision of the table.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the digest over all entries.
    pub fn digest(&self) -> TableDigest {
        self.digest
    }

    /// Returns the server with an id.
    pub fn server(&self, id: &ServerId) -> Option<&ServerRoute> {
        self.servers.get(id)
    }

    /// Returns the tenant with an id.
    pub fn tenant(&self, id: &TenantId) -> Option<&TenantRoute> {
        self.tenants.get(id)
    }

    /// Returns the route of a meeting.
    pub fn meeting(&self, key: &MeetingKey) -> Option<&MeetingRoute> {
        self.meetings.get(key).map(|entry| entry.0.as_ref())
    }

    /// Returns the servers in the order of their ids.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &ServerRoute> {
        self.servers.values()
    }

    /// Returns the tenants in the order of their ids.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &TenantRoute> {
        self.tenants.values()
    }

    /// Returns the meetings, in no particular order.
    pub fn meetings(&self) -> impl Iterator<Item = &MeetingRoute> {
        self.meetings.iter().map(|entry| entry.0.as_ref())
    }

    /// Returns the number of meetings.
    pub fn meeting_count(&self) -> usize {
        self.meetings.len()
    }

    /// Visits the meetings in which the two tables may differ.
    pub fn meetings_not_shared_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a MeetingRoute> {
        self.meetings.unshared(&other.meetings).map(|entry| entry.0.as_ref())
    }

    /// Applies one delta. The cost depends only on the size of the delta.
    ///
    /// # Errors
    /// The delta applies to another revision; the table is unchanged.
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
                    self.meetings.insert(KeyedRoute(Arc::new(route.clone())))
                }
                None => self.meetings.remove(key),
            };
            if let Some(old) = old {
                self.digest.remove(old.0.as_ref());
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
