//! The orders of operators to free the id of an unreachable server, and to drop a zombie.

use usher_model::{
    meeting::{MeetingKey, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::{admin_error::AdminError, planned_step::PlannedStep};
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// The reason for which an id was not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SupersedeError {
    /// The id has no record.
    #[error("not found")]
    NotFound,
    /// The server is online, so the operator can end the meeting instead.
    #[error("its server is online")]
    Online,
    /// The create is under way, and a client may have been answered SUCCESS already (ADR 22).
    #[error("its create is under way")]
    Pending,
    /// The record names another instance than the one for which the operator gave the order.
    #[error("the id belongs to another meeting now")]
    Changed,
}

/// Frees an id although its server is only unhealthy (A8). An ACTIVE instance stays as a *waiting*
/// zombie: Usher ends it once a create of the id is confirmed elsewhere, and it routes again if its
/// server becomes online before the id is created again.
///
/// A PENDING record on a server that is only unhealthy stays: its create may have succeeded, and
/// the client may have been answered SUCCESS before the report reached this replica. The report of
/// the edge or a poll settles the record within `create_timeout`.
///
/// # Errors
/// Returns an error if the id has no record, its server is online, or its create is under way.
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
    let abandoned = server.admin() == AdminState::Disabled || server.health() == Health::Offline;
    let state = match record.state {
        RecordState::Pending if !abandoned => return Err(SupersedeError::Pending),
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

/// Removes a zombie without a poll that shows its meeting ended, on the word of the operator.
///
/// # Errors
/// Returns [`AdminError::NotFound`] if no such zombie exists.
pub fn forget_zombie(fleet: &Fleet, key: &ZombieKey) -> Result<PlannedStep<()>, AdminError> {
    fleet.zombie(key).ok_or(AdminError::NotFound)?;
    let mut draft = PlanDraft::new(fleet, 0);
    draft.remove_zombie(key);
    Ok(PlannedStep { plan: draft.into_plan(), outcome: () })
}
