//! What operators do to servers (S5–S7).

use usher_model::{
    id::ServerId,
    server::{AdminState, Server},
};

use super::{AdminError, OperationProgress, PlannedStep};
use crate::core::{
    fleet::{Fleet, FleetServer},
    plan::{FleetKey, Plan, PlanWrite},
};

/// Zombies that go with their server in the same plan; the sweep takes the rest.
const ZOMBIES_WITH_SERVER: usize = 90;

/// Adds a server.
///
/// # Errors
/// There is one of that name, or of that address: one server under two entries.
pub fn create_server(fleet: &Fleet, server: Server) -> Result<PlannedStep<()>, AdminError> {
    if fleet.server(&server.id).is_some() {
        return Err(AdminError::Exists);
    }
    if let Some(other) = fleet.entry_at(&server.url, &server.id) {
        return Err(AdminError::AddressTaken(other.clone()));
    }
    let mut plan = Plan::default();
    plan.guard_seen::<Server>(FleetKey::Server(server.id.clone()), None);
    // A past life of the same name says nothing about this one.
    plan.writes.push(PlanWrite::Delete(FleetKey::Health(server.id.clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Sample(server.id.clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Freshness(server.id.clone())));
    plan.writes.push(PlanWrite::Server(server));
    Ok(PlannedStep { plan, outcome: () })
}

/// Changes what operators described, but for the address ([`super::relocate`]) and the admin state
/// ([`set_admin`]), which stay as they are here. `seen` is the revision the change was made from, where the
/// caller minds.
///
/// # Errors
/// There is no such server, or somebody else changed it.
pub fn update_server(
    fleet: &Fleet,
    server: Server,
    seen: Option<u64>,
) -> Result<PlannedStep<()>, AdminError> {
    let old = fleet.server(&server.id).ok_or(AdminError::NotFound)?;
    if seen.is_some_and(|seen| seen != old.stored.modified) {
        return Err(AdminError::Changed);
    }
    let stands = &old.stored.value;
    let (url, former_of) = (stands.url.clone(), stands.former_of.clone());
    let new = Server { url, former_of, admin: old.admin(), created_at_ms: stands.created_at_ms, ..server };
    if new == old.stored.value {
        return Ok(PlannedStep::settled(()));
    }
    let mut plan = guarded(old);
    plan.writes.push(PlanWrite::Server(new));
    Ok(PlannedStep { plan, outcome: () })
}

/// Enables, cordons or disables a server. Disabling takes two steps: cordoned first, so that every
/// placement made before is visible and none can follow, then disabled if it is empty.
///
/// # Errors
/// There is no such server, or it is to be disabled and meetings live on it (S7).
pub fn set_admin(
    fleet: &Fleet,
    id: &ServerId,
    admin: AdminState,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    if server.admin() == admin {
        return Ok(PlannedStep::settled(OperationProgress::Done));
    }
    let plan = match (server.admin(), admin) {
        (_, AdminState::Disabled) => return emptied(fleet, server, disabled),
        // Its health and load are those of another time: it starts on probation.
        (AdminState::Disabled, _) => reset(server, admin),
        (AdminState::Enabled | AdminState::Cordoned, _) => changed(server, admin),
    };
    Ok(PlannedStep { plan, outcome: OperationProgress::Done })
}

/// Removes a server, in two steps as disabling.
///
/// # Errors
/// There is no such server, somebody else changed it, or meetings live on it (S7).
pub fn delete_server(fleet: &Fleet, id: &ServerId) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    emptied(fleet, server, |server| {
        let mut plan = guarded(server);
        for key in [FleetKey::Server, FleetKey::Health, FleetKey::Sample, FleetKey::Freshness] {
            plan.writes.push(PlanWrite::Delete(key(id.clone())));
        }
        for (key, stored) in fleet.zombies_on(id).take(ZOMBIES_WITH_SERVER) {
            plan.guard_seen(FleetKey::Zombie(key.clone()), Some(stored));
            plan.writes.push(PlanWrite::Delete(FleetKey::Zombie(key)));
        }
        plan
    })
}

/// Plans what needs an empty server, after a step that keeps it empty.
fn emptied(
    fleet: &Fleet,
    server: &FleetServer,
    plan: impl FnOnce(&FleetServer) -> Plan,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    match fleet.meeting_count_on(server.id()) {
        0 if server.admin() == AdminState::Enabled => {
            Ok(PlannedStep { plan: changed(server, AdminState::Cordoned), outcome: OperationProgress::Again })
        }
        0 => {
            Ok(PlannedStep { plan: while_sampled_so(server, plan(server)), outcome: OperationProgress::Done })
        }
        meetings => Err(AdminError::HasMeetings(meetings)),
    }
}

/// Plans to disable a server on which nothing runs; what was observed of it is forgotten with it.
pub(in crate::core) fn drained(server: &FleetServer) -> Plan {
    while_sampled_so(server, disabled(server))
}

/// Plans to disable a server whatever runs there.
pub(super) fn disabled(server: &FleetServer) -> Plan {
    reset(server, AdminState::Disabled)
}

/// Makes a plan that wants an empty server fail when a poll has seen it since: what that poll lists
/// is about to become records.
fn while_sampled_so(server: &FleetServer, mut plan: Plan) -> Plan {
    // A stored sample that cannot be read counts as none: that must not keep a server for ever.
    if let Some(sample) = &server.sample {
        plan.guard_seen(FleetKey::Sample(server.id().clone()), Some(sample));
    }
    plan
}

fn reset(server: &FleetServer, admin: AdminState) -> Plan {
    let mut plan = changed(server, admin);
    plan.writes.push(PlanWrite::Delete(FleetKey::Health(server.id().clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Sample(server.id().clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Freshness(server.id().clone())));
    plan
}

fn changed(server: &FleetServer, admin: AdminState) -> Plan {
    let mut plan = guarded(server);
    let stands = server.stored.value.clone();
    // One that is used again is a server as any other.
    let former_of = stands.former_of.clone().filter(|_| admin == AdminState::Disabled);
    plan.writes.push(PlanWrite::Server(Server { admin, former_of, ..stands }));
    plan
}

fn guarded(server: &FleetServer) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Server(server.id().clone()), Some(&server.stored));
    plan
}
