//! A change of a server's address. If the new address is another machine, the meetings stay at the
//! old one: the records of the server would name instances that do not run at the new address, and
//! the next poll would remove them without a zombie, while the meetings run on unrouted (I4).

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::{AdminState, Server, place_of},
};

use super::{
    admin_error::AdminError,
    planned_step::{OperationProgress, PlannedStep},
    servers::{entry_changed, while_sampled_so},
};
use crate::core::{
    draft::PlanDraft,
    fleet::{Fleet, FleetServer},
    plan::{FleetKey, Plan, PlanWrite, Stored},
};

/// Maximum of writes in one plan: stores limit the size of a transaction (etcd accepts 128
/// operations by default).
const MOST_WRITES: usize = 100;
/// Maximum of names that are tried for the entry of an old address.
const MOST_NAMES: usize = 100;
/// Length of the longest part of a server's id in the id of its old address, in characters, so that
/// the new id stays within the limit of ids.
const NAME_BEGINNING: usize = 48;

/// The relation of the new address to the server, as found by a request to the new address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewAddress {
    /// The new address lists an instance that lives on the server, or means the same place: it is
    /// the same server.
    SameServer,
    /// The new address lists none of the server's instances, or was not queried.
    AnotherServer,
    /// The operator accepts that the meetings at the old address are ended there.
    Forced,
}

/// Changes the address of a server and the other fields of `wanted`, except its admin state.
/// `admin` is the state that the server has after the last step; the steps before close the server.
///
/// | lives on the server | the new address | result |
/// |---|---|---|
/// | any number of meetings | the same server | one write; records, health and sample stay |
/// | no record or zombie | any | closed first, so that every placement decided before is visible; then changed, on probation |
/// | records or zombies | another server | refused |
/// | records or zombies | forced | disabled, and the old address gets an entry of its own; records and zombies become *due* zombies there, a bounded number in each plan; then changed, on probation |
///
/// An order that stops half way leaves a disabled server with its old address, from which the
/// meetings are ended; a repetition of the order completes it.
///
/// # Errors
/// Returns an error if the server does not exist, another entry has the address, or meetings live
/// on the server.
pub fn relocate(
    fleet: &Fleet,
    wanted: &Server,
    admin: AdminState,
    address: NewAddress,
    now_ms: i64,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(&wanted.id).ok_or(AdminError::NotFound)?;
    if let Some(other) = fleet.entry_at(&wanted.url, &wanted.id) {
        return Err(AdminError::AddressTaken(other.clone()));
    }
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.guard_server(&wanted.id);
    let meetings = fleet.record_count_on(&wanted.id);
    let empty = meetings + fleet.zombie_count_on(&wanted.id) == 0;
    let plan = match (address, empty) {
        (NewAddress::SameServer, _) if server.admin() != admin => {
            return entry_changed(fleet, server, Server { admin, ..moved(server, wanted) });
        }
        (NewAddress::SameServer, _) => {
            let mut plan = draft.into_plan();
            plan.writes.push(PlanWrite::server(Server { admin, ..moved(server, wanted) }));
            return Ok(PlannedStep { plan, outcome: OperationProgress::Done });
        }
        (_, true) if server.admin() == AdminState::Enabled => {
            let mut plan = draft.into_plan();
            plan.writes.push(PlanWrite::server(Server {
                admin: AdminState::Cordoned,
                ..server.stored.value.clone()
            }));
            return Ok(PlannedStep { plan, outcome: OperationProgress::Again });
        }
        (_, true) => {
            let mut plan = draft.into_plan();
            plan.writes.push(PlanWrite::server(Server { admin, ..moved(server, wanted) }));
            plan.writes.push(PlanWrite::Delete(FleetKey::Health(wanted.id.clone())));
            plan.writes.push(PlanWrite::Delete(FleetKey::Sample(wanted.id.clone())));
            if admin == AdminState::Disabled {
                plan = while_sampled_so(server, plan);
            }
            return Ok(PlannedStep { plan, outcome: OperationProgress::Done });
        }
        (NewAddress::AnotherServer, false) => {
            return Err(AdminError::HasMeetings { meetings, stays: server.admin() });
        }
        (NewAddress::Forced, false) => leave_behind(draft, fleet, server, now_ms)?,
    };
    Ok(PlannedStep { plan, outcome: OperationProgress::Again })
}

