//! Changes between two routing tables.

use std::collections::BTreeMap;

use super::{
    entry::{MeetingRoute, ServerRoute, TenantRoute},
    table::RoutingTable,
};
use crate::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
};

/// A change from exactly `base` to `revision`. The value `None` removes an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingDelta {
    /// Revision of the table to which the delta applies.
    pub base: Revision,
    /// Revision of the table after the delta.
    pub revision: Revision,
    /// Servers that the delta sets or removes.
    pub servers: BTreeMap<ServerId, Option<ServerRoute>>,
    /// Tenants that the delta sets or removes.
    pub tenants: BTreeMap<TenantId, Option<TenantRoute>>,
    /// Meetings that the delta sets or removes.
    pub meetings: BTreeMap<MeetingKey, Option<MeetingRoute>>,
}

/// The error for a delta with another base than the table. The caller requests a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("delta applies to revision {base}, the table is at {have}")]
pub struct RevisionGap {
    /// Revision that the table has.
    pub have: Revision,
    /// Revision to which the delta applies.
    pub base: Revision,
}

impl RoutingDelta {
    /// Returns a delta without changes.
    pub fn new(base: Revision, revision: Revision) -> Self {
        Self { base, revision, servers: BTreeMap::new(), tenants: BTreeMap::new(), meetings: BTreeMap::new() }
    }

    /// Returns the number of entries that the delta changes.
    pub fn len(&self) -> usize {
        self.servers.len() + self.tenants.len() + self.meetings.len()
    }

    /// Tells whether the delta changes only the revision.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the delta that follows this one.
    ///
    /// # Errors
    /// `next` does not begin at the revision at which this delta ends.
    pub fn then(&mut self, next: &Self) -> Result<(), RevisionGap> {
        if next.base != self.revision {
            return Err(RevisionGap { have: self.revision, base: next.base });
        }
        self.servers.extend(next.servers.clone());
        self.tenants.extend(next.tenants.clone());
        self.meetings.extend(next.meetings.clone());
        self.revision = next.revision;
        Ok(())
    }
}

/// Returns the change from `a` to `b`: `apply(a, diff(a, b)) == b`.
pub fn diff(a: &RoutingTable, b: &RoutingTable) -> RoutingDelta {
    let mut delta = RoutingDelta::new(a.revision(), b.revision());
    for server in b.servers() {
        if a.server(&server.id) != Some(server) {
            delta.servers.insert(server.id.clone(), Some(server.clone()));
        }
    }
    for server in a.servers().filter(|server| b.server(&server.id).is_none()) {
        delta.servers.insert(server.id.clone(), None);
    }
    for tenant in b.tenants() {
        if a.tenant(&tenant.id) != Some(tenant) {
            delta.tenants.insert(tenant.id.clone(), Some(tenant.clone()));
        }
    }
    for tenant in a.tenants().filter(|tenant| b.tenant(&tenant.id).is_none()) {
        delta.tenants.insert(tenant.id.clone(), None);
    }
    for meeting in b.meetings_not_shared_with(a) {
        if a.meeting(&meeting.key) != Some(meeting) {
            delta.meetings.insert(meeting.key.clone(), Some(meeting.clone()));
        }
    }
    for meeting in a.meetings_not_shared_with(b) {
        if b.meeting(&meeting.key).is_none() {
            delta.meetings.insert(meeting.key.clone(), None);
        }
    }
    delta
}
