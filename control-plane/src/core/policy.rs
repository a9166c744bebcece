//! The settings on which the decisions of the core depend.

use std::time::Duration;

use usher_model::settings::{AdoptPolicy, PlacementSettings, Settings, VoiceSettings, ZombiePolicy};

/// The settings of the core. The replicas of one cluster should have equal values.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// HT: successful polls in a row until a server is online (H3); at least 1.
    pub healthy_threshold: u32,
    /// UT: failed polls until a server is offline (H16); at least 1, from settings at least 3.
    pub unhealthy_threshold: u32,
    /// I: the time between two polls of one server.
    pub interval: Duration,
    /// Share of failing servers, 0 to 1, above which no server becomes offline (H10).
    pub mass_failure_guard: f64,
    /// Time after which servers may become offline although most of them fail (H10).
    pub mass_hold: Duration,
    /// The settings of the choice of a server (E1).
    pub placement: PlacementSettings,
    /// Longest duration of a create at a server.
    pub create_timeout: Duration,
    /// The kinds of unknown meetings that are adopted (A5).
    pub adopt: AdoptPolicy,
    /// The treatment of meetings that were never superseded, when their server returns (A8).
    pub zombie_policy: ZombiePolicy,
    /// Time after which a zombie, or a record of an offline server, is abandoned.
    pub zombie_ttl: Duration,
    /// The numbers of voice bridges that may be assigned (ADR 14).
    pub voice: VoiceSettings,
}

impl Policy {
    /// Returns the policy of these settings.
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

    /// Returns the greatest age of a sample that placement trusts (E5).
    pub fn sample_max_age(&self) -> Duration {
        self.interval * 3
    }

    /// Returns the time after which a reservation that no poll confirmed is forgotten (E1).
    pub fn reservation_ttl(&self) -> Duration {
        self.interval * 3 + self.create_timeout
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}
