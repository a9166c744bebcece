//! The routing table of an edge, changed in place while requests read it.
//!
//! Deltas go into the live maps. A resync builds a new table (`snapshot`) and swaps it in
//! (`table_cell`). The order within a delta ensures that no reader is sent to a server that neither
//! the old nor the new table names: first the servers that become less usable, then meetings, then
//! the servers that become more usable. A reader may see a refusal early. Refusals are confirmed
//! with a control plane wherever one is reachable.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{DigestInput, MeetingRoute, RevisionGap, RoutingDelta, ServerRoute, TableDigest, TenantRoute},
    server::{AdminState, Health},
};
use usher_runtime::clock;

use super::{meetings::TenantMeetings, server_slot::ServerSlot, voice::VoiceNumbers};
use crate::core::quota::RecentJoins;

/// One tenant and its meetings.
#[derive(Debug, Clone)]
pub struct TenantSlot {
    /// The tenant; `None` if it was removed while its meetings still exist.
    pub route: Option<Arc<TenantRoute>>,
    /// The meetings of the tenant.
    pub meetings: Arc<TenantMeetings>,
    /// The joins that polls do not count yet; used only if the tenant's users are limited.
    pub recent_joins: Arc<Mutex<RecentJoins>>,
}

impl TenantSlot {
    fn new(id: &TenantId, expected: usize) -> Self {
        Self {
            route: None,
            meetings: Arc::new(TenantMeetings::new(id, expected)),
            recent_joins: Arc::default(),
        }
    }

    /// Returns whether one more user may join, according to the limit in `route`, and counts the
    /// join.
    pub fn admits(&self, route: &TenantRoute) -> bool {
        let limit = route.policy.max_users;
        let recent = || self.recent_joins.lock().unwrap_or_else(PoisonError::into_inner);
        limit == 0 || recent().admit(route.users, limit, clock::now())
    }
}

/// All tenants, by id and by host.
#[derive(Debug, Clone, Default)]
pub struct TenantIndex {
    by_id: BTreeMap<TenantId, TenantSlot>,
    by_host: BTreeMap<String, TenantId>,
}

impl TenantIndex {
    /// Looks a tenant up by its id.
    pub fn by_id(&self, id: &str) -> Option<&TenantSlot> {
        self.by_id.get(id).filter(|slot| slot.route.is_some())
    }

    /// Returns whether any tenant is identified by the host of a request.
    pub fn has_hosts(&self) -> bool {
        !self.by_host.is_empty()
    }

    /// Looks a tenant up by the host of a request, in lower case and without a port.
    pub fn by_host(&self, host: &str) -> Option<&TenantSlot> {
        self.by_id(self.by_host.get(host)?.as_str())
    }

    /// Returns all tenants, including removed tenants whose meetings still exist.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &TenantSlot)> {
        self.by_id.iter()
    }

    /// Returns the number of all tenants, including removed tenants whose meetings still exist.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether there is no tenant.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn index_hosts(&mut self) {
        self.by_host = self
            .by_id
            .iter()
            .filter_map(|(id, slot)| slot.route.as_ref().map(|route| (id, route)))
            .flat_map(|(id, route)| route.hosts.iter().map(|host| (host.to_ascii_lowercase(), id.clone())))
            .collect();
    }
}

/// The numbers of entries of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCounts {
    /// The number of servers.
    pub servers: usize,
    /// The number of meetings of all tenants.
    pub meetings: usize,
}

#[derive(Debug, Clone, Copy)]
struct TablePosition {
    revision: Revision,
    digest: TableDigest,
    counts: TableCounts,
}

/// The routing table.
#[derive(Debug)]
pub struct LiveTable {
    servers: ArcSwap<BTreeMap<ServerId, Arc<ServerSlot>>>,
    tenants: ArcSwap<TenantIndex>,
    voice: VoiceNumbers,
    /// The position of the table. The one writer holds the lock for the whole change, and never
    /// waits for a future meanwhile.
    standing: Mutex<TablePosition>,
}

