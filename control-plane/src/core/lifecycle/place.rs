//! `create` of an id: finds where it lives, or gives it a server.

use bytes::Bytes;
use usher_model::{
    id::{MeetingId, ServerId},
    meeting::{MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::PlannedStep;
use crate::core::{
    draft::PlanDraft,
    fleet::Fleet,
    now::Now,
    placement::{self, InflightPlacements, NoServer, PlacementRequest},
    plan::Stored,
    voice::{self, VoiceWish},
};

/// A create that wants a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// What is wanted.
    pub placement: PlacementRequest,
    /// Identifies this placement from now on.
    pub token: String,
    /// Digest of the create's parameters.
    pub request_digest: Bytes,
    /// Give the id to another server although its own is only unhealthy.
    pub supersede: bool,
    /// What is wanted of its number.
    pub voice: VoiceWish,
    /// Of a breakout room, the parent, a meeting of the same tenant: for [`super::place_room`] alone.
    pub parent: Option<MeetingId>,
}

/// Where the create goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementOutcome {
    /// To the server of a record that stands; nothing to abandon later.
    Existing(MeetingRecord),
    /// To a server chosen now; `panic` tells that healthy servers were wanting (E5).
    New {
        /// The record to be written.
        record: MeetingRecord,
        /// Placement panic.
        panic: bool,
    },
}

/// Places a meeting (A4, and A5's rows "create accepted" and "create for the id").
///
/// | record | its server | what happens |
/// |---|---|---|
/// | none | | PENDING on a chosen server |
/// | PENDING, ACTIVE | online or unhealthy | the create is forwarded there; never placed elsewhere (H4) |
/// | PENDING | offline | PENDING elsewhere, *due* zombie: what may have been created there |
/// | ACTIVE | offline; or unhealthy and `supersede` | PENDING elsewhere, *waiting* zombie (H5) |
/// | PENDING | unhealthy and `supersede` | forwarded all the same: its create may have succeeded |
/// | PENDING, ACTIVE | disabled | as offline |
/// | PENDING, ACTIVE | removed | PENDING elsewhere |
/// | ENDING | any | PENDING elsewhere, *due* zombie |
///
/// # Errors
/// No server can take it; the record, if any, stays as it is.
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
        // The old server is no choice: its instance stays there as a zombie.
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

/// Tells whether an id goes elsewhere although a record of it stands.
pub(super) fn is_replaceable(fleet: &Fleet, record: &MeetingRecord, supersede: bool) -> bool {
    let Some(server) = fleet.server(&record.server) else { return true };
    match (server.admin(), &record.state, server.health()) {
        (AdminState::Disabled, ..) | (_, RecordState::Ending { .. }, _) | (.., Health::Offline) => true,
        (_, RecordState::Pending, Health::Unhealthy) => false,
        (.., Health::Unhealthy) => supersede,
        (.., Health::Online) => false,
    }
}

/// Leaves a zombie of a record that is about to be written over, with what the plan has to guard for that.
pub(super) fn leave_zombie(
    draft: &mut PlanDraft<'_>,
    fleet: &Fleet,
    request: &CreateRequest,
    old: &Stored<MeetingRecord>,
) {
    let server = &old.value.server;
    draft.guard_choice(server);
    if fleet.server(server).is_none() {
        return; // nobody will ever answer there
    }
    let (state, reason) = match &old.value.state {
        RecordState::Pending => (ZombieState::Due, "placed elsewhere before it was confirmed"),
        RecordState::Active { .. } => (ZombieState::Waiting, "superseded by a create"),
        RecordState::Ending { .. } => (ZombieState::Due, "created anew while it was ending"),
    };
    let zombie = ZombieKey { meeting: request.placement.key.clone(), server: server.clone() };
    draft.set_zombie(zombie, state, old.value.state.internal_id().cloned(), reason);
}

/// Returns the record of a create that is about to be sent to `server`.
pub(super) fn pending(request: &CreateRequest, server: ServerId, now_ms: i64) -> MeetingRecord {
    MeetingRecord {
        state: RecordState::Pending,
        server,
        token: request.token.clone(),
        request_digest: request.request_digest.clone(),
        created_at_ms: now_ms,
        max_users: request.placement.max_users,
        size_hint: request.placement.size_hint,
        voice_bridge: None,
        breakout: false,
    }
}
