//! The routing table an edge serves by, changed in place while it is read.
//!
//! Deltas go into the live maps; a resync builds a new table aside (`snapshot`) and swaps it in
//! (`cell`). Within a delta the order is chosen so that no reader is ever sent to a server that
//! neither the old nor the new table names: servers that can take less come first, then meetings,
//! then servers that can take more. A reader may see a refusal early; refusals are confirmed with
//! the control plane, wherever one can be asked.

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
    /// The tenant; `None` when it was taken out and its meetings are still there.
    pub route: Option<Arc<TenantRoute>>,
    /// Its meetings.
    pub meetings: Arc<TenantMeetings>,
    /// Joins that polls do not count yet; only where its users are limited.
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

    /// Admits one more user, where `route` limits them.
    pub fn admits(&self, route: &TenantRoute) -> bool {
        let limit = route.policy.max_users;
        let recent = || self.recent_joins.lock().unwrap_or_else(PoisonError::into_inner);
        limit == 0 || recent().admit(route.users, limit, clock::now())
    }
}

/// All tenants, by name and by host.
#[derive(Debug, Clone, Default)]
pub struct TenantIndex {
    by_id: BTreeMap<TenantId, TenantSlot>,
    by_host: BTreeMap<String, TenantId>,
}

impl TenantIndex {
    /// Looks a tenant up by name.
    pub fn by_id(&self, id: &str) -> Option<&TenantSlot> {
        self.by_id.get(id).filter(|slot| slot.route.is_some())
    }

    /// Tells whether any tenant is told by its host.
    pub fn has_hosts(&self) -> bool {
        !self.by_host.is_empty()
    }

    /// Looks a tenant up by the host its requests go to, in lower case and without a port.
    pub fn by_host(&self, host: &str) -> Option<&TenantSlot> {
        self.by_id(self.by_host.get(host)?.as_str())
    }

    /// Visits every tenant's meetings, those of tenants that were taken out included.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &TenantSlot)> {
        self.by_id.iter()
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

/// How many entries a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCounts {
    /// Servers.
    pub servers: usize,
    /// Meetings of all tenants.
    pub meetings: usize,
}

#[derive(Debug, Clone, Copy)]
struct TablePosition {
    revision: Revision,
    digest: TableDigest,
    counts: TableCounts,
}

/// The table.
#[derive(Debug)]
pub struct LiveTable {
    servers: ArcSwap<BTreeMap<ServerId, Arc<ServerSlot>>>,
    tenants: ArcSwap<TenantIndex>,
    voice: VoiceNumbers,
    /// Held by the one writer for the length of a change; nothing awaits under it.
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

    /// Returns the revision the table stands at.
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

    /// Returns the tenants as they are now.
    pub fn tenants(&self) -> arc_swap::Guard<Arc<TenantIndex>> {
        self.tenants.load()
    }

    /// Returns the numbers by which callers reach meetings.
    pub fn voice(&self) -> &VoiceNumbers {
        &self.voice
    }

    /// Returns the servers as they are now, by id.
    pub fn servers(&self) -> Vec<Arc<ServerRoute>> {
        self.servers.load().values().filter_map(|slot| slot.route.load_full()).collect()
    }

    /// Returns the names of the servers that are not disabled.
    pub fn used_servers(&self) -> Vec<String> {
        let used = self.servers().into_iter().filter(|route| route.admin != AdminState::Disabled);
        used.map(|route| route.id.to_string()).collect()
    }

    /// Returns the names of the tenants.
    pub fn tenant_names(&self) -> Vec<String> {
        let tenants = self.tenants();
        tenants.iter().filter(|(_, slot)| slot.route.is_some()).map(|(id, _)| id.to_string()).collect()
    }

    /// Looks a server up.
    pub fn server(&self, id: &ServerId) -> Option<Arc<ServerRoute>> {
        self.servers.load().get(id)?.route.load_full()
    }

    /// Moves the table on by one delta.
    ///
    /// # Errors
    /// The delta applies to another revision; nothing was changed.
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

    /// Adds entries to a table that nobody reads yet; `expected` meetings are to come.
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
