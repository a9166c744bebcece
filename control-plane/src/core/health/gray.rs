//! Gray failures: polls of a server succeed, and the calls of its users fail, again and again (X6).
//!
//! Failed calls alone make no server offline (H9), so such a server alternates between online and
//! unhealthy. Each counted failure is noted with the counters, at most one in an interval, by the
//! replica that received the report, so that all replicas see it.

use usher_model::{
    id::ServerId,
    server::{AdminState, Health},
};

use super::counters::{FAILED_CALLS_WINDOW, interval_ms};
use crate::core::{
    fleet::{Fleet, FleetServer},
    now::Now,
    policy::Policy,
};

/// Counted failures that make a gray failure of single ones.
const LASTING: usize = 3;
/// Polling intervals without a failed call after which the gray failure has ended; longer than flap
/// damping keeps a server from every call.
const QUIET: i64 = 30;

/// Names the servers with a gray failure.
pub fn gray_failures(fleet: &Fleet, now: Now) -> impl Iterator<Item = &ServerId> {
    fleet.servers().filter(move |server| is_gray(server, fleet.policy(), now)).map(FleetServer::id)
}

fn is_gray(server: &FleetServer, policy: &Policy, now: Now) -> bool {
    let Some(health) = &server.health_record else { return false };
    let polled = server.sample_age(now.instant).is_some_and(|age| age <= policy.interval * 2);
    let within = |intervals: i64| {
        let window = interval_ms(policy).saturating_mul(intervals);
        let failures = health.value.calls_failed_at_ms.iter();
        failures.filter(|at| (0..=window).contains(&now.wall_ms.saturating_sub(**at))).count()
    };
    polled
        && server.admin() != AdminState::Disabled
        && server.health() != Health::Offline
        && within(FAILED_CALLS_WINDOW) >= LASTING
        && within(QUIET) > 0
}
