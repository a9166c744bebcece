//! An operator frees an id whose server answers nobody, or drops a zombie.

use usher_model::{
    meeting::{MeetingKey, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::{AdminError, PlannedStep};
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// Why an id was not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SupersedeError {
    /// No record of the id.
    #[error("not found")]
    NotFound,
    /// Its server is online: end the meeting instead.
    #[error("its server is online")]
    Online,
    /// Its create is under way: a client may have been told of it already.
    #[error("its create is under way")]
    Pending,
    /// The id is another instance's by now than the one that was meant.
    #[error("it is another meeting by now")]
    Changed,
}

/// Frees an id although its server is only unhealthy (A8, "moderators can stop waiting"). An ACTIVE
/// instance stays as a *waiting* zombie: it is ended once a create of the id is confirmed elsewhere,
/// and routes again if its server comes back to green before anybody creates it.
///
/// A PENDING record of a server that is only unhealthy stays: its create may have succeeded, and a client
/// may have been told so, of which nothing here knows yet. Its edge's report or a poll settles it within
/// `create_timeout`.
///
/// # Errors
/// There is nothing to supersede.
pub fn supersede(fleet: &Fleet, key: &MeetingKey, now_ms: i64) -> Result<PlannedStep<()>, SupersedeError> {
    let stored = fleet.record(key).ok_or(SupersedeError::NotFound)?;
    let record = &stored.value;
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.guard_choice(&record.server);
    let Some(server) = fleet.server(&record.server) else {
        draft.drop_pending(key, record);
        return Ok(PlannedStep { plan: draft.into_plan(), outcome: () });
    };
    if server.health() == Health::Online && server.admin() != AdminState::Disabled {
        return Err(SupersedeError::Online);
    }
    let given_up = server.admin() == AdminState::Disabled || server.health() == Health::Offline;
    let state = match record.state {
        RecordState::Pending if !given_up => return Err(SupersedeError::Pending),
        RecordState::Pending => {
            draft.drop_pending(key, record);
            ZombieState::Due
        }
        RecordState::Active { .. } => {
            draft.remove_record(key);
            ZombieState::Waiting
        }
        RecordState::Ending { .. } => {
            draft.remove_record(key);
            ZombieState::Due
        }
    };
    let zombie = ZombieKey { meeting: key.clone(), server: record.server.clone() };
    draft.set_zombie(zombie, state, record.state.internal_id().cloned(), "superseded by an operator");
    Ok(PlannedStep { plan: draft.into_plan(), outcome: () })
}

/// Drops a zombie unseen: an operator knows better.
///
/// # Errors
/// There is no such zombie.
pub fn forget_zombie(fleet: &Fleet, key: &ZombieKey) -> Result<PlannedStep<()>, AdminError> {
    fleet.zombie(key).ok_or(AdminError::NotFound)?;
    let mut draft = PlanDraft::new(fleet, 0);
    draft.remove_zombie(key);
    Ok(PlannedStep { plan: draft.into_plan(), outcome: () })
}
