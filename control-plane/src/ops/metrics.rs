//! The control plane's metrics. Their names are a contract with dashboards and alerts (design 11).

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use usher_model::{
    id::ServerId,
    server::{AdminState, Health},
};

use super::{
    alarms::{Alarm, RaisedAlarms},
    labels::{OutcomeLabel, whole},
};
use crate::{core::upkeep::StoreSpace, ports::StoreError};

/// A gauge of a fractional value.
type Fraction = Gauge<f64, AtomicU64>;

/// The label `server`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServerLabels {
    server: String,
}

/// The labels `server` and `outcome` of polls and of `end` calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PollLabels {
    server: String,
    outcome: String,
}

/// The labels `server` and `health`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HealthLabels {
    server: String,
    health: String,
}

/// The label `name` of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AlarmLabels {
    name: String,
}

/// The labels `call` and `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreFailureLabels {
    call: &'static str,
    reason: &'static str,
}

/// The values of one server's gauges.
#[derive(Debug, Clone)]
pub struct ServerFigures {
    /// The server that the gauges describe.
    pub server: ServerId,
    /// The state that operators set.
    pub admin: AdminState,
    /// The result of the polls.
    pub health: Health,
    /// Number of records that live on the server.
    pub meetings: usize,
    /// Number of zombies on the server.
    pub zombies: usize,
    /// Age of the server's sample; `None` if there is no sample.
    pub sample_age: Option<Duration>,
}

/// The label `alarm` of the store's own alarms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreAlarmLabels {
    alarm: &'static str,
}

/// The metrics of the control plane; clones share them.
#[derive(Debug, Clone)]
pub struct ControlPlaneMetrics {
    alarm: Family<AlarmLabels, Gauge>,
    imbalance: Fraction,
    sample_age: Family<ServerLabels, Fraction>,
    poll_seconds: Histogram,
    polls: Family<PollLabels, Counter>,
    skipped: Family<ServerLabels, Counter>,
    health: Family<HealthLabels, Gauge>,
    meetings: Family<ServerLabels, Gauge>,
    zombies: Family<ServerLabels, Gauge>,
    rebuilds: Counter,
    store_failures: Family<StoreFailureLabels, Counter>,
    abandoned: Counter,
    ends: Family<PollLabels, Counter>,
    spared: Counter,
    placements: Family<OutcomeLabel, Counter>,
    leader: Gauge,
    edges: Gauge,
    revision: Gauge,
    space: SpaceGauges,
}

/// The store's use of its disk; 0, or not a number, for an unknown value.
#[derive(Debug, Clone, Default)]
struct SpaceGauges {
    taken: Gauge,
    in_use: Gauge,
    quota: Gauge,
    compacted: Fraction,
    defragmented: Fraction,
    alarm: Family<StoreAlarmLabels, Gauge>,
}

