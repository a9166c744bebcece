//! The `create` of a meeting id: returns the server on which the meeting lives, or chooses one.

use bytes::Bytes;
use usher_model::{
    id::{MeetingId, ServerId},
    meeting::{MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::planned_step::PlannedStep;
use crate::core::{
    draft::PlanDraft,
    fleet::Fleet,
    now::Now,
    placement::{self, InflightPlacements, NoServer, PlacementRequest},
    plan::Stored,
    voice::{self, VoiceWish},
};

/// A create for which a server is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// The request to placement: the meeting, its size and the servers that it may use.
    pub placement: PlacementRequest,
    /// Random name of this placement, by which later reports recognise its record.
    pub token: String,
    /// Digest of the create's parameters, stored in the record.
    pub request_digest: Bytes,
    /// Whether the id may move to another server while its own server is only unhealthy (A8).
    pub supersede: bool,
    /// The voice bridge that the create requests, if any (ADR 14).
    pub voice: VoiceWish,
    /// The parent of a breakout room, a meeting of the same tenant; read by [`super::place_room`]
    /// only.
    pub parent: Option<MeetingId>,
}

/// The server to which the create is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementOutcome {
    /// The server of an existing record. The caller has no placement to abandon if the create
    /// fails.
    Existing(MeetingRecord),
    /// A server that was chosen by this call.
    New {
        /// The PENDING record that the plan writes.
        record: MeetingRecord,
        /// Whether the server is unhealthy because no online server could take the meeting (E5).
        panic: bool,
    },
}

/// Places a meeting (A4, and the rows "create accepted" and "create of the id" of A5).
///
/// | record | its server | result |
/// |---|---|---|
/// | none | | PENDING on a chosen server |
/// | PENDING, ACTIVE | online or unhealthy | the create is forwarded there; the id is never placed elsewhere (H4) |
/// | PENDING | offline | PENDING elsewhere, and a *due* zombie, because the create may have made a meeting there |
/// | ACTIVE | offline; or unhealthy and `supersede` | PENDING elsewhere, and a *waiting* zombie (H5) |
/// | PENDING | unhealthy and `supersede` | forwarded there nevertheless, because its create may have succeeded |
/// | PENDING, ACTIVE | disabled | as on an offline server |
/// | PENDING, ACTIVE | removed | PENDING elsewhere |
/// | ENDING | any | PENDING elsewhere, and a *due* zombie |
///
/// # Errors
/// Returns the reason for which no server can take the meeting; the record, if any, stays
/// unchanged.
pub fn place(
    fleet: &Fleet,
    inflight: &InflightPlacements,
    request: &CreateRequest,
    now: Now,
) -> Result<PlannedStep<PlacementOutcome>, NoServer> {
    let key = &request.placement.key;
    let old = fleet.record(key);
    if let Some(old) = old
        && !is_replaceable(fleet, &old.value, request.supersede)
    {
        return Ok(PlannedStep::settled(PlacementOutcome::Existing(old.value.clone())));
    }
    let choice = match old {
        // The old server is excluded, because the old instance stays there as a zombie, and a
        // server runs only one instance of an id (I2).
        Some(old) => {
            let mut wanted = request.placement.clone();
            wanted.excluded.push(old.value.server.clone());
            placement::choose(fleet, inflight, &wanted, now)?
        }
        None => placement::choose(fleet, inflight, &request.placement, now)?,
    };
    let mut draft = PlanDraft::new(fleet, now.wall_ms);
    draft.guard_choice(&choice.server);
    draft.guard_zombie(&ZombieKey { meeting: key.clone(), server: choice.server.clone() });
    if let Some(old) = old {
        leave_zombie(&mut draft, fleet, request, old);
    }
    let voice_bridge = voice::assign(&mut draft, fleet, key, &request.voice, now);
    let record = MeetingRecord { voice_bridge, ..pending(request, choice.server, now.wall_ms) };
    draft.set_record(key, record.clone());
    let outcome = PlacementOutcome::New { record, panic: choice.panic };
    Ok(PlannedStep { plan: draft.into_plan(), outcome })
}

/// Returns whether an id is placed on another server although it has a record (A4). The id of an
/// unhealthy server moves only if the caller requests it, and never while the record is PENDING:
/// the create may have succeeded without a report yet, so the meeting could run twice (H4).
pub(super) fn is_replaceable(fleet: &Fleet, record: &MeetingRecord, supersede: bool) -> bool {
    let Some(server) = fleet.server(&record.server) else { return true };
    match (server.admin(), &record.state, server.health()) {
        (AdminState::Disabled, ..) | (_, RecordState::Ending { .. }, _) | (.., Health::Offline) => true,
        (_, RecordState::Pending, Health::Unhealthy) => false,
        (.., Health::Unhealthy) => supersede,
        (.., Health::Online) => false,
    }
}

/// Plans a zombie for a record that the plan is about to overwrite, and guards the server and the
/// health from which this was decided: if the server became online meanwhile, its meeting routes
/// again and the plan must fail.
pub(super) fn leave_zombie(
    draft: &mut PlanDraft<'_>,
    fleet: &Fleet,
    request: &CreateRequest,
    old: &Stored<MeetingRecord>,
) {
    let server = &old.value.server;
    draft.guard_choice(server);
    if fleet.server(server).is_none() {
        return; // the server was removed, so no poll will ever end a zombie there
    }
    let (state, reason) = match &old.value.state {
        RecordState::Pending => (ZombieState::Due, "placed elsewhere before it was confirmed"),
        RecordState::Active { .. } => (ZombieState::Waiting, "superseded by a create"),
        RecordState::Ending { .. } => (ZombieState::Due, "created anew while it was ending"),
    };
    let zombie = ZombieKey { meeting: request.placement.key.clone(), server: server.clone() };
    draft.set_zombie(zombie, state, old.value.state.internal_id().cloned(), reason);
}

/// Returns the PENDING record of a create that is about to be sent to `server`.
pub(super) fn pending(request: &CreateRequest, server: ServerId, now_ms: i64) -> MeetingRecord {
    MeetingRecord {
        state: RecordState::Pending,
        server,
        token: request.token.clone(),
        request_digest: request.request_digest.as_ref().into(),
        created_at_ms: now_ms,
        max_users: request.placement.max_users,
        size_hint: request.placement.size_hint,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    }
}
