//! How unevenly load is spread (F10).

use std::time::{Duration, Instant};

use usher_model::server::{AdminState, Health};

use super::sampled;
use crate::core::fleet::{Fleet, FleetServer};

/// Imbalance that is worth an alarm.
const UNEVEN: f64 = 1.5;
/// How long it must last.
const LASTING: Duration = Duration::from_mins(5);

/// Returns `max/mean` of effective load per weight over the servers that take meetings; 0 if there is
/// no load or no such server.
pub fn imbalance(fleet: &Fleet) -> f64 {
    spread(fleet).map_or(0.0, |spread| spread.most / spread.mean)
}

/// Since when load has been uneven without a break.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadUnevenness {
    since: Option<Instant>,
}

impl LoadUnevenness {
    /// Looks at the fleet; returns the imbalance once it has been worth an alarm for five minutes. A
    /// single meeting cannot be spread: the busiest server must still stand out without its largest
    /// one.
    pub fn lasting(&mut self, fleet: &Fleet, now: Instant) -> Option<f64> {
        let uneven = spread(fleet)
            .filter(|spread| (spread.most - spread.largest_there) / spread.mean > UNEVEN)
            .map(|spread| spread.most / spread.mean);
        self.since = uneven.and(self.since.or(Some(now)));
        let lasts = self.since.is_some_and(|since| now.saturating_duration_since(since) >= LASTING);
        uneven.filter(|_| lasts)
    }
}

/// Mean and largest load per weight of the servers that take meetings.
struct Spread {
    mean: f64,
    most: f64,
    /// The largest meeting of the busiest server.
    largest_there: f64,
}

fn spread(fleet: &Fleet) -> Option<Spread> {
    let takes =
        |server: &&FleetServer| server.admin() == AdminState::Enabled && server.health() == Health::Online;
    let load = |server: &FleetServer| server.effective_load() as f64 / server.weight();
    let (mut count, mut sum) = (0_u32, 0.0_f64);
    let mut busiest: Option<&FleetServer> = None;
    for server in fleet.servers().filter(takes) {
        count += 1;
        sum += load(server);
        if busiest.is_none_or(|most| load(most) < load(server)) {
            busiest = Some(server);
        }
    }
    let busiest = busiest.filter(|_| sum > 0.0)?;
    let (mean, most) = (sum / f64::from(count), load(busiest));
    Some(Spread { mean, most, largest_there: largest(fleet, busiest) as f64 / busiest.weight() })
}

/// Returns the users of the largest meeting on a server, seen or reserved.
fn largest(fleet: &Fleet, server: &FleetServer) -> u64 {
    let listed = server.sample.iter().flat_map(|sample| &sample.value.meetings);
    let listed = listed.map(|meeting| sampled(meeting, &fleet.policy().placement));
    listed.chain(fleet.reserved_on(server.id())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
