//! An operator frees an id whose server answers nobody, or drops a zombie.

use usher_common::{
    meeting::{MeetingKey, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::{AdminError, Draft, Step};
use crate::core::fleet::Fleet;

/// Why an id was not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SupersedeError {
    /// No record of the id.
    #[error("not found")]
    NotFound,
    /// Its server is online: end the meeting instead.
    #[error("its server is online")]
    Online,
}

/// Frees an id although its server is only unhealthy (A8, "moderators can stop waiting"). An ACTIVE
/// instance stays as a *waiting* zombie: it is ended once a create of the id is confirmed elsewhere,
/// and routes again if its server comes back to green before anybody creates it.
///
/// # Errors
/// There is nothing to supersede.
pub fn supersede(fleet: &Fleet, key: &MeetingKey, now_ms: i64) -> Result<Step<()>, SupersedeError> {
    let stored = fleet.record(key).ok_or(SupersedeError::NotFound)?;
    let record = &stored.value;
    let mut draft = Draft::new(fleet, now_ms);
    draft.guard_choice(&record.server);
    let Some(server) = fleet.server(&record.server) else {
        draft.drop_pending(key, record);
        return Ok(Step { plan: draft.into_plan(), outcome: () });
    };
    if server.colour() == Health::Online && server.admin() != AdminState::Disabled {
        return Err(SupersedeError::Online);
    }
    let state = match record.state {
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
    Ok(Step { plan: draft.into_plan(), outcome: () })
}

/// Drops a zombie unseen: an operator knows better.
///
/// # Errors
/// There is no such zombie.
pub fn forget_zombie(fleet: &Fleet, key: &ZombieKey) -> Result<Step<()>, AdminError> {
    fleet.zombie(key).ok_or(AdminError::NotFound)?;
    let mut draft = Draft::new(fleet, 0);
    draft.remove_zombie(key);
    Ok(Step { plan: draft.into_plan(), outcome: () })
}
