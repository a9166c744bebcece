//! The consequences of an answer to `end`.

use usher_model::{
    id::InternalMeetingId,
    meeting::{ZombieKey, ZombieState},
};

use crate::core::{draft::PlanDraft, fleet::Fleet, plan::Plan};

/// The server knows no such instance: the zombie is gone. Any other answer keeps it, until a poll no
/// longer lists it (C6, H7).
pub fn on_end_not_found(fleet: &Fleet, key: &ZombieKey, internal_id: &InternalMeetingId) -> Plan {
    let mut draft = PlanDraft::new(fleet, 0);
    let meant = fleet.zombie(key).is_some_and(|stored| {
        stored.value.state == ZombieState::Ending && stored.value.internal_id.as_ref() == Some(internal_id)
    });
    if meant {
        draft.remove_zombie(key);
    }
    draft.into_plan()
}
