//! The `create` of a breakout room that an application makes itself (ADR 15). The room runs on its
//! parent's server, or it is refused.

use usher_model::{
    id::{MeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey},
    server::{AdminState, Health},
};

use super::{
    place::{CreateRequest, PlacementOutcome, is_replaceable, leave_zombie, pending},
    planned_step::PlannedStep,
};
use crate::core::{draft::PlanDraft, fleet::Fleet, now::Now};

/// The reason for which a breakout room was not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoomServer {
    /// The tenant has no routed meeting with the parent's id.
    #[error("the tenant has no such parent meeting")]
    NoParent,
    /// The id belongs to a meeting that is no breakout room.
    #[error("the id is another meeting's")]
    Taken,
    /// The parent's server is offline, or has just failed this create. A later attempt may succeed.
    #[error("the parent's server is unreachable")]
    ServerAway,
    /// An older instance of the room, or a meeting of the same name, is still on the parent's
    /// server. A later attempt may succeed.
    #[error("an older meeting of that name has not ended on the parent's server yet")]
    Leftover,
}

/// Places a breakout room on its parent's server, independent of the server's load, tags, pool and
/// cordon: the room is load of a meeting that is there already. It gets no number and reserves no
/// users.
///
/// | its record | its server | result |
/// |---|---|---|
/// | none | | PENDING on its parent's server |
/// | PENDING, ACTIVE | online or unhealthy | the create is forwarded there, and that server answers it |
/// | the same, of a meeting that is no breakout room | the same | refused: the id is taken |
/// | any, replaceable as in [`super::place`] | another than its parent's | PENDING on its parent's server, and a zombie as in [`super::place`] |
/// | ENDING | its parent's | refused for now, until a poll no longer lists the old instance |
///
/// A server could run two instances of one room, because each create makes a new internal id. So
/// the room is refused for now while a zombie of it exists on its parent's server.
///
/// # Errors
/// Returns the reason for the refusal; the record, if any, stays unchanged.
pub fn place_room(
    fleet: &Fleet,
    request: &CreateRequest,
    parent: &MeetingId,
    now: Now,
) -> Result<PlannedStep<PlacementOutcome>, NoRoomServer> {
    let key = &request.placement.key;
    let old = fleet.record(key);
    if let Some(old) = old.filter(|old| !is_replaceable(fleet, &old.value, request.supersede)) {
        return standing(&old.value);
    }
    let parent = MeetingKey::new(key.tenant.clone(), parent.clone());
    let home = home(fleet, &parent)?;
    if let Some(old) = old.filter(|old| old.value.server == *home) {
        return match old.value.state {
            RecordState::Ending { .. } => Err(NoRoomServer::Leftover),
            RecordState::Pending | RecordState::Active { .. } => standing(&old.value),
        };
    }
    if request.placement.excluded.contains(home) {
        return Err(NoRoomServer::ServerAway);
    }
    let zombie = ZombieKey { meeting: key.clone(), server: home.clone() };
    if fleet.zombie(&zombie).is_some() || fleet.namesakes_of(key).any(|server| server == home) {
        return Err(NoRoomServer::Leftover);
    }
    let mut draft = PlanDraft::new(fleet, now.wall_ms);
    draft.guard_choice(home);
    draft.guard_record(&parent);
    draft.guard_zombie(&zombie);
    if let Some(old) = old {
        leave_zombie(&mut draft, fleet, request, old);
    }
    let record = MeetingRecord { breakout: true, ..pending(request, home.clone(), now.wall_ms) };
    draft.set_record(key, record.clone());
    Ok(PlannedStep { plan: draft.into_plan(), outcome: PlacementOutcome::New { record, panic: false } })
}

fn standing(record: &MeetingRecord) -> Result<PlannedStep<PlacementOutcome>, NoRoomServer> {
    if record.breakout {
        Ok(PlannedStep::settled(PlacementOutcome::Existing(record.clone())))
    } else {
        Err(NoRoomServer::Taken)
    }
}

/// Returns the server of the parent's record, confirmed or not: if the parent does not run there
/// yet, that server refuses the create itself.
fn home<'a>(fleet: &'a Fleet, parent: &MeetingKey) -> Result<&'a ServerId, NoRoomServer> {
    let record = fleet.record(parent).map(|stored| &stored.value);
    let record = record.filter(|record| !matches!(record.state, RecordState::Ending { .. }));
    let record = record.ok_or(NoRoomServer::NoParent)?;
    let server = fleet.server(&record.server).filter(|server| server.admin() != AdminState::Disabled);
    match server.ok_or(NoRoomServer::NoParent)?.health() {
        Health::Online | Health::Unhealthy => Ok(&record.server),
        Health::Offline => Err(NoRoomServer::ServerAway),
    }
}
