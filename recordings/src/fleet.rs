//! The part of the fleet that the library knows: the servers with their secrets, and the tenants. It follows the
//! routing stream of a control plane, as an edge does, and so needs no address or secret of its own.

mod follower;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use usher_model::{
    id::{ServerId, TenantId},
    revision::Revision,
    routing::{RevisionGap, RoutingDelta, ServerRoute, TenantRoute},
};

pub use follower::{LibraryIdentity, RouteFollower};

/// The servers and tenants at one revision.
#[derive(Debug, Clone, Default)]
pub struct FleetFacts {
    revision: Revision,
    servers: BTreeMap<ServerId, ServerRoute>,
    tenants: BTreeMap<TenantId, TenantRoute>,
}

impl FleetFacts {
    /// Returns the facts of an empty fleet at a revision.
    pub fn empty(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Adds the entries of a snapshot.
    pub fn fill(&mut self, servers: Vec<ServerRoute>, tenants: Vec<TenantRoute>) {
        self.servers.extend(servers.into_iter().map(|server| (server.id.clone(), server)));
        self.tenants.extend(tenants.into_iter().map(|tenant| (tenant.id.clone(), tenant)));
    }

    /// Applies one delta, without its meetings.
    ///
    /// # Errors
    /// The delta applies to another revision; the facts are unchanged.
    pub fn apply(&mut self, delta: RoutingDelta) -> Result<(), RevisionGap> {
        if delta.base != self.revision {
            return Err(RevisionGap { have: self.revision, base: delta.base });
        }
        set_all(&mut self.servers, delta.servers);
        set_all(&mut self.tenants, delta.tenants);
        self.revision = delta.revision;
        Ok(())
    }

    /// Returns the revision of the facts.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the servers in the order of their ids.
    pub fn servers(&self) -> impl Iterator<Item = &ServerRoute> {
        self.servers.values()
    }

    /// Returns a tenant by its id.
    pub fn tenant(&self, id: &TenantId) -> Option<&TenantRoute> {
        self.tenants.get(id)
    }
}

fn set_all<K: Ord, V>(map: &mut BTreeMap<K, V>, changes: BTreeMap<K, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }
}

/// The latest facts of the fleet; clones share them.
#[derive(Debug, Clone)]
pub struct FleetView {
    facts: Arc<ArcSwap<FleetFacts>>,
    known: watch::Sender<bool>,
}

impl Default for FleetView {
    fn default() -> Self {
        Self { facts: Arc::default(), known: watch::Sender::new(false) }
    }
}

impl FleetView {
    /// Returns the latest facts.
    pub fn facts(&self) -> Arc<FleetFacts> {
        self.facts.load_full()
    }

    /// Returns whether a control plane has told the facts.
    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until a control plane has told the facts.
    pub async fn until_known(&self) {
        // This cannot fail, because the sender lives in `self`.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// Stores newer facts of the fleet.
    pub fn replace(&self, facts: FleetFacts) {
        self.facts.store(Arc::new(facts));
        self.known.send_replace(true);
    }
}
