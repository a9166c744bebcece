//! `create` of a breakout room that an application makes itself (ADR 15): on its parent's server, or nowhere.

use usher_model::{
    id::{MeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey},
    server::{AdminState, Health},
};

use super::{
    CreateRequest, PlacementOutcome, PlannedStep,
    place::{is_replaceable, leave_zombie, pending},
};
use crate::core::{draft::PlanDraft, fleet::Fleet, now::Now};

/// Why a breakout room was not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoomServer {
    /// Its tenant has no such meeting.
    #[error("the tenant has no such parent meeting")]
    NoParent,
    /// The id is that of a meeting which is no breakout room.
    #[error("the id is another meeting's")]
    Taken,
    /// Not now: its parent's server is offline, or has just refused it.
    #[error("the parent's server cannot be asked")]
    ServerAway,
    /// Not now: what is called so on its parent's server is to go first.
    #[error("what is called so on the parent's server is not gone yet")]
    Leftover,
}

/// Places a breakout room beside its parent, whatever the server's load, tags, pool and cordon: it is load
/// of a meeting that is there already. It gets no number, and reserves nothing.
///
/// | its record | its server | what happens |
/// |---|---|---|
/// | none | | PENDING on its parent's server |
/// | PENDING, ACTIVE | online or unhealthy | the create is forwarded there, whose server says what it says |
/// | the same, of no breakout room | the same | refused: the id is taken |
/// | any, given up as [`super::place`] has it | another than its parent's | PENDING on its parent's server, and a zombie as there |
/// | ENDING | its parent's | not now: until a poll no longer lists it |
///
/// A server could run two instances of one room, as their internal ids are made for each create. So there is
/// none while a zombie of it stands on its parent's server.
///
/// # Errors
/// There is no such parent, or not now; the record, if any, stays as it is.
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

/// Returns the server that runs the parent, confirmed or not: that server says whether it has it yet.
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
