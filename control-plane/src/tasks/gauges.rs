//! Keeps gauges and alarms in step with the fleet, once a second, on every replica.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use usher_common::{id::ServerId, runtime::clock, server::AdminState};

use super::{fleet_handle::FleetHandle, leadership::Leadership, placer::Placer};
use crate::{
    core::{fleet::Fleet, load},
    ops::{
        alarms::{Alarm, Alarms},
        metrics::{Metrics, ServerFigures},
    },
};

const EVERY: Duration = Duration::from_secs(1);
/// Imbalance that is worth an alarm, and for how long it must last (F10).
const IMBALANCE: (f64, Duration) = (1.5, Duration::from_mins(5));

/// The task.
pub struct Gauges {
    fleet: FleetHandle,
    leadership: Leadership,
    placer: Placer,
    alarms: Alarms,
    metrics: Metrics,
}

impl Gauges {
    /// Shows `fleet` by `metrics` and `alarms`.
    pub fn new(
        fleet: FleetHandle,
        leadership: Leadership,
        placer: Placer,
        alarms: Alarms,
        metrics: Metrics,
    ) -> Self {
        Self { fleet, leadership, placer, alarms, metrics }
    }

    /// Runs until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (mut led_since, mut uneven_since) = (None, None);
        let mut shown: BTreeSet<ServerId> = BTreeSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
            let now = clock::now();
            let figures = self.fleet.read(|fleet| figures(fleet, now));
            let known: BTreeSet<ServerId> = figures.iter().map(|figure| figure.server.clone()).collect();
            let gone: Vec<ServerId> = shown.difference(&known).cloned().collect();
            self.metrics.servers(&figures, &gone);
            shown = known;
            keep(&mut led_since, self.leadership.leads(), now);
            self.alarms.set(Alarm::LoadUnknown, led_since.and_then(|since| self.load_unknown(since, now)));
            self.alarms.set(Alarm::GrayFailure, self.gray_failure());
            let imbalance = self.fleet.read(load::imbalance);
            self.metrics.imbalance(imbalance);
            keep(&mut uneven_since, imbalance > IMBALANCE.0, now);
            let lasting =
                uneven_since.is_some_and(|since| now.saturating_duration_since(since) >= IMBALANCE.1);
            let uneven = || format!("the busiest server has {imbalance:.2} times the mean load");
            self.alarms.set(Alarm::PlacementImbalance, lasting.then(uneven));
            self.metrics.alarms(&self.alarms);
        }
    }

    /// Names enabled servers whose load nobody knows although a poll has been due (F6).
    fn load_unknown(&self, led_since: Instant, now: Instant) -> Option<String> {
        let names: Vec<String> = self.fleet.read(|fleet| {
            let interval = fleet.policy().interval;
            if now.saturating_duration_since(led_since) < interval {
                return Vec::new();
            }
            let enabled = fleet.servers().filter(|server| server.admin() == AdminState::Enabled);
            let unknown = enabled.filter(|server| server.sample.is_none() && server.health.is_some());
            unknown.map(|server| server.id().to_string()).collect()
        });
        (!names.is_empty()).then(|| format!("no load sample of {}: not placed on", names.join(", ")))
    }

    fn gray_failure(&self) -> Option<String> {
        let names: Vec<String> = self.placer.gray_failures().iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("polls of {} succeed, but users' calls fail", names.join(", ")))
    }
}

/// Notes since when a condition holds without a break.
fn keep(since: &mut Option<Instant>, holds: bool, now: Instant) {
    *since = if holds { since.or(Some(now)) } else { None };
}

fn figures(fleet: &Fleet, now: Instant) -> Vec<ServerFigures> {
    fleet
        .servers()
        .map(|server| ServerFigures {
            server: server.id().clone(),
            admin: server.admin(),
            health: server.colour(),
            meetings: fleet.record_count_on(server.id()),
            zombies: fleet.zombie_count_on(server.id()),
            sample_age: server.sample_age(now),
        })
        .collect()
}
