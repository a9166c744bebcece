//! Panic: a server is disabled and the ids of its meetings are free at once (H15).

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::AdminState,
};

use super::{AdminError, OperationProgress, PlannedStep, servers};
use crate::core::{
    draft::PlanDraft,
    fleet::Fleet,
    plan::{Plan, Stored},
};

/// Writes one plan of an evacuation may make: stores limit the size of a transaction.
const MOST_WRITES: usize = 100;

/// Takes a server out and frees its ids. The first step disables it: from then on creates are placed
/// elsewhere, whatever comes after, so a crash in between leaves nothing pinned. The next ones turn
/// its records into *due* zombies, a bounded number a plan; [`crate::core::reconcile::sweep`] goes
/// on where somebody stopped. Call again while [`OperationProgress::Again`].
///
/// # Errors
/// There is no such server.
pub fn panic_server(
    fleet: &Fleet,
    id: &ServerId,
    now_ms: i64,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let server = fleet.server(id).ok_or(AdminError::NotFound)?;
    if server.admin() != AdminState::Disabled {
        let plan = servers::disabled(server);
        return Ok(PlannedStep { plan, outcome: OperationProgress::Again });
    }
    let plan = evacuate(fleet, id, "its server was given up in panic", now_ms);
    let outcome = if plan.is_empty() { OperationProgress::Done } else { OperationProgress::Again };
    Ok(PlannedStep { plan, outcome })
}

/// Turns records and *waiting* zombies of a server, as many as fit into one plan, into *due* zombies. The
/// plan holds only while the server is as it was seen: one that was enabled again since keeps its meetings.
pub(in crate::core) fn evacuate(fleet: &Fleet, id: &ServerId, reason: &str, now_ms: i64) -> Plan {
    let mut draft = PlanDraft::new(fleet, now_ms);
    for (key, stored) in fleet.records_on(id) {
        let writes = 2 + fleet.zombies_of(key).count();
        if draft.len() + writes > MOST_WRITES && draft.len() > 0 {
            break;
        }
        free(&mut draft, key, stored, fleet.server(id).is_some().then_some(reason));
    }
    for (key, stored) in fleet.zombies_on(id) {
        if draft.len() >= MOST_WRITES {
            break;
        }
        // It was to route again if nothing replaced it; here it never will.
        if stored.value.state == ZombieState::Waiting {
            draft.move_zombie(&key, ZombieState::Due, stored.value.internal_id.clone());
        }
    }
    if draft.len() > 0 {
        draft.guard_server(id);
    }
    draft.into_plan()
}

fn free(draft: &mut PlanDraft<'_>, key: &MeetingKey, stored: &Stored<MeetingRecord>, zombie: Option<&str>) {
    let record = &stored.value;
    match record.state {
        RecordState::Pending => draft.drop_pending(key, record),
        RecordState::Active { .. } | RecordState::Ending { .. } => draft.remove_record(key),
    }
    if let Some(reason) = zombie {
        let zombie = ZombieKey { meeting: key.clone(), server: record.server.clone() };
        draft.set_zombie(zombie, ZombieState::Due, record.state.internal_id().cloned(), reason);
    }
}
