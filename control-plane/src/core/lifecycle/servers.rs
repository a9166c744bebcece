//! What operators do to servers (S5–S7).

use usher_model::{
    id::ServerId,
    server::{AdminState, Server},
};

use super::{AdminError, Progress, Step};
use crate::core::{
    fleet::{Fleet, FleetServer},
    plan::{Key, Plan, Write},
};

/// Zombies that go with their server in the same plan; the sweep takes the rest.
const ZOMBIES_WITH_SERVER: usize = 90;

/// Adds a server.
///
/// # Errors
/// There is one of that name, or of that address: one server under two entries.
pub fn create_server(fleet: &Fleet, server: Server) -> Result<Step<()>, AdminError> {
    if fleet.server(&server.id).is_some() {
        return Err(AdminError::Exists);
    }
    if let Some(other) = fleet.entry_at(&server.url, &server.id) {
        return Err(AdminError::AddressTaken(other.clone()));
    }
    let mut plan = Plan::default();
    plan.guard_seen::<Server>(Key::Server(server.id.clone()), None);
    // A past life of the same name says nothing about this one.
    plan.writes.push(Write::Delete(Key::Health(server.id.clone())));
    plan.writes.push(Write::Delete(Key::Sample(server.id.clone())));
    plan.writes.push(Write::Delete(Key::Freshness(server.id.clone())));
    plan.writes.push(Write::Server(server));
    Ok(Step { plan, outcome: () })
}

/// Changes what operators described, but for the address ([`super::relocate`]) and the admin state
/// ([`set_admin`]), which stay as they are here. `seen` is the revision the change was made from, where the
/// caller minds.
///
/// # Errors
/// There is no such server, or somebody else changed it.
pub fn update_server(fleet: &Fleet, server: Server, seen: Option<u64>) -> Result<Step<()>, AdminError> {
    let old = fleet.server(&server.id).ok_or(AdminError::NotFound)?;
    if seen.is_some_and(|seen| seen != old.stored.modified) {
        return Err(AdminError::Changed);
    }
    let stands = &old.stored.value;
    let (url, former_of) = (stands.url.clone(), stands.former_of.clone());
    let new = Server { url, former_of, admin: old.admin(), created_at_ms: stands.created_at_ms, ..server };
    if new == old.stored.value {
        return Ok(Step::settled(()));
    }
    let mut plan = guarded(old);
    plan.writes.push(Write::Server(new));
    Ok(Step { plan, outcome: () })
}

/// Enables, cordons or disables a server. Disabling takes two steps: cordoned first, so that every
/// placement made before is visible and none can follow, then disabled if it is empty.
///
/// # Errors
/// There is no such server, or it is to be disabled and meetings live on it (S7).
pub fn set_admin(fleet: &Fleet, id: &ServerId, admin: AdminState) -> Result<Step<Progress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    if server.admin() == admin {
        return Ok(Step::settled(Progress::Done));
    }
    let plan = match (server.admin(), admin) {
        (_, AdminState::Disabled) => return emptied(fleet, server, disabled),
        // Its health and load are those of another time: it starts on probation.
        (AdminState::Disabled, _) => reset(server, admin),
        (AdminState::Enabled | AdminState::Cordoned, _) => changed(server, admin),
    };
    Ok(Step { plan, outcome: Progress::Done })
}

/// Removes a server, in two steps as disabling.
///
/// # Errors
/// There is no such server, somebody else changed it, or meetings live on it (S7).
pub fn delete_server(fleet: &Fleet, id: &ServerId) -> Result<Step<Progress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    emptied(fleet, server, |server| {
        let mut plan = guarded(server);
        for key in [Key::Server, Key::Health, Key::Sample, Key::Freshness] {
            plan.writes.push(Write::Delete(key(id.clone())));
        }
        for (key, stored) in fleet.zombies_on(id).take(ZOMBIES_WITH_SERVER) {
            plan.guard_seen(Key::Zombie(key.clone()), Some(stored));
            plan.writes.push(Write::Delete(Key::Zombie(key)));
        }
        plan
    })
}

/// Plans what needs an empty server, after a step that keeps it empty.
fn emptied(
    fleet: &Fleet,
    server: &FleetServer,
    plan: impl FnOnce(&FleetServer) -> Plan,
) -> Result<Step<Progress>, AdminError> {
    match fleet.meeting_count_on(server.id()) {
        0 if server.admin() == AdminState::Enabled => {
            Ok(Step { plan: changed(server, AdminState::Cordoned), outcome: Progress::Again })
        }
        0 => Ok(Step { plan: while_sampled_so(server, plan(server)), outcome: Progress::Done }),
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
        plan.guard_seen(Key::Sample(server.id().clone()), Some(sample));
    }
    plan
}

fn reset(server: &FleetServer, admin: AdminState) -> Plan {
    let mut plan = changed(server, admin);
    plan.writes.push(Write::Delete(Key::Health(server.id().clone())));
    plan.writes.push(Write::Delete(Key::Sample(server.id().clone())));
    plan.writes.push(Write::Delete(Key::Freshness(server.id().clone())));
    plan
}

fn changed(server: &FleetServer, admin: AdminState) -> Plan {
    let mut plan = guarded(server);
    let stands = server.stored.value.clone();
    // One that is used again is a server as any other.
    let former_of = stands.former_of.clone().filter(|_| admin == AdminState::Disabled);
    plan.writes.push(Write::Server(Server { admin, former_of, ..stands }));
    plan
}

fn guarded(server: &FleetServer) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(Key::Server(server.id().clone()), Some(&server.stored));
    plan
}
