//! The settings that decisions depend on.

use std::time::Duration;

use usher_model::settings::{AdoptPolicy, PlacementSettings, Settings, VoiceSettings, ZombiePolicy};

/// Settings of the core; replicas of one cluster should agree on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// HT: successful polls in a row to green; at least 1.
    pub healthy_threshold: u32,
    /// UT: failed polls to red; at least 1, of settings at least 3.
    pub unhealthy_threshold: u32,
    /// I: time between two polls of one server.
    pub interval: Duration,
    /// Share of failing servers above which nothing turns red; 0 to 1.
    pub mass_failure_guard: f64,
    /// Time after which servers may turn red although most of them fail.
    pub mass_hold: Duration,
    /// How servers are chosen.
    pub placement: PlacementSettings,
    /// Longest time a create at a server may take.
    pub create_timeout: Duration,
    /// Which unknown meetings are taken over.
    pub adopt: AdoptPolicy,
    /// What happens to never-superseded meetings of a server that returns.
    pub zombie_policy: ZombiePolicy,
    /// Time after which a zombie, or a record of an offline server, is given up.
    pub zombie_ttl: Duration,
    /// Numbers by which callers reach meetings.
    pub voice: VoiceSettings,
}

impl Policy {
    /// Takes the policy out of the settings.
    pub fn new(settings: &Settings) -> Self {
        let (health, meetings) = (&settings.health, &settings.meetings);
        Self {
            healthy_threshold: health.healthy_threshold.max(1),
            unhealthy_threshold: health.unhealthy_threshold(),
            interval: health.interval,
            mass_failure_guard: health.mass_failure_guard,
            mass_hold: health.mass_hold,
            placement: settings.placement.clone(),
            create_timeout: meetings.create_timeout,
            adopt: meetings.adopt,
            zombie_policy: meetings.zombie_policy,
            zombie_ttl: meetings.zombie_ttl,
            voice: settings.voice.clone(),
        }
    }

    /// Oldest sample that placement trusts (E5).
    pub fn sample_max_age(&self) -> Duration {
        self.interval * 3
    }

    /// Time after which a reservation that no poll confirmed is forgotten (E1).
    pub fn reservation_ttl(&self) -> Duration {
        self.interval * 3 + self.create_timeout
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}
