//! Gray failures: polls of a server succeed, and the calls of its users fail, again and again (X6).
//!
//! Failed calls alone turn no server red (H9), so such a server goes from green to yellow and back
//! for as long as it lasts. Each counted failure is noted with the counters, at most one an interval,
//! whichever replica it was reported to: so all of them see it.

use usher_model::{
    id::ServerId,
    server::{AdminState, Health, HealthRecord},
};

use crate::core::{
    fleet::{Fleet, FleetServer},
    now::Now,
    policy::Policy,
};

/// Counted failures that make a gray failure of single ones.
const LASTING: usize = 3;
/// Polling intervals within which they count.
const WINDOW: i64 = 90;
/// Polling intervals without a failed call after which it is over; longer than flap damping keeps a
/// server from being called at all.
const QUIET: i64 = 30;

/// Names the servers with a gray failure.
pub fn gray_failures(fleet: &Fleet, now: Now) -> impl Iterator<Item = &ServerId> {
    fleet.servers().filter(move |server| is_gray(server, fleet.policy(), now)).map(FleetServer::id)
}

fn is_gray(server: &FleetServer, policy: &Policy, now: Now) -> bool {
    let Some(health) = &server.health else { return false };
    let polled = server.sample_age(now.instant).is_some_and(|age| age <= policy.interval * 2);
    let within = |intervals: i64| {
        let window = interval_ms(policy).saturating_mul(intervals);
        let failures = health.value.calls_failed_at_ms.iter();
        failures.filter(|at| (0..=window).contains(&now.wall_ms.saturating_sub(**at))).count()
    };
    polled
        && server.admin() != AdminState::Disabled
        && server.colour() != Health::Offline
        && within(WINDOW) >= LASTING
        && within(QUIET) > 0
}

/// Notes a failed call; `false` when one was noted within the last interval.
pub(super) fn note(record: &mut HealthRecord, policy: &Policy, now_ms: i64) -> bool {
    let age = |at: &i64| now_ms.saturating_sub(*at);
    let noted = &mut record.calls_failed_at_ms;
    if noted.last().is_some_and(|at| (0..interval_ms(policy)).contains(&age(at))) {
        return false;
    }
    let window = interval_ms(policy).saturating_mul(WINDOW);
    noted.retain(|at| (0..window).contains(&age(at)));
    noted.push(now_ms);
    true
}

fn interval_ms(policy: &Policy) -> i64 {
    i64::try_from(policy.interval.as_millis()).unwrap_or(i64::MAX)
}
