//! The routing table of an edge, changed in place while requests read it.
//!
//! Deltas go into the live maps. A resync builds a new table (`snapshot`) and swaps it in
//! (`current_table`). The order within a delta ensures that no reader is sent to a server that neither
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

pub use super::tenant_index::{TenantIndex, TenantSlot, TenantView};
use super::{server_slot::ServerSlot, tenant_index::hosts, voice::VoiceNumbers};
use crate::core::cell_routes::TenantClaim;

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
    tenants: TenantIndex,
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
            tenants: TenantIndex::default(),
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
    pub fn tenants(&self) -> TenantView<'_> {
        self.tenants.view()
    }

    /// Returns the number of changes so far that concern the way to a tenant.
    pub fn ways_changed(&self) -> u64 {
        self.tenants.ways_changed()
    }

    /// Returns the tenants by which requests are routed to this table.
    pub fn claims(&self) -> Vec<TenantClaim> {
        let tenants = self.tenants();
        let present = tenants.iter().filter_map(|(_, slot)| slot.route.as_deref());
        let claim = |route: &TenantRoute| TenantClaim {
            tenant: route.id.clone(),
            hosts: hosts(Some(route)).collect(),
            enabled: route.enabled,
        };
        present.map(claim).collect()
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

    /// Returns the ids of the tenants, in order.
    pub fn tenant_names(&self) -> Vec<String> {
        let tenants = self.tenants();
        let present = tenants.iter().filter(|(_, slot)| slot.route.is_some());
        let mut names: Vec<_> = present.map(|(id, _)| id.to_string()).collect();
        names.sort_unstable();
        names
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
        self.reserve(delta.servers.keys());
        let (improved, others): (Vec<_>, Vec<_>) = delta.servers.iter().partition(|(id, route)| {
            let was_usable = self.server(id).is_some_and(|old| usable(&old));
            route.is_none() || !was_usable && route.as_ref().is_some_and(usable)
        });
        for (id, route) in others {
            self.set_server(&mut standing, id, route.as_ref());
        }
        self.set_tenants(&mut standing, delta.tenants.iter().map(|(id, route)| (id, route.as_ref())), 0);
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
        self.reserve(servers.iter().map(|server| &server.id));
        for server in &servers {
            self.set_server(&mut standing, &server.id, Some(server));
        }
        self.set_tenants(&mut standing, tenants.iter().map(|tenant| (&tenant.id, Some(tenant))), expected);
        for meeting in &meetings {
            self.set_meeting(&mut standing, &meeting.key, Some(meeting));
        }
    }

    /// Takes over the people that were redirected by `former`. The table has no readers yet.
    pub(super) fn inherit(&self, former: &Self) {
        self.tenants.inherit(&former.tenants);
    }

    /// Makes the places of all servers that are new, by one copy of the map.
    fn reserve<'s>(&self, ids: impl Iterator<Item = &'s ServerId>) {
        let known = self.servers.load();
        let new: Vec<_> = ids.filter(|id| !known.contains_key(*id)).collect();
        if !new.is_empty() {
            let mut servers = BTreeMap::clone(&known);
            servers.extend(new.into_iter().map(|id| (id.clone(), ServerSlot::new(id.clone()))));
            self.servers.store(Arc::new(servers));
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

    fn set_tenants<'c>(
        &self,
        standing: &mut TablePosition,
        changes: impl Iterator<Item = (&'c TenantId, Option<&'c TenantRoute>)> + Clone,
        expected: usize,
    ) {
        let replaced = self.tenants.set(changes.clone(), expected);
        for ((_, route), old) in changes.zip(replaced) {
            count(&mut standing.digest, &mut 0, old.as_deref(), route);
        }
    }

    fn set_meeting(&self, standing: &mut TablePosition, key: &MeetingKey, route: Option<&MeetingRoute>) {
        let meetings = self.tenants.meetings_of(&key.tenant);
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

    /// Notes that this edge has placed a meeting, of which the table does not know yet.
    pub fn created(&self, key: &MeetingKey) {
        if let Some(slot) = self.tenants().any(key.tenant.as_str()) {
            slot.meetings.unknown().created(key.meeting.as_str());
        }
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
