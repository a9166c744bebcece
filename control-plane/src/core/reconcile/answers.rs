//! The effect of the answer to an `end`.

use usher_model::{
    id::InternalMeetingId,
    meeting::{ZombieKey, ZombieState},
};

use crate::core::{draft::PlanDraft, fleet::Fleet, plan::Plan};

/// Removes the zombie of an instance that the server does not know (`notFound`). After any other
/// answer the zombie stays until a poll no longer lists the instance (C6, H7). The zombie must
/// still name this instance and be *ending*, because a newer zombie may have taken its place.
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
