//! The confirmation of a create: its server answered SUCCESS.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::AdminState,
};

use super::planned_step::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet, instance::create_time_of, plan::Stored, voice};

/// The answer of a server to a successful create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAnswer {
    /// The server that answered.
    pub server: ServerId,
    /// Token of the placement for which the create was sent; `None` if the create was forwarded to
    /// the server of an existing record.
    pub token: Option<String>,
    /// Internal id of the created meeting.
    pub internal_id: InternalMeetingId,
    /// The instance's `createTime`, in milliseconds since 1970, by the server's clock.
    pub create_time_ms: i64,
    /// Whether the meeting is a breakout room that its application created (ADR 15).
    pub breakout: bool,
}

/// Confirms a meeting (A5). The outcome says whether the caller may be answered SUCCESS. With
/// `false` the id lives elsewhere, Usher ends this instance, and the caller gets the retryable
/// error (I13).
///
/// | record | result | SUCCESS |
/// |---|---|---|
/// | ACTIVE here with this instance | unchanged, but for the note that its create is answered | yes |
/// | PENDING here, of this placement or of a forwarded create | ACTIVE; *waiting* zombies become *due* | yes |
/// | ACTIVE here with an older instance | this instance replaces it before the caller is answered | yes |
/// | ACTIVE here with a newer instance | unchanged | yes |
/// | ENDING here, another and older instance | made anew | yes |
/// | none | made anew, unless a zombie of the id exists here | yes |
/// | ACTIVE on another server with this very instance | unchanged: two entries of one server (ADR 21) | yes |
/// | any, while an `end` may be on its way to this instance through another entry of the server | unchanged | no |
/// | on another server, or none and a zombie exists here | a *due* zombie for any marked instance that runs here | no |
/// | any other | unchanged | no |
pub fn confirm(fleet: &Fleet, key: &MeetingKey, answer: &CreateAnswer, now_ms: i64) -> PlannedStep<bool> {
    let zombie = ZombieKey { meeting: key.clone(), server: answer.server.clone() };
    let outlived = fleet.zombie(&zombie).map(|stored| &stored.value);
    let record = fleet.record(key);
    if let Some(stored) = record.filter(|stored| stored.value.runs(&answer.internal_id)) {
        return answered(fleet, key, stored, answer, now_ms);
    }
    if fleet.is_being_ended(key, &answer.internal_id) {
        return PlannedStep::settled(false);
    }
    match record {
        Some(stored) if stored.value.server == answer.server => {
            let is_zombie =
                outlived.is_some_and(|zombie| zombie.internal_id.as_ref() == Some(&answer.internal_id));
            on_its_server(fleet, key, stored, answer, is_zombie, now_ms)
        }
        None if outlived.is_none() && accepts(fleet, &answer.server) => {
            let mut draft = PlanDraft::new(fleet, now_ms);
            let voice_bridge = if answer.breakout { None } else { voice::held(&mut draft, fleet, key) };
            let record = MeetingRecord {
                state: RecordState::Pending,
                server: answer.server.clone(),
                token: answer.token.clone().unwrap_or_default(),
                request_digest: Box::default(),
                created_at_ms: now_ms,
                max_users: 0,
                size_hint: 0,
                voice_bridge,
                breakout: answer.breakout,
                unanswered: false,
            };
            draft.guard_choice(&answer.server);
            draft.guard_arrival(&answer.server);
            draft.guard_zombie(&zombie);
            draft.activate(key, active(record, answer));
            PlannedStep { plan: draft.into_plan(), outcome: true }
        }
        Some(_) | None => {
            let mut draft = PlanDraft::new(fleet, now_ms);
            if outlived.is_none() && fleet.server(&answer.server).is_some() {
                draft.guard_record(key);
                // The zombie does not name the instance: the server may have answered with a
                // running meeting of another balancer. A zombie without an instance applies only to
                // a meeting with Usher's mark.
                draft.set_zombie(zombie, ZombieState::Due, None, "confirmed after the id had moved on");
            }
            PlannedStep { plan: draft.into_plan(), outcome: false }
        }
    }
}

fn on_its_server(
    fleet: &Fleet,
    key: &MeetingKey,
    stored: &Stored<MeetingRecord>,
    answer: &CreateAnswer,
    is_zombie: bool,
    now_ms: i64,
) -> PlannedStep<bool> {
    let write = || {
        let mut draft = PlanDraft::new(fleet, now_ms);
        draft.activate(key, active(stored.value.clone(), answer));
        PlannedStep { plan: draft.into_plan(), outcome: true }
    };
    match &stored.value.state {
        RecordState::Pending if answer.token.as_ref().is_none_or(|own| *own == stored.value.token) => write(),
        RecordState::Active { .. } if is_zombie => PlannedStep::settled(false),
        RecordState::Active { create_time_ms, .. } if answer.create_time_ms > *create_time_ms => write(),
        RecordState::Active { .. } => answered(fleet, key, stored, answer, now_ms),
        RecordState::Ending { internal_id: Some(old) }
            if *old != answer.internal_id && !is_zombie && answer.create_time_ms > create_time_of(old) =>
        {
            write()
        }
        RecordState::Pending | RecordState::Ending { .. } => PlannedStep::settled(false),
    }
}

/// Returns the success for a record that needs no other instance. If a poll listed the meeting before
/// the server answered this create, the record says now that it is answered (F5).
fn answered(
    fleet: &Fleet,
    key: &MeetingKey,
    stored: &Stored<MeetingRecord>,
    answer: &CreateAnswer,
    now_ms: i64,
) -> PlannedStep<bool> {
    let record = &stored.value;
    if !record.unanswered || answer.token.as_ref() != Some(&record.token) {
        return PlannedStep::settled(true);
    }
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.set_record(key, MeetingRecord { unanswered: false, ..record.clone() });
    PlannedStep { plan: draft.into_plan(), outcome: true }
}

fn active(record: MeetingRecord, answer: &CreateAnswer) -> MeetingRecord {
    let internal_id = answer.internal_id.clone();
    let state = RecordState::Active { internal_id, create_time_ms: answer.create_time_ms };
    // A create that was forwarded says nothing about the one that made the record.
    let unanswered = record.unanswered && answer.token.as_ref() != Some(&record.token);
    MeetingRecord { state, unanswered, ..record }
}

/// Returns whether a record may be made on a server after its create succeeded. The server may be
/// unhealthy, because the meeting runs there already, but not disabled.
fn accepts(fleet: &Fleet, id: &ServerId) -> bool {
    fleet.server(id).is_some_and(|server| server.admin() != AdminState::Disabled)
}
