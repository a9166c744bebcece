//! The changes that operators make to servers (S5–S7).

use usher_model::{
    id::ServerId,
    request_mark::{RequestMark, RequestRelation},
    server::{AdminState, Server},
};

use super::{
    admin_error::AdminError,
    planned_step::{OperationProgress, PlannedStep},
};
use crate::core::{
    fleet::{Fleet, FleetServer},
    plan::{FleetKey, Plan, PlanWrite},
};

/// Number of zombies that the plan of a removal deletes with their server; the sweep deletes the
/// rest. Stores limit the size of a transaction.
const ZOMBIES_WITH_SERVER: usize = 90;

/// Adds a server to the list. A server that the same request added before is left as it is.
///
/// # Errors
/// Returns [`AdminError::Exists`] if the name is taken, [`AdminError::OtherContent`] if a request
/// with the same id and other content took it, and [`AdminError::AddressTaken`] if another
/// entry has the address, which would be one server under two entries (ADR 21).
pub fn create_server(fleet: &Fleet, server: Server) -> Result<PlannedStep<()>, AdminError> {
    if let Some(old) = fleet.server(&server.id) {
        // The entry may be this request's own, whose answer was lost.
        return match RequestMark::relation(old.stored.value.created_by, server.created_by) {
            RequestRelation::Repeated => Ok(PlannedStep::settled(())),
            RequestRelation::OtherContent => Err(AdminError::OtherContent),
            RequestRelation::Other => Err(AdminError::Exists),
        };
    }
    if let Some(other) = fleet.entry_at(&server.url, &server.id) {
        return Err(AdminError::AddressTaken(other.clone()));
    }
    let mut plan = Plan::default();
    plan.guard_seen::<Server>(FleetKey::Server(server.id.clone()), None);
    // Health and samples of an earlier server of the same name are no evidence about this one.
    plan.writes.push(PlanWrite::Delete(FleetKey::Health(server.id.clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Sample(server.id.clone())));
    plan.writes.push(PlanWrite::server(server));
    Ok(PlannedStep { plan, outcome: () })
}

/// Changes the fields that operators described, and the admin state to `admin` if one is given, in
/// one transaction: all of them or none. Before a server is disabled, it is cordoned in a step of its
/// own, as in [`set_admin`]. The address ([`super::relocate`]) stays unchanged here. `seen` is the
/// revision from which the change was made, if the caller states one.
///
/// # Errors
/// Returns [`AdminError::NotFound`] if the server does not exist, [`AdminError::Changed`] if another
/// party changed it since `seen`, and [`AdminError::HasMeetings`] if it is to be disabled and
/// meetings live on it (S7).
pub fn update_server(
    fleet: &Fleet,
    server: Server,
    seen: Option<u64>,
    admin: Option<AdminState>,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let old = fleet.server(&server.id).ok_or(AdminError::NotFound)?;
    if seen.is_some_and(|seen| seen != old.stored.modified) {
        return Err(AdminError::Changed);
    }
    let stands = &old.stored.value;
    let (url, former_of) = (stands.url.clone(), stands.former_of.clone());
    let admin = admin.unwrap_or(old.admin());
    let new = Server { url, former_of, admin, created_at_ms: stands.created_at_ms, ..server };
    if new == old.stored.value {
        return Ok(PlannedStep::settled(OperationProgress::Done));
    }
    entry_changed(fleet, old, new)
}

/// Returns the step towards the entry `new` of a server, whose admin state may differ from the
/// present one.
pub(super) fn entry_changed(
    fleet: &Fleet,
    server: &FleetServer,
    mut new: Server,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let (from, to) = (server.admin(), new.admin);
    if from != to {
        // An entry of an old address that is used again becomes an ordinary server.
        new.former_of = new.former_of.filter(|_| to == AdminState::Disabled);
    }
    let plan = match (from, to) {
        (from, to) if from == to => written(server, new),
        (_, AdminState::Disabled) => return emptied(fleet, server, |server| reset(server, new)),
        // The stored health and load are outdated, because a disabled server is not polled. The
        // server starts on probation (A8).
        (AdminState::Disabled, _) => reset(server, new),
        _ => written(server, new),
    };
    Ok(PlannedStep { plan, outcome: OperationProgress::Done })
}

/// Enables, cordons or disables a server. Disabling takes two steps: the server is cordoned first,
/// so that every placement decided before is visible and none can follow; then it is disabled if it
/// is empty.
///
/// # Errors
/// Returns [`AdminError::NotFound`] if the server does not exist, and [`AdminError::HasMeetings`]
/// if it is to be disabled and meetings live on it (S7).
pub fn set_admin(
    fleet: &Fleet,
    id: &ServerId,
    admin: AdminState,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    if server.admin() == admin {
        return Ok(PlannedStep::settled(OperationProgress::Done));
    }
    entry_changed(fleet, server, Server { admin, ..server.stored.value.clone() })
}

/// Removes a server, in the same two steps as disabling.
///
/// # Errors
/// Returns [`AdminError::NotFound`] if the server does not exist, and [`AdminError::HasMeetings`]
/// if meetings live on it (S7).
pub fn delete_server(fleet: &Fleet, id: &ServerId) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    emptied(fleet, server, |server| {
        let mut plan = guarded(server);
        for key in [FleetKey::Server, FleetKey::Health, FleetKey::Sample] {
            plan.writes.push(PlanWrite::Delete(key(id.clone())));
        }
        for (key, stored) in fleet.zombies_on(id).take(ZOMBIES_WITH_SERVER) {
            plan.guard_seen(FleetKey::Zombie(key.clone()), Some(stored));
            plan.writes.push(PlanWrite::Delete(FleetKey::Zombie(key)));
        }
        plan
    })
}

