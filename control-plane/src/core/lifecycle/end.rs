//! The `end` of a meeting that an application requested.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::planned_step::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet};

/// The effect of the report on the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReportOutcome {
    /// The report names no record of the id on that server, or the record is ENDING already.
    NotRouted,
    /// From the revision of the plan on, no edge routes to the meeting.
    Unrouted,
}

/// The instance or placement that a report of an `end` names. It names one record, so that a late
/// report never hits a newer one; a report that names neither changes no record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndReport<'a> {
    /// The instance for which `end` was sent; names a record that has this instance.
    pub instance: Option<&'a InternalMeetingId>,
    /// The token of the placement whose record the edge saw PENDING; names that record while no
    /// instance is known.
    pub placement: Option<&'a str>,
    /// Whether the server has still to get the `end`, because its caller took it for unreachable.
    /// Else the server has answered it with SUCCESS, or does not know the meeting.
    pub unsent: bool,
}

impl EndReport<'_> {
    fn names(self, record: &MeetingRecord) -> bool {
        match record.state.internal_id() {
            Some(running) => self.instance == Some(running),
            None => self.placement.is_some_and(|token| token == record.token),
        }
    }
}

/// Takes a meeting out of routing (A4, A5). `server` is the server that answered SUCCESS to `end`,
/// or the meeting's own server if no `end` was sent.
///
/// | record's server | `end` | result |
/// |---|---|---|
/// | online, unhealthy | sent | ENDING, until a poll no longer lists the meeting |
/// | online, unhealthy | unsent | removed, plus a *due* zombie: the meeting is ended after the next poll |
/// | offline, disabled | sent or unsent | removed, plus a *due* zombie: the meeting is ended when the server returns |
/// | removed | sent or unsent | removed |
///
/// The caller says that the `end` is unsent; the server's health here does not: the server may have
/// come back since the caller looked. ENDING would then wait for an end that no server was asked for,
/// and the meeting would route again.
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
    // The `end` also applies to the older instances that the meeting had superseded, so their
    // zombies no longer wait for a confirmation.
    draft.release_waiting(key, server);
    if ended.unsent || !reachable {
        draft.guard_choice(server);
        draft.remove_record(key);
        if fleet.server(server).is_some() {
            let zombie = ZombieKey { meeting: key.clone(), server: server.clone() };
            draft.set_zombie(zombie, ZombieState::Due, internal_id, "ended while its server was unreachable");
        }
    } else if matches!(state, RecordState::Ending { .. }) {
        return PlannedStep::settled(EndReportOutcome::NotRouted);
    } else {
        let record = MeetingRecord { state: RecordState::Ending { internal_id }, ..stored.value.clone() };
        draft.set_record(key, record);
    }
    PlannedStep { plan: draft.into_plan(), outcome: EndReportOutcome::Unrouted }
}
