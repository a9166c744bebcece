//! Housekeeping that does not follow from a poll. The leader runs it every few seconds.

use std::time::Duration;

use usher_model::{
    id::ServerId,
    meeting::{Zombie, ZombieKey},
    server::{AdminState, HealthRecord, SampledMeeting},
};

use crate::core::{
    draft::PlanDraft,
    fleet::{Fleet, FleetServer},
    lifecycle::{drained, evacuate, is_done},
    load,
    now::Now,
    persisted_age::PersistedAge,
    plan::{FleetKey, Plan, PlanWrite, Stored},
    voice,
};

/// Maximum of entries that one sweep abandons, or whose age it writes (C7).
const MOST_AGED: usize = 500;
/// Number of parts of `zombie_ttl` after each of which an age is written; a restart loses one part
/// at most.
const PARTS: u32 = 24;

/// The rule for a server that records or zombies name and that has no entry in `servers/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingServer {
    /// The server was removed: its records and zombies are abandoned.
    Removed,
    /// The store lost the server's entry, and a restore may write it again at any moment (ADR 8):
    /// its records and zombies stay.
    Awaited,
}

/// The work of one sweep.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SweepPlan {
    /// Plans to commit with the fencing token, each in a transaction of its own.
    pub plans: Vec<Plan>,
    /// As `plans`. Each abandons a zombie or a detached record without a poll that shows the
    /// meeting ended, and is counted.
    pub abandoned: Vec<Plan>,
    /// Cordoned servers that are empty, which these plans disable (S6).
    pub drained: Vec<ServerId>,
}

/// Finds the entries that time, or an order that stopped half way, has left: records on servers
/// that are disabled or removed; zombies and detached records older than `zombie_ttl`; zombies of
/// removed servers; cordoned servers that are empty; entries of old addresses without zombies;
/// voice bridges that have not been used for long. The ages of zombies and detached records are
/// measured durations ([`PersistedAge`]), so that a clock that jumps abandons none of them early.
pub fn sweep(fleet: &Fleet, missing: MissingServer, now: Now) -> SweepPlan {
    let mut sweep = SweepPlan::default();
    for id in fleet.servers_with_records() {
        match fleet.server(id) {
            Some(server) => detached(fleet, server, now, &mut sweep),
            None if missing == MissingServer::Awaited => {}
            None => sweep.plans.push(evacuate(fleet, id, "", now.wall_ms)),
        }
    }
    for server in fleet.servers().filter(|server| server.admin() == AdminState::Disabled) {
        let plan = evacuate(fleet, server.id(), "its server was disabled", now.wall_ms);
        if !plan.is_empty() {
            sweep.plans.push(plan);
        }
    }
    let mut left = MOST_AGED;
    for (key, stored) in fleet.zombies() {
        let homeless = fleet.server(&key.server).is_none();
        let standing = fleet.zombie_age(key);
        match standing.map_or(Age::Young, |standing| age(standing, fleet, now)) {
            _ if homeless && missing == MissingServer::Awaited => continue,
            _ if homeless => sweep.abandoned.push(without_zombie(fleet, key, now)),
            Age::Over => sweep.abandoned.push(without_zombie(fleet, key, now)),
            Age::ToWrite(stood_ms) => sweep.plans.push(zombie_has_stood(key, stored, stood_ms)),
            Age::Young => continue,
        }
        left -= 1;
        if left == 0 {
            break;
        }
    }
    for server in fleet.servers().filter(|server| is_drained(fleet, server)) {
        sweep.plans.push(drained(server));
        sweep.drained.push(server.id().clone());
    }
    for server in fleet.servers().filter(|server| is_done(fleet, server)) {
        let mut plan = Plan::default();
        plan.guard_seen(FleetKey::Server(server.id().clone()), Some(&server.stored));
        let keys = [FleetKey::Server(server.id().clone()), FleetKey::Health(server.id().clone())];
        plan.writes
            .extend(keys.into_iter().chain([FleetKey::Sample(server.id().clone())]).map(PlanWrite::Delete));
        sweep.plans.push(plan);
    }
    // While records are awaited, a meeting without a record may run with its number.
    if missing == MissingServer::Removed {
        sweep.plans.extend(voice::expired(fleet, now));
    }
    sweep
}

/// The work that follows from an age.
enum Age {
    Young,
    ToWrite(u64),
    Over,
}

fn age(standing: PersistedAge, fleet: &Fleet, now: Now) -> Age {
    let ttl: Duration = fleet.policy().zombie_ttl;
    if standing.age(now.instant) >= ttl {
        return Age::Over;
    }
    standing.to_write(now.instant, ttl / PARTS).map_or(Age::Young, Age::ToWrite)
}

fn without_zombie(fleet: &Fleet, key: &ZombieKey, now: Now) -> Plan {
    let mut draft = PlanDraft::new(fleet, now.wall_ms);
    draft.remove_zombie(key);
    draft.into_plan()
}

fn zombie_has_stood(key: &ZombieKey, stored: &Stored<Zombie>, stood_ms: u64) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Zombie(key.clone()), Some(stored));
    plan.writes.push(PlanWrite::Zombie(key.clone(), Zombie { stood_ms, ..stored.value.clone() }));
    plan
}

/// Abandons the records of a server that has been offline for `zombie_ttl`, or writes the age.
fn detached(fleet: &Fleet, server: &FleetServer, now: Now, sweep: &mut SweepPlan) {
    let (Some(standing), Some(health)) = (server.offline(), &server.health_record) else { return };
    match age(standing, fleet, now) {
        Age::Young => {}
        Age::ToWrite(stood_ms) => {
            let mut plan = Plan::default();
            plan.guard_seen(FleetKey::Health(server.id().clone()), Some(health));
            let record = HealthRecord { stood_ms, ..health.value.clone() };
            plan.writes.push(PlanWrite::Health(server.id().clone(), record));
            sweep.plans.push(plan);
        }
        Age::Over => {
            for (key, _) in fleet.records_on(server.id()).take(MOST_AGED) {
                let mut draft = PlanDraft::new(fleet, now.wall_ms);
                draft.guard_choice(server.id());
                draft.remove_record(key);
                sweep.abandoned.push(draft.into_plan());
            }
        }
    }
}

/// Returns whether a cordoned server is empty: it has no record and no *waiting* zombie, and a poll
/// that was sent after it was cordoned lists only breakout rooms, and meetings whose record names
/// another entry of the same server.
fn is_drained(fleet: &Fleet, server: &FleetServer) -> bool {
    let lives_elsewhere = |meeting: &SampledMeeting| {
        let record = load::listed_key(meeting).and_then(|key| fleet.record(&key));
        record.is_some_and(|stored| {
            stored.value.server != *server.id() && stored.value.names(&meeting.internal_id)
        })
    };
    server.admin() == AdminState::Cordoned
        && fleet.meeting_count_on(server.id()) == 0
        && fleet.sample_of_epoch(server).is_some_and(|sample| {
            sample.watermark >= server.stored.modified
                && sample.meetings.iter().all(|meeting| meeting.breakout || lives_elsewhere(meeting))
        })
}
