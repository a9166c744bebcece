//! Adoption by name: an operator names a server's meeting that another balancer created (ADR 12).

use usher_model::{
    id::{ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey},
    scope::{self, TenantScope},
    server::{AdminState, SampledMeeting, ServerSample},
};

use super::planned_step::PlannedStep;
use crate::core::{draft::PlanDraft, fleet::Fleet, instance::create_time_of, plan::Stored};

/// The result for one meeting that an operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptionOutcome {
    /// The plan makes a record of the meeting.
    Adopted,
    /// The meeting has a record on this server already.
    Standing,
    /// The server does not list the meeting, the meeting ended since the list was made, or the
    /// server is disabled.
    NotRunning,
    /// The id has a record on another server.
    Elsewhere(ServerId),
    /// An instance of the id on this server has a zombie, so it is to be ended.
    Zombie,
    /// The meeting of that name on the server belongs to another tenant.
    Taken(TenantId),
    /// The id looks scoped, so it could not be distinguished from scoped ids on the server.
    Unfit,
}

/// Adopts a meeting of another balancer, as a poll does under `meetings.adopt = "all"`. The record
/// rests on the list alone: the next poll that does not list the instance removes it. `sample` is a
/// list that the server returned just now; its watermark orders it among the store's revisions.
pub fn adopt(
    fleet: &Fleet,
    server: &ServerId,
    key: &MeetingKey,
    sample: &ServerSample,
    now_ms: i64,
) -> PlannedStep<AdoptionOutcome> {
    let accepts = fleet.server(server).is_some_and(|server| server.admin() != AdminState::Disabled);
    if !accepts {
        return PlannedStep::settled(AdoptionOutcome::NotRunning);
    }
    if let Some(stored) = fleet.record(key) {
        return PlannedStep::settled(match &stored.value {
            record if record.server != *server => AdoptionOutcome::Elsewhere(record.server.clone()),
            MeetingRecord { state: RecordState::Ending { .. }, .. } => AdoptionOutcome::NotRunning,
            _ => AdoptionOutcome::Standing,
        });
    }
    let zombie = ZombieKey { meeting: key.clone(), server: server.clone() };
    if fleet.zombie(&zombie).is_some() {
        return PlannedStep::settled(AdoptionOutcome::Zombie);
    }
    let listed = match find(key, sample) {
        Ok(listed) => listed,
        Err(adoption) => return PlannedStep::settled(adoption),
    };
    if fleet.record_changed_since(key, sample.watermark) {
        return PlannedStep::settled(AdoptionOutcome::NotRunning); // the meeting was routed and has ended since the list was made
    }
    let abandoned =
        |(_, stored): (_, &Stored<Zombie>)| stored.value.internal_id.as_ref() == Some(&listed.internal_id);
    if fleet.zombies_of(key).any(abandoned) {
        return PlannedStep::settled(AdoptionOutcome::Zombie); // the zombie exists through another entry of this server
    }
    let is_unscoped = TenantScope::of(&key.tenant).is_unscoped(key.meeting.as_str(), &listed.internal_id);
    let namesake = || namesake(fleet, server, key).filter(|_| is_unscoped);
    if let Some(owner) = owner(fleet, server, listed).or_else(namesake) {
        return PlannedStep::settled(AdoptionOutcome::Taken(owner));
    }
    let mut draft = PlanDraft::new(fleet, now_ms);
    draft.guard_server(server);
    draft.guard_arrival(server);
    draft.guard_zombie(&zombie);
    if is_unscoped {
        draft.guard_unscoped(&key.meeting, server);
    }
    draft.activate(key, record(server, listed, sample));
    PlannedStep { plan: draft.into_plan(), outcome: AdoptionOutcome::Adopted }
}

/// Returns the listed instance of the meeting: the one with Usher's mark, else the one without a
/// mark that has the name which the other balancer gave it.
fn find<'s>(key: &MeetingKey, sample: &'s ServerSample) -> Result<&'s SampledMeeting, AdoptionOutcome> {
    let mut addressed = sample.meetings.iter().filter(|meeting| meeting.is_addressed());
    let mut meetings = addressed.clone().filter(|meeting| !meeting.breakout);
    if let Some(marked) = addressed.find(|meeting| meeting.key.as_ref() == Some(key)) {
        return Ok(marked);
    }
    let id = scope::unscoped_id(key.meeting.as_str()).ok_or(AdoptionOutcome::Unfit)?;
    let listed =
        meetings.find(|meeting| meeting.external_id.as_str() == id).ok_or(AdoptionOutcome::NotRunning)?;
    match &listed.key {
        Some(other) => Err(AdoptionOutcome::Taken(other.tenant.clone())),
        None if key.tenant.as_str() == TenantId::DEFAULT => Ok(listed),
        None if TenantScope::of(&key.tenant).is_unscoped(id, &listed.internal_id) => Ok(listed),
        None => Err(AdoptionOutcome::Unfit),
    }
}

/// Returns the tenant whose record or zombie names the instance already, through this entry or
/// another entry of its server (ADR 21).
fn owner(fleet: &Fleet, server: &ServerId, listed: &SampledMeeting) -> Option<TenantId> {
    let entries = std::iter::once(server).chain(fleet.listers_of(&listed.internal_id));
    let mut keys = entries.filter_map(|entry| fleet.key_of_instance(entry, &listed.internal_id));
    keys.next().map(|key| key.tenant)
}

/// Returns tenant `default` if a meeting of its own has the same name on the server.
fn namesake(fleet: &Fleet, server: &ServerId, key: &MeetingKey) -> Option<TenantId> {
    let namesake = MeetingKey::new(TenantId::default_tenant(), key.meeting.clone());
    let record = fleet.record(&namesake).filter(|stored| stored.value.server == *server);
    record.map(|_| namesake.tenant)
}

fn record(server: &ServerId, listed: &SampledMeeting, sample: &ServerSample) -> MeetingRecord {
    let create_time_ms = match create_time_of(&listed.internal_id) {
        0 => sample.taken_at_ms.saturating_sub_unsigned(listed.age_ms),
        time => time,
    };
    MeetingRecord {
        state: RecordState::Active { internal_id: listed.internal_id.clone(), create_time_ms },
        server: server.clone(),
        token: String::new(),
        request_digest: Box::default(),
        created_at_ms: create_time_ms,
        max_users: listed.max_users,
        size_hint: listed.size_hint,
        // The next poll lists the number and writes it to the record (ADR 14).
        voice_bridge: None,
        breakout: listed.breakout,
        unanswered: false,
    }
}
