//! A placed create came to nothing, certainly or perhaps.

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, RecordState, ZombieKey, ZombieState},
};

use super::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// How sure it is that the server did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateCertainty {
    /// Nothing was sent, or the server refused.
    Definite,
    /// The request was sent and its answer is not known.
    Unknown,
}

/// Abandons the placement `token`. Only a PENDING record of this very placement is touched: it is
/// taken out, or returns to the instance it had superseded; after an unknown outcome a *due* zombie
/// stays on the server (H13). The outcome tells whether there was anything to abandon.
pub fn abandon(
    fleet: &Fleet,
    key: &MeetingKey,
    server: &ServerId,
    token: &str,
    certainty: CreateCertainty,
    now_ms: i64,
) -> PlannedStep<bool> {
    let own = fleet.record(key).filter(|stored| {
        let record = &stored.value;
        record.state == RecordState::Pending && record.server == *server && record.token == token
    });
    let Some(own) = own else { return PlannedStep::settled(false) };
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.drop_pending(key, &own.value);
    let zombie = ZombieKey { meeting: key.clone(), server: server.clone() };
    if certainty == CreateCertainty::Unknown
        && fleet.zombie(&zombie).is_none()
        && fleet.server(server).is_some()
    {
        draft.set_zombie(zombie, ZombieState::Due, None, "the answer to its create was lost");
    }
    PlannedStep { plan: draft.into_plan(), outcome: true }
}
