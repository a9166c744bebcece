//! Panic: a server is disabled, and the ids of its meetings are free at once (H15).

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::AdminState,
};

use super::{
    admin_error::AdminError,
    planned_step::{OperationProgress, PlannedStep},
    servers,
};
use crate::core::{
    draft::PlanDraft,
    fleet::Fleet,
    plan::{Plan, Stored},
};

/// Maximum of writes in one plan of an evacuation: stores limit the size of a transaction (etcd
/// accepts 128 operations by default).
const MOST_WRITES: usize = 100;

/// Disables a server and frees the ids of its meetings (H15). The first step disables it: from then
/// on creates are placed elsewhere, so a crash between two steps leaves no id bound to the server.
/// The following steps turn its records into *due* zombies, a bounded number in each plan;
/// [`crate::core::reconcile::sweep`] continues an order that stopped half way. The caller calls
/// again while the outcome is [`OperationProgress::Again`].
///
/// # Errors
/// Returns [`AdminError::NotFound`] if the server does not exist.
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
    let plan = evacuate(fleet, id, "its server was disabled by a panic", now_ms);
    let outcome = if plan.is_empty() { OperationProgress::Done } else { OperationProgress::Again };
    Ok(PlannedStep { plan, outcome })
}

/// Turns the records and *waiting* zombies of a server into *due* zombies, as many as fit into one
/// plan. The plan is guarded by the server's entry: a server that was enabled again since keeps its
/// meetings.
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
        // A waiting instance would route again without a replacement. A disabled server takes no
        // routes, so the instance is ended.
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