fn moved(server: &FleetServer, wanted: &Server) -> Server {
    Server { created_at_ms: server.stored.value.created_at_ms, former_of: None, ..wanted.clone() }
}

/// Plans the next part of the move of records and zombies to the entry of the old address.
fn leave_behind(
    mut draft: PlanDraft<'_>,
    fleet: &Fleet,
    server: &FleetServer,
    now_ms: i64,
) -> Result<Plan, AdminError> {
    let id = server.id();
    let Some(former) = former_entry(fleet, server) else {
        let name = free_name(fleet, id).ok_or(AdminError::Exists)?;
        let mut plan = draft.into_plan();
        plan.guard_seen::<Server>(FleetKey::Server(name.clone()), None);
        let old = &server.stored.value;
        plan.writes.push(PlanWrite::server(Server { admin: AdminState::Disabled, ..old.clone() }));
        let former_of = Some(id.clone());
        let admin = AdminState::Disabled;
        plan.writes.push(PlanWrite::server(Server {
            id: name,
            admin,
            former_of,
            created_at_ms: now_ms,
            created_by: None,
            ..old.clone()
        }));
        return Ok(plan);
    };
    draft.guard_server(former);
    for (key, stored) in fleet.records_on(id) {
        let writes = 3 + fleet.zombies_of(key).count();
        if draft.len() > 0 && draft.len() + writes > MOST_WRITES {
            return Ok(draft.into_plan());
        }
        leave_record(&mut draft, key, stored, former);
    }
    for (zombie, stored) in fleet.zombies_on(id) {
        if draft.len() + 2 > MOST_WRITES {
            break;
        }
        leave_zombie(&mut draft, &zombie, &stored.value, former);
    }
    Ok(draft.into_plan())
}

fn leave_record(
    draft: &mut PlanDraft<'_>,
    key: &MeetingKey,
    stored: &Stored<MeetingRecord>,
    former: &ServerId,
) {
    let record = &stored.value;
    match record.state {
        RecordState::Pending => draft.drop_pending(key, record),
        RecordState::Active { .. } | RecordState::Ending { .. } => draft.remove_record(key),
    }
    let zombie = ZombieKey { meeting: key.clone(), server: former.clone() };
    let reason = "its server was given another address";
    draft.set_zombie(zombie, ZombieState::Due, record.state.internal_id().cloned(), reason);
}

/// Moves a zombie to the entry of the old address. A *waiting* zombie becomes *due*, because that
/// entry stays disabled and its meetings never route again.
fn leave_zombie(draft: &mut PlanDraft<'_>, key: &ZombieKey, zombie: &Zombie, former: &ServerId) {
    let state = match zombie.state {
        ZombieState::Waiting => ZombieState::Due,
        state => state,
    };
    draft.guard_record(&key.meeting);
    draft.remove_zombie(key);
    let there = ZombieKey { meeting: key.meeting.clone(), server: former.clone() };
    draft.set_zombie(there, state, zombie.internal_id.clone(), &zombie.reason);
}

/// Returns the entry that an earlier step made for the server's present address.
fn former_entry<'f>(fleet: &'f Fleet, server: &FleetServer) -> Option<&'f ServerId> {
    let stored = &server.stored.value;
    let former = |other: &&FleetServer| {
        let other = &other.stored.value;
        other.former_of.as_ref() == Some(&stored.id) && place_of(&other.url) == place_of(&stored.url)
    };
    fleet.servers().find(former).map(FleetServer::id)
}

fn free_name(fleet: &Fleet, id: &ServerId) -> Option<ServerId> {
    let beginning = &id.as_str()[..id.as_str().len().min(NAME_BEGINNING)];
    let names = (1..=MOST_NAMES).map(|number| format!("{beginning}.former-{number}"));
    names.filter_map(|name| ServerId::parse(&name).ok()).find(|name| fleet.server(name).is_none())
}

/// Returns whether the entry of an old address can be removed: no record or zombie is left there,
/// and the server has moved, was removed, or is in use again at that address.
pub(in crate::core) fn is_done(fleet: &Fleet, server: &FleetServer) -> bool {
    let Some(moved) = &server.stored.value.former_of else { return false };
    let leaves = fleet.server(moved).is_some_and(|moved| {
        moved.admin() == AdminState::Disabled
            && place_of(&moved.stored.value.url) == place_of(&server.stored.value.url)
    });
    let id = server.id();
    !leaves && fleet.zombie_count_on(id) + fleet.record_count_on(id) == 0
}