/// Returns the step towards `plan`, which requires an empty server: cordons an enabled server
/// first, so that it stays empty.
fn emptied(
    fleet: &Fleet,
    server: &FleetServer,
    plan: impl FnOnce(&FleetServer) -> Plan,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    match fleet.meeting_count_on(server.id()) {
        0 if server.admin() == AdminState::Enabled => {
            let cordoned = Server { admin: AdminState::Cordoned, ..server.stored.value.clone() };
            Ok(PlannedStep { plan: written(server, cordoned), outcome: OperationProgress::Again })
        }
        0 => {
            Ok(PlannedStep { plan: while_sampled_so(server, plan(server)), outcome: OperationProgress::Done })
        }
        meetings => Err(AdminError::HasMeetings { meetings, stays: server.admin() }),
    }
}

/// Plans to disable an empty server. Its health and sample are deleted with it.
pub(in crate::core) fn drained(server: &FleetServer) -> Plan {
    while_sampled_so(server, disabled(server))
}

/// Plans to disable a server, with or without meetings on it.
pub(super) fn disabled(server: &FleetServer) -> Plan {
    reset(server, Server { admin: AdminState::Disabled, ..server.stored.value.clone() })
}

/// Guards a plan that requires an empty server by the server's sample: the meetings that a newer
/// poll lists are about to become records.
pub(super) fn while_sampled_so(server: &FleetServer, mut plan: Plan) -> Plan {
    // An unreadable stored sample counts as absent and is not guarded: such a guard would always
    // fail, and the server could never be disabled.
    if let Some(sample) = &server.sample {
        plan.guard_seen(FleetKey::Sample(server.id().clone()), Some(sample));
    }
    plan
}

fn reset(server: &FleetServer, new: Server) -> Plan {
    let mut plan = written(server, new);
    plan.writes.push(PlanWrite::Delete(FleetKey::Health(server.id().clone())));
    plan.writes.push(PlanWrite::Delete(FleetKey::Sample(server.id().clone())));
    plan
}

fn written(server: &FleetServer, new: Server) -> Plan {
    let mut plan = guarded(server);
    plan.writes.push(PlanWrite::server(new));
    plan
}

fn guarded(server: &FleetServer) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Server(server.id().clone()), Some(&server.stored));
    plan
}
