//! The routes that edges get, and the load accounting that follows each record.

use std::time::Instant;

use usher_model::{
    id::{ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    revision::Revision,
    routing::{MeetingRoute, RouteState, RoutingDelta, ServerRoute, TenantRoute},
    server::{Health, Server},
};

use super::{Fleet, FleetServer, RecordEntry, Touched};
use crate::core::{load, plan::Stored, policy::Policy};

impl Fleet {
    /// Applies the change of one record, and moves its reservation (E1) from the old server to the
    /// new one.
    pub(super) fn fold_record(
        &mut self,
        revision: u64,
        key: &MeetingKey,
        stored: Option<Stored<MeetingRecord>>,
        now: Instant,
    ) {
        if stored.is_none() {
            self.removals.record_removed(key.clone(), revision, now);
        }
        let old = self.records.set(key, stored, now);
        let instance = old.as_ref().and_then(|old| old.stored.value.state.internal_id());
        let is_named = |instance| self.records.get(key).is_some_and(|new| new.stored.value.names(instance));
        // The memory of an instance lasts from its end on, so no earlier change may begin it.
        if let Some(instance) = instance.filter(|instance| !is_named(instance)) {
            self.ended.remember(instance, key, now);
        }
        if let Some(old) = &old
            && let Some(server) = self.servers.get_mut(&old.stored.value.server)
        {
            server.reserved -= u64::from(old.reserved);
            server.pending -= u32::from(old.pending);
            server.unanswered -= u32::from(old.unanswered);
        }
        let new = self.records.get_mut(key);
        if let Some(entry) = &new
            && old.as_ref().is_none_or(|old| old.stored.value.token != entry.stored.value.token)
        {
            self.placed.push(key, &entry.stored.value.token);
        }
        if let Some(entry) = new
            && let Some(server) = self.servers.get_mut(&entry.stored.value.server)
        {
            count(server, key, entry, &self.policy, now);
        }
        self.note_answers(old.as_ref(), key, now);
    }

    /// Notes on the servers of `old` and of the present record that a create was sent or answered.
    /// A create whose meeting a poll has listed is still the same create.
    fn note_answers(&mut self, old: Option<&RecordEntry>, key: &MeetingKey, now: Instant) {
        let sent = |entry: &RecordEntry| {
            let record = &entry.stored.value;
            entry.unanswered.then(|| (record.server.clone(), record.token.clone()))
        };
        let (before, after) = (old.and_then(sent), self.records.get(key).and_then(sent));
        if before == after {
            return;
        }
        for (id, _) in [before, after].into_iter().flatten() {
            if let Some(server) = self.servers.get_mut(&id) {
                server.moved_at = Some(now);
            }
        }
    }

    /// Counts the reservations, the pending records and the creates without an answer of a server
    /// again, after it got a new sample or was added or removed.
    pub(super) fn recount(&mut self, id: &ServerId, now: Instant) {
        let mut server = self.servers.get_mut(id);
        if let Some(server) = &mut server {
            (server.pending, server.unanswered, server.reserved) = (0, 0, 0);
        }
        let keys: Vec<MeetingKey> = self.records.on(id).cloned().collect();
        for key in &keys {
            let Some(entry) = self.records.get_mut(key) else { continue };
            if let Some(server) = &mut server {
                count(server, key, entry, &self.policy, now);
            } else {
                (entry.reserved, entry.pending, entry.unanswered) = (0, false, false);
            }
        }
    }

    /// Returns the route of a tenant. It contains the number of users only if the users are
    /// limited: without a limit no edge needs it, and each poll would change the table.
    fn tenant_route(&self, tenant: &TenantRoute) -> TenantRoute {
        let users = if tenant.policy.max_users > 0 { self.users_of(&tenant.id) } else { 0 };
        let users = u32::try_from(users).unwrap_or(u32::MAX);
        TenantRoute { users, created_by: None, ..tenant.clone() }
    }

    /// Returns the tenants with a limit of users that a change of `server` may affect: those with
    /// users there, by this entry or by another entry of the same server.
    pub(in crate::core) fn limited_tenants_on(&self, server: &ServerId) -> Vec<TenantId> {
        let limited =
            |id: &&TenantId| self.tenants.get(*id).is_some_and(|stored| stored.value.policy.max_users > 0);
        let entries = std::iter::once(server).chain(self.aliases_of(server));
        let servers = entries.filter_map(|id| self.servers.get(id));
        servers.flat_map(FleetServer::tenants).filter(limited).cloned().collect()
    }

    /// Returns the delta that brings the routes of the touched entries up to date at `revision`.
    pub(super) fn route_changes(&self, touched: &Touched, revision: u64) -> RoutingDelta {
        let base = self.routing.revision();
        let mut delta = RoutingDelta::new(base, Revision::new(base.epoch, revision.max(base.seq)));
        for id in &touched.servers {
            let route =
                self.servers.get(id).map(|server| server_route(&server.stored.value, server.health()));
            if self.routing.server(id) != route.as_ref() {
                delta.servers.insert(id.clone(), route);
            }
        }
        for id in &touched.tenants {
            let route = self.tenants.get(id).map(|stored| self.tenant_route(&stored.value));
            if self.routing.tenant(id) != route.as_ref() {
                delta.tenants.insert(id.clone(), route);
            }
        }
        for key in &touched.meetings {
            let route = self.records.get(key).and_then(|entry| meeting_route(key, &entry.stored.value));
            if self.routing.meeting(key) != route.as_ref() {
                delta.meetings.insert(key.clone(), route);
            }
        }
        delta
    }
}

/// Counts one record on its server: as pending, as a create without an answer, and with its
/// reservation. A reservation lasts until
/// a sample whose poll was sent after the confirmation (watermark) is applied, or until
/// [`Policy::reservation_ttl`] has passed. A breakout room reserves no users, because its users are
/// in the parent meeting (E1).
fn count(
    server: &mut FleetServer,
    key: &MeetingKey,
    entry: &mut super::RecordEntry,
    policy: &Policy,
    now: Instant,
) {
    let watermark = server.sample.as_ref().map_or(0, |sample| sample.value.watermark);
    let record = &entry.stored.value;
    let seen = match record.state {
        RecordState::Pending => false,
        RecordState::Active { .. } => entry.stored.modified <= watermark,
        RecordState::Ending { .. } => true,
    };
    let over = now.saturating_duration_since(entry.placed_at) > policy.reservation_ttl();
    let stands = !record.breakout && !seen && !over && !server.lists(key);
    entry.reserved =
        if stands { load::floor(record.max_users, record.size_hint, &policy.placement) } else { 0 };
    server.reserved += u64::from(entry.reserved);
    entry.pending = record.state == RecordState::Pending;
    server.pending += u32::from(entry.pending);
    let is_active = matches!(record.state, RecordState::Active { .. });
    let in_time = now.saturating_duration_since(entry.placed_at) <= policy.create_timeout;
    entry.unanswered = entry.pending || is_active && record.unanswered && in_time;
    server.unanswered += u32::from(entry.unanswered);
}

/// Returns the route of a server, as edges get it.
pub fn server_route(server: &Server, health: Health) -> ServerRoute {
    ServerRoute {
        id: server.id.clone(),
        url: server.url.clone(),
        secret: server.secret.clone(),
        admin: server.admin,
        health,
        algorithm: server.algorithm,
    }
}

/// Returns the route of a meeting, as edges get it; `None` while the record is ENDING, which takes
/// the meeting out of routing (A5).
pub fn meeting_route(key: &MeetingKey, record: &MeetingRecord) -> Option<MeetingRoute> {
    let state = match &record.state {
        RecordState::Pending => RouteState::Pending,
        RecordState::Active { internal_id, .. } => RouteState::Active(internal_id.clone()),
        RecordState::Ending { .. } => return None,
    };
    let (server, voice_bridge) = (record.server.clone(), record.voice_bridge);
    Some(MeetingRoute { key: key.clone(), server, state, voice_bridge })
}
