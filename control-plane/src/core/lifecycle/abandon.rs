//! The end of a placement whose create failed, certainly or perhaps.

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
};

use super::planned_step::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// How certain it is that the server created no meeting (style P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateCertainty {
    /// The request was not sent, or the server refused it.
    Definite,
    /// The request was sent and its answer is unknown.
    Unknown,
}

/// Abandons the placement `token` (A5, H13). Only a record of this placement is changed, so that a
/// late report never hits a newer record. A PENDING record is removed, or returns to the instance
/// that it had superseded; after an unknown result a *due* zombie stays on the server. A record that
/// a poll has made ACTIVE stays, and only says that its create is over (F5). Returns as the outcome
/// whether the placement had a record.
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
    let Some(own) = own else { return over(fleet, key, server, token, now_ms) };
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

/// Notes that a create is over whose meeting a poll has listed before.
fn over(fleet: &Fleet, key: &MeetingKey, server: &ServerId, token: &str, now_ms: i64) -> PlannedStep<bool> {
    let own = fleet.record(key).map(|stored| &stored.value).filter(|record| {
        record.unanswered
            && matches!(record.state, RecordState::Active { .. })
            && record.server == *server
            && record.token == token
    });
    let Some(own) = own else { return PlannedStep::settled(false) };
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.set_record(key, MeetingRecord { unanswered: false, ..own.clone() });
    PlannedStep { plan: draft.into_plan(), outcome: true }
}
