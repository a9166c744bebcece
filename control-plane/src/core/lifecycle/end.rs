//! An application asked for the end of a meeting.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// What became of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReportOutcome {
    /// The report names no record of the id on that server, or it is ending already.
    NotRouted,
    /// From the plan's revision on, nothing routes to the meeting.
    Unrouted,
}

/// What whoever reports an end knows of the instance. It names one record, so that a late report never
/// hits a newer one: a report that knows nothing touches nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndReport<'a> {
    /// The instance that was asked to end; names a record that is ACTIVE with it.
    pub instance: Option<&'a InternalMeetingId>,
    /// The token of the placement whose record was seen PENDING; names it while it is.
    pub placement: Option<&'a str>,
}

impl EndReport<'_> {
    fn names(self, record: &MeetingRecord) -> bool {
        match record.state.internal_id() {
            Some(running) => self.instance == Some(running),
            None => self.placement.is_some_and(|token| token == record.token),
        }
    }
}

/// Takes a meeting out of routing. `server` is the one that answered SUCCESS to `end`, or the
/// meeting's own, offline server.
///
/// | record's server | what happens |
/// |---|---|
/// | online, unhealthy | ENDING, until a poll no longer lists it |
/// | offline, disabled | removed + *due* zombie: it is ended when the server returns (A4) |
/// | removed | removed |
pub fn report_end(
    fleet: &Fleet,
    key: &MeetingKey,
    server: &ServerId,
    ended: EndReport<'_>,
    now_ms: i64,
) -> PlannedStep<EndReportOutcome> {
    let named = |record: &MeetingRecord| record.server == *server && ended.names(record);
    let Some(stored) = fleet.record(key).filter(|stored| named(&stored.value)) else {
        return PlannedStep::settled(EndReportOutcome::NotRouted);
    };
    let state = &stored.value.state;
    let internal_id = state.internal_id().or(ended.instance).cloned();
    let reachable = fleet
        .server(server)
        .is_some_and(|server| server.admin() != AdminState::Disabled && server.health() != Health::Offline);
    let mut draft = PlanDraft::new(fleet, now_ms);
    // What the meeting had superseded was asked to end with it.
    draft.release_waiting(key, server);
    if !reachable {
        draft.guard_choice(server);
        draft.remove_record(key);
        if fleet.server(server).is_some() {
            let zombie = ZombieKey { meeting: key.clone(), server: server.clone() };
            draft.set_zombie(zombie, ZombieState::Due, internal_id, "ended while its server was away");
        }
    } else if matches!(state, RecordState::Ending { .. }) {
        return PlannedStep::settled(EndReportOutcome::NotRouted);
    } else {
        let record = MeetingRecord { state: RecordState::Ending { internal_id }, ..stored.value.clone() };
        draft.set_record(key, record);
    }
    PlannedStep { plan: draft.into_plan(), outcome: EndReportOutcome::Unrouted }
}
