//! Functions that several tests use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{admin::TestAdmin, wait};
use usher_proto::v1::{Health, Server};

/// Returns the milliseconds since 1970, the clock of simulated servers.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time of arrival of each call with this name at a server.
pub(crate) fn arrivals(sim: &BbbSim, call: &str) -> Vec<u64> {
    sim.calls().iter().filter(|arrived| arrived.name == call).map(|arrived| arrived.at_ms).collect()
}

/// Returns the longest time without a poll of a server between two instants.
pub(crate) fn longest_gap(sim: &BbbSim, from: u64, to: u64) -> Duration {
    let mut times = arrivals(sim, "getMeetings");
    times.retain(|at| (from..=to).contains(at));
    let all: Vec<u64> = [from].into_iter().chain(times).chain([to]).collect();
    let longest = all.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max();
    Duration::from_millis(longest.unwrap_or_default())
}

/// Returns whether a server has a meeting that was not ended.
pub(crate) fn has(sim: &BbbSim, id: &str) -> bool {
    sim.meetings().iter().any(|meeting| meeting.meeting_id == id && !meeting.ending)
}

pub(crate) async fn becomes(admin: &TestAdmin, id: &str, health: Health) -> Result<Server> {
    wait::until(&format!("{id} to be {health:?}"), || async {
        let server = admin.server(id).await?;
        ensure!(server.health() == health, "{:?}: {}", server.health(), server.health_reason);
        Ok(server)
    })
    .await
}

/// Returns the duration that this percentage of the durations does not exceed.
pub(crate) fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort();
    durations[(durations.len() * percent / 100).min(durations.len() - 1)]
}
