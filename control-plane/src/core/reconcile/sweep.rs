//! Housekeeping that no poll brings about. Leader only, every few seconds.

use usher_common::{
    id::ServerId,
    server::{AdminState, Health},
};

use crate::core::{
    fleet::{Fleet, FleetServer},
    lifecycle::{Draft, disabled, evacuate},
    now::Now,
    plan::Plan,
};

/// Entries one sweep gives up at most.
const MOST_GIVEN_UP: usize = 500;

/// What is to be cleaned up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sweep {
    /// To be committed with the fencing token, each on its own.
    pub plans: Vec<Plan>,
    /// Zombies and detached records that are given up by these plans unseen; counted.
    pub given_up: usize,
    /// Cordoned servers that are empty and become disabled by these plans (S6).
    pub drained: Vec<ServerId>,
}

/// Looks for what time, or somebody who stopped half way, left behind:
/// records on servers that are disabled or gone; zombies and detached records older than
/// `zombie_ttl`; zombies of servers that are gone; cordoned servers that are empty.
pub fn sweep(fleet: &Fleet, now: Now) -> Sweep {
    let mut sweep = Sweep::default();
    for id in fleet.servers_with_records() {
        match fleet.server(id) {
            Some(server) if server.admin() == AdminState::Disabled => {
                sweep.plans.push(evacuate(fleet, id, "its server was disabled", now.wall_ms));
            }
            None => sweep.plans.push(evacuate(fleet, id, "", now.wall_ms)),
            Some(server) => detached(fleet, server, now, &mut sweep),
        }
    }
    for (key, stored) in fleet.zombies() {
        let expired = is_over(stored.value.since_ms, fleet, now);
        if (expired || fleet.server(&key.server).is_none()) && sweep.given_up < MOST_GIVEN_UP {
            let mut draft = Draft::new(fleet, now.wall_ms);
            draft.remove_zombie(key);
            sweep.plans.push(draft.into_plan());
            sweep.given_up += 1;
        }
    }
    for server in fleet.servers().filter(|server| is_drained(fleet, server)) {
        sweep.plans.push(disabled(server));
        sweep.drained.push(server.id().clone());
    }
    sweep
}

/// Gives up the records of a server that has been offline for too long.
fn detached(fleet: &Fleet, server: &FleetServer, now: Now, sweep: &mut Sweep) {
    let since = server.health.as_ref().map(|stored| stored.value.since_ms);
    if server.colour() != Health::Offline || !since.is_some_and(|since| is_over(since, fleet, now)) {
        return;
    }
    for (key, _) in fleet.records_on(server.id()) {
        if sweep.given_up >= MOST_GIVEN_UP {
            return;
        }
        let mut draft = Draft::new(fleet, now.wall_ms);
        draft.guard_choice(server.id());
        draft.remove_record(key);
        sweep.plans.push(draft.into_plan());
        sweep.given_up += 1;
    }
}

fn is_over(since_ms: i64, fleet: &Fleet, now: Now) -> bool {
    u128::try_from(now.wall_ms.saturating_sub(since_ms))
        .is_ok_and(|age| age >= fleet.policy().zombie_ttl.as_millis())
}

/// Tells whether a cordoned server has become empty: no record, and a poll sent after it was cordoned
/// lists nothing but breakouts, if anything.
fn is_drained(fleet: &Fleet, server: &FleetServer) -> bool {
    server.admin() == AdminState::Cordoned
        && fleet.record_count_on(server.id()) == 0
        && server.sample.as_ref().is_some_and(|sample| {
            sample.value.watermark >= server.stored.modified
                && sample.value.meetings.iter().all(|meeting| meeting.breakout)
        })
}