impl LiveTable {
    /// Returns an empty table.
    pub fn empty(revision: Revision) -> Self {
        let standing =
            TablePosition { revision, digest: TableDigest::default(), counts: TableCounts::default() };
        Self {
            servers: ArcSwap::default(),
            tenants: ArcSwap::default(),
            voice: VoiceNumbers::default(),
            standing: Mutex::new(standing),
        }
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, TablePosition> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the revision of the table.
    pub fn revision(&self) -> Revision {
        self.standing().revision
    }

    /// Returns the digest over all entries.
    pub fn digest(&self) -> TableDigest {
        self.standing().digest
    }

    /// Returns the numbers of entries.
    pub fn counts(&self) -> TableCounts {
        self.standing().counts
    }

    /// Returns the present tenants.
    pub fn tenants(&self) -> arc_swap::Guard<Arc<TenantIndex>> {
        self.tenants.load()
    }

    /// Returns the voice bridges of meetings.
    pub fn voice(&self) -> &VoiceNumbers {
        &self.voice
    }

    /// Returns the present servers, ordered by id.
    pub fn servers(&self) -> Vec<Arc<ServerRoute>> {
        self.servers.load().values().filter_map(|slot| slot.route.load_full()).collect()
    }

    /// Returns the ids of the servers that are not disabled.
    pub fn used_servers(&self) -> Vec<String> {
        let used = self.servers().into_iter().filter(|route| route.admin != AdminState::Disabled);
        used.map(|route| route.id.to_string()).collect()
    }

    /// Returns the ids of the tenants.
    pub fn tenant_names(&self) -> Vec<String> {
        let tenants = self.tenants();
        tenants.iter().filter(|(_, slot)| slot.route.is_some()).map(|(id, _)| id.to_string()).collect()
    }

    /// Looks a server up by its id.
    pub fn server(&self, id: &ServerId) -> Option<Arc<ServerRoute>> {
        self.servers.load().get(id)?.route.load_full()
    }

    /// Applies one delta to the table.
    ///
    /// # Errors
    /// The delta applies to another revision; the table is unchanged.
    pub fn apply(&self, delta: &RoutingDelta) -> Result<(), RevisionGap> {
        let mut standing = self.standing();
        if delta.base != standing.revision {
            return Err(RevisionGap { have: standing.revision, base: delta.base });
        }
        let (improved, others): (Vec<_>, Vec<_>) = delta.servers.iter().partition(|(id, route)| {
            let was_usable = self.server(id).is_some_and(|old| usable(&old));
            route.is_none() || !was_usable && route.as_ref().is_some_and(usable)
        });
        for (id, route) in others {
            self.set_server(&mut standing, id, route.as_ref());
        }
        for (id, route) in &delta.tenants {
            self.set_tenant(&mut standing, id, route.as_ref(), 0);
        }
        for (key, route) in &delta.meetings {
            self.set_meeting(&mut standing, key, route.as_ref());
        }
        for (id, route) in improved {
            self.set_server(&mut standing, id, route.as_ref());
        }
        standing.revision = delta.revision;
        Ok(())
    }

    /// Adds entries to a table that has no readers yet. `expected` is the number of meetings that
    /// will follow.
    pub(super) fn fill(
        &self,
        servers: Vec<ServerRoute>,
        tenants: Vec<TenantRoute>,
        meetings: Vec<MeetingRoute>,
        expected: usize,
    ) {
        let mut standing = self.standing();
        for server in &servers {
            self.set_server(&mut standing, &server.id, Some(server));
        }
        for tenant in &tenants {
            self.set_tenant(&mut standing, &tenant.id, Some(tenant), expected);
        }
        for meeting in &meetings {
            self.set_meeting(&mut standing, &meeting.key, Some(meeting));
        }
    }

    fn slot(&self, id: &ServerId) -> Arc<ServerSlot> {
        if let Some(slot) = self.servers.load().get(id) {
            return Arc::clone(slot);
        }
        let mut servers = BTreeMap::clone(&self.servers.load());
        let slot = ServerSlot::new(id.clone());
        servers.insert(id.clone(), Arc::clone(&slot));
        self.servers.store(Arc::new(servers));
        slot
    }

    fn set_server(&self, standing: &mut TablePosition, id: &ServerId, route: Option<&ServerRoute>) {
        let old = self.slot(id).route.swap(route.cloned().map(Arc::new));
        count(&mut standing.digest, &mut standing.counts.servers, old.as_deref(), route);
    }

    fn set_tenant(
        &self,
        standing: &mut TablePosition,
        id: &TenantId,
        route: Option<&TenantRoute>,
        expected: usize,
    ) {
        let mut tenants = TenantIndex::clone(&self.tenants.load());
        let slot = tenants.by_id.entry(id.clone()).or_insert_with(|| TenantSlot::new(id, expected));
        let old = std::mem::replace(&mut slot.route, route.cloned().map(Arc::new));
        count(&mut standing.digest, &mut 0, old.as_deref(), route);
        tenants.index_hosts();
        self.tenants.store(Arc::new(tenants));
    }

    fn set_meeting(&self, standing: &mut TablePosition, key: &MeetingKey, route: Option<&MeetingRoute>) {
        let meetings = self.meetings_of(&key.tenant);
        let id = key.meeting.as_str();
        let old = match route {
            Some(route) => meetings.insert(id, self.slot(&route.server), &route.state),
            None => meetings.remove(id),
        };
        let voice_bridge = self.voice.set(key, route.and_then(|route| route.voice_bridge));
        let old = old.map(|(server, state)| MeetingRoute {
            key: key.clone(),
            server: server.id().clone(),
            state,
            voice_bridge,
        });
        count(&mut standing.digest, &mut standing.counts.meetings, old.as_ref(), route);
    }

    fn meetings_of(&self, tenant: &TenantId) -> Arc<TenantMeetings> {
        if let Some(slot) = self.tenants.load().by_id.get(tenant) {
            return Arc::clone(&slot.meetings);
        }
        let mut tenants = TenantIndex::clone(&self.tenants.load());
        let slot = TenantSlot::new(tenant, 0);
        let meetings = Arc::clone(&slot.meetings);
        tenants.by_id.insert(tenant.clone(), slot);
        self.tenants.store(Arc::new(tenants));
        meetings
    }
}

fn usable(route: &ServerRoute) -> bool {
    route.admin != AdminState::Disabled && route.health != Health::Offline
}

fn count<E: DigestInput>(digest: &mut TableDigest, number: &mut usize, old: Option<&E>, new: Option<&E>) {
    if let Some(new) = new {
        digest.add(new);
        *number += 1;
    }
    if let Some(old) = old {
        digest.remove(old);
        *number = number.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