impl ControlPlaneMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            alarm: Family::default(),
            imbalance: Fraction::default(),
            sample_age: Family::default(),
            poll_seconds: Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0]),
            polls: Family::default(),
            skipped: Family::default(),
            health: Family::default(),
            meetings: Family::default(),
            zombies: Family::default(),
            spared: Counter::default(),
            rebuilds: Counter::default(),
            store_failures: Family::default(),
            abandoned: Counter::default(),
            ends: Family::default(),
            placements: Family::default(),
            leader: Gauge::default(),
            edges: Gauge::default(),
            revision: Gauge::default(),
            space: SpaceGauges::default(),
        };
        metrics.register(registry);
        for alarm in Alarm::ALL {
            metrics.alarm.get_or_create(&AlarmLabels { name: alarm.name().into() }).set(0);
        }
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("usher_alarm", "1 while the alarm is raised", self.alarm.clone());
        registry.register(
            "usher_placement_imbalance",
            "Largest effective load over the mean, over the servers that take meetings",
            self.imbalance.clone(),
        );
        registry.register(
            "usher_load_sample_age_seconds",
            "Time since the last successful poll",
            self.sample_age.clone(),
        );
        registry.register(
            "usher_poll_duration_seconds",
            "Duration of polls, retries included",
            self.poll_seconds.clone(),
        );
        registry.register("usher_polls", "Polls by server and outcome", self.polls.clone());
        registry.register(
            "usher_polls_skipped",
            "Polls left out because the previous one was still under way",
            self.skipped.clone(),
        );
        registry.register("usher_server_health", "1 for the server's health, else 0", self.health.clone());
        registry.register("usher_meetings", "Records by server", self.meetings.clone());
        registry.register("usher_zombies", "Zombies by server", self.zombies.clone());
        registry.register(
            "usher_rebuilds",
            "Losses of stored state that led to a rebuild",
            self.rebuilds.clone(),
        );
        registry.register(
            "usher_store_failures",
            "Failed calls to the store, by reason",
            self.store_failures.clone(),
        );
        registry.register(
            "usher_zombies_given_up",
            "Zombies and records of offline servers abandoned after zombie_ttl, or with their server",
            self.abandoned.clone(),
        );
        registry.register("usher_ends", "Calls that end a meeting, by server and outcome", self.ends.clone());
        registry.register("usher_placements", "Placements by outcome", self.placements.clone());
        registry.register(
            "usher_voice_bridges_spared",
            "Meetings that got a spare number because their range is exhausted",
            self.spared.clone(),
        );
        registry.register("usher_leader", "1 while this replica leads", self.leader.clone());
        registry.register("usher_edges", "Edges connected to this replica", self.edges.clone());
        let SpaceGauges { taken, in_use, quota, compacted, defragmented, alarm } = self.space.clone();
        compacted.set(f64::NAN);
        defragmented.set(f64::NAN);
        registry.register("usher_store_bytes", "Size of the store on its disk", taken);
        registry.register("usher_store_in_use_bytes", "Bytes of these that are in use", in_use);
        registry.register("usher_store_quota_bytes", "Size at which the store takes no more writes", quota);
        registry.register(
            "usher_store_compaction_age_seconds",
            "Time since this replica last compacted the store's history",
            compacted,
        );
        registry.register(
            "usher_store_defragmentation_age_seconds",
            "Time since this replica saw the file of a member of the store get smaller",
            defragmented,
        );
        registry.register("usher_store_alarm", "1 while the store itself has the alarm", alarm);
        registry.register(
            "usher_fleet_revision",
            "Store revision that this replica holds",
            self.revision.clone(),
        );
    }

    /// Counts a finished poll and its duration.
    pub fn polled(&self, server: &ServerId, outcome: &str, took: Duration) {
        let labels = PollLabels { server: server.to_string(), outcome: outcome.to_owned() };
        self.polls.get_or_create(&labels).inc();
        self.poll_seconds.observe(took.as_secs_f64());
    }

    /// Counts a poll that was left out because the previous one was under way.
    pub fn skipped(&self, server: &ServerId) {
        self.skipped.get_or_create(&ServerLabels { server: server.to_string() }).inc();
    }

    /// Counts a finished `end`.
    pub fn ended(&self, server: &ServerId, outcome: &str) {
        let labels = PollLabels { server: server.to_string(), outcome: outcome.to_owned() };
        self.ends.get_or_create(&labels).inc();
    }

    /// Counts a finished placement.
    pub fn placed(&self, outcome: &'static str) {
        self.placements.get_or_create(&OutcomeLabel::new(outcome)).inc();
    }

    /// Counts a meeting whose number is outside its tenant's range, because the range is exhausted.
    pub fn spared(&self) {
        self.spared.inc();
    }

    /// Counts a failed call to the store (C8).
    pub fn store_failed(&self, call: &'static str, error: &StoreError) {
        let reason = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Unknown(_) => "unknown",
            StoreError::Rejected(_) => "rejected",
        };
        self.store_failures.get_or_create(&StoreFailureLabels { call, reason }).inc();
    }

    /// Counts a loss of stored state.
    pub fn rebuilt(&self) {
        self.rebuilds.inc();
    }

    /// Counts zombies and detached records that were abandoned without a poll that saw them end.
    pub fn abandoned(&self, count: u64) {
        self.abandoned.inc_by(count);
    }

    /// Sets the gauge of leadership.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Sets the number of connected edges.
    pub fn edges(&self, count: usize) {
        self.edges.set(whole(count));
    }

    /// Sets the revision of the fleet.
    pub fn revision(&self, seq: u64) {
        self.revision.set(whole(seq));
    }

    /// Sets the store's use of its disk, the store's own alarms, and the ages of this replica's last
    /// compaction and of the last defragmentation that it saw.
    pub fn space(&self, space: &StoreSpace, compacted: Option<Duration>, defragmented: Option<Duration>) {
        for (alarm, is_raised) in [("nospace", space.no_space), ("corrupt", space.corrupt)] {
            self.space.alarm.get_or_create(&StoreAlarmLabels { alarm }).set(i64::from(is_raised));
        }
        self.space.defragmented.set(defragmented.map_or(f64::NAN, |age| age.as_secs_f64()));
        let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.space.taken.set(size(space.taken));
        self.space.in_use.set(size(space.in_use));
        self.space.quota.set(size(space.quota.unwrap_or_default()));
        self.space.compacted.set(compacted.map_or(f64::NAN, |age| age.as_secs_f64()));
    }

    /// Sets the imbalance of load.
    pub fn imbalance(&self, imbalance: f64) {
        self.imbalance.set(imbalance);
    }

    /// Sets the gauge of every alarm.
    pub fn alarms(&self, alarms: &RaisedAlarms) {
        let raised = alarms.raised();
        for alarm in Alarm::ALL {
            let value = raised.iter().any(|(name, _)| *name == alarm);
            self.alarm.get_or_create(&AlarmLabels { name: alarm.name().into() }).set(i64::from(value));
        }
    }

    /// Sets the gauges of each server, and removes those of the servers in `gone`.
    pub fn servers(&self, figures: &[ServerFigures], gone: &[ServerId]) {
        for id in gone {
            let server = ServerLabels { server: id.to_string() };
            for (_, name) in HEALTH_NAMES {
                self.health.remove(&HealthLabels { server: id.to_string(), health: name.into() });
            }
            self.meetings.remove(&server);
            self.zombies.remove(&server);
            self.sample_age.remove(&server);
        }
        for figure in figures {
            let server = ServerLabels { server: figure.server.to_string() };
            for (health, name) in HEALTH_NAMES {
                let shown = figure.admin != AdminState::Disabled && figure.health == health;
                let labels = HealthLabels { server: figure.server.to_string(), health: name.into() };
                self.health.get_or_create(&labels).set(i64::from(shown));
            }
            self.meetings.get_or_create(&server).set(whole(figure.meetings));
            self.zombies.get_or_create(&server).set(whole(figure.zombies));
            match figure.sample_age {
                Some(age) => {
                    self.sample_age.get_or_create(&server).set(age.as_secs_f64());
                }
                None => {
                    self.sample_age.remove(&server);
                }
            }
        }
    }
}

const HEALTH_NAMES: [(Health, &str); 3] =
    [(Health::Online, "online"), (Health::Unhealthy, "unhealthy"), (Health::Offline, "offline")];
