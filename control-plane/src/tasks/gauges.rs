//! Sets gauges and alarms from the fleet, once a second. Nearly every alarm is derived from stored
//! state, so every replica raises it and `usher status` shows it at any replica.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use usher_model::{id::ServerId, server::AdminState};
use usher_runtime::clock::{self, WallClock};

use super::fleet_handle::FleetHandle;
use crate::{
    core::{
        fleet::{Fleet, FleetServer},
        health,
        load::{self, LoadUnevenness},
        now::Now,
    },
    ops::{
        alarms::{Alarm, RaisedAlarms},
        metrics::{ControlPlaneMetrics, ServerFigures},
    },
};

const EVERY: Duration = Duration::from_secs(1);
/// Largest number of servers that an alarm names.
const NAMED: usize = 8;

/// The task that sets gauges and alarms.
pub struct GaugeUpdater {
    fleet: FleetHandle,
    wall: WallClock,
    alarms: RaisedAlarms,
    metrics: ControlPlaneMetrics,
}

/// The conditions that raise an alarm only if they last.
#[derive(Default)]
struct LastingConditions {
    uneven: LoadUnevenness,
    known_since: Option<Instant>,
}

impl GaugeUpdater {
    /// Returns a task that shows `fleet` by `metrics` and `alarms`.
    pub fn new(
        fleet: FleetHandle,
        wall: WallClock,
        alarms: RaisedAlarms,
        metrics: ControlPlaneMetrics,
    ) -> Self {
        Self { fleet, wall, alarms, metrics }
    }

    /// Runs until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut lasting = LastingConditions::default();
        let mut shown: BTreeSet<ServerId> = BTreeSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
            let now = Now { instant: clock::now(), wall_ms: self.wall.now_ms() };
            let figures = self.fleet.read(|fleet| figures(fleet, now.instant));
            let known: BTreeSet<ServerId> = figures.iter().map(|figure| figure.server.clone()).collect();
            let gone: Vec<ServerId> = shown.difference(&known).cloned().collect();
            self.metrics.servers(&figures, &gone);
            shown = known;
            if self.fleet.complete() {
                lasting.known_since.get_or_insert(now.instant);
            }
            for (alarm, wrong) in self.fleet.read(|fleet| lasting.alarms(fleet, now)) {
                self.alarms.set(alarm, wrong);
            }
            self.metrics.imbalance(self.fleet.read(load::imbalance));
            self.metrics.alarms(&self.alarms);
        }
    }
}

impl LastingConditions {
    fn alarms(&mut self, fleet: &Fleet, now: Now) -> [(Alarm, Option<String>); 5] {
        let uneven = self.uneven.lasting(fleet, now.instant);
        let uneven = uneven.map(|most| format!("the busiest server has {most:.2} times the mean load"));
        [
            (Alarm::SuspectSelf, suspect_self(fleet)),
            (Alarm::GrayFailure, gray_failure(fleet, now)),
            (Alarm::LoadUnknown, self.load_unknown(fleet, now.instant)),
            (Alarm::PlacementImbalance, uneven),
            (Alarm::ServerListedTwice, listed_twice(fleet)),
        ]
    }

    /// Names the enabled servers without a known load although a poll has been due (F6).
    fn load_unknown(&self, fleet: &Fleet, now: Instant) -> Option<String> {
        let due = |since| now.saturating_duration_since(since) >= fleet.policy().interval;
        self.known_since.filter(|since| due(*since))?;
        let enabled = fleet.servers().filter(|server| server.admin() == AdminState::Enabled);
        let unknown = enabled.filter(|server| server.sample.is_none() && server.health_record.is_some());
        let names = names(unknown.map(FleetServer::id))?;
        Some(format!("no load sample of {names}: they take no new meetings"))
    }
}

/// Describes that most servers fail at once (H10), and the operator's options.
fn suspect_self(fleet: &Fleet) -> Option<String> {
    let names =
        names(health::failing(fleet).map(FleetServer::id)).filter(|_| health::most_fail(fleet, None))?;
    let hold = fleet.policy().mass_hold;
    Some(format!(
        "most servers failed their latest poll ({names}): are the control planes cut off? None becomes \
         offline before this has lasted {hold:?}; `usher servers panic` frees the ids of a dead server"
    ))
}

/// Names the entries that are another entry's server (A5), and the remedy.
fn listed_twice(fleet: &Fleet) -> Option<String> {
    let ids = fleet.servers().map(FleetServer::id);
    let twice = ids.filter_map(|id| Some(format!("`{id}` is the server of `{}`", fleet.original_of(id)?)));
    let named = twice.collect::<Vec<_>>();
    let listed = names(named.iter().map(String::as_str))?;
    Some(format!("{listed}: the younger entry takes no meetings; remove it, its meetings go on"))
}

fn gray_failure(fleet: &Fleet, now: Now) -> Option<String> {
    let names = names(health::gray_failures(fleet, now))?;
    Some(format!("polls of {names} succeed, but users' calls fail repeatedly: examine or cordon the server"))
}

/// Lists the first names; `None` if there are none.
fn names<'a, N: AsRef<str> + ?Sized + 'a>(ids: impl Iterator<Item = &'a N>) -> Option<String> {
    let all: Vec<&str> = ids.map(N::as_ref).collect();
    let listed = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMED) {
        _ if all.is_empty() => None,
        Some(more @ 1..) => Some(format!("{listed} and {more} more")),
        _ => Some(listed),
    }
}

fn figures(fleet: &Fleet, now: Instant) -> Vec<ServerFigures> {
    fleet
        .servers()
        .map(|server| ServerFigures {
            server: server.id().clone(),
            admin: server.admin(),
            health: server.health(),
            meetings: fleet.record_count_on(server.id()),
            zombies: fleet.zombie_count_on(server.id()),
            sample_age: server.sample_age(now),
        })
        .collect()
}
