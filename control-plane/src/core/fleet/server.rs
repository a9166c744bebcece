//! One server with everything observed about it.

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use sha2::{Digest as _, Sha256};
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    server::{AdminState, Health, HealthRecord, SampleFreshness, Server, ServerSample},
    voice::VoiceBridge,
};

use crate::core::{health, load, persisted_age::PersistedAge, plan::Stored, policy::Policy};

/// A server, its health, its last sample and its load.
#[derive(Debug, Clone)]
pub struct FleetServer {
    /// What operators described.
    pub stored: Stored<Server>,
    /// Stored counters; none while no poll of a new server has ended.
    pub health_record: Option<Stored<HealthRecord>>,
    /// The last sample, with the watermark of the last poll that saw the same.
    pub sample: Option<Stored<ServerSample>>,
    /// When this replica heard of the last poll that saw it.
    pub sample_applied_at: Option<Instant>,
    /// What polls that saw the same have left; it says nothing of a sample that was written later.
    pub(super) freshness: Option<Stored<SampleFreshness>>,
    listed_at: Option<Instant>,
    /// Hash of the id, for ties between equal scores; the same on every replica.
    pub(in crate::core) tie_seed: u64,
    pub(super) pending: u32,
    /// When a pending record last came to it or was settled.
    pub(super) moved_at: Option<Instant>,
    pub(super) reserved: u64,
    pub(super) sampled: u64,
    pub(super) listed: HashSet<MeetingKey>,
    /// Numbers the sample lists, in order, each with the place of its meeting there.
    bridges: Vec<(VoiceBridge, usize)>,
    users_by_tenant: HashMap<TenantId, u64>,
    observed: Option<Health>,
    offline: Option<PersistedAge>,
    online_since: Option<Instant>,
    fresh: bool,
    /// A poll of it was written in this epoch, as far as this replica has seen.
    pub(super) asked_before: bool,
}

impl FleetServer {
    pub(super) fn new(stored: Stored<Server>) -> Self {
        Self {
            tie_seed: id_hash(stored.value.id.as_str()),
            stored,
            health_record: None,
            sample: None,
            sample_applied_at: None,
            freshness: None,
            listed_at: None,
            pending: 0,
            moved_at: None,
            reserved: 0,
            sampled: 0,
            listed: HashSet::default(),
            bridges: Vec::new(),
            users_by_tenant: HashMap::default(),
            observed: None,
            offline: None,
            online_since: None,
            fresh: true,
            asked_before: false,
        }
    }

    /// Returns the server's name.
    pub fn id(&self) -> &ServerId {
        &self.stored.value.id
    }

    /// Returns what operators decided.
    pub fn admin(&self) -> AdminState {
        self.stored.value.admin
    }

    /// Returns the weight, kept above 0 whatever is stored.
    pub fn weight(&self) -> f64 {
        let weight = self.stored.value.weight;
        if weight.is_finite() && weight > 0.0 { weight } else { 1.0 }
    }

    /// Returns what checks saw.
    pub fn health(&self) -> Health {
        self.observed.unwrap_or(Health::Unhealthy)
    }

    /// Returns how long it has been offline; none when it is not.
    pub fn offline(&self) -> Option<PersistedAge> {
        self.offline
    }

    /// Returns the predicted users of this server: those its last sample shows, young meetings
    /// counted at least with their floor, and those of meetings the sample cannot contain yet (E1).
    pub fn effective_load(&self) -> u64 {
        self.sampled + self.reserved
    }

    /// Returns the number of records on it that no server has confirmed.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// Returns how long no pending record has come to it or been settled; none when there was none.
    pub fn at_rest(&self, now: Instant) -> Option<Duration> {
        self.moved_at.map(|at| now.saturating_duration_since(at))
    }

    /// Returns the users its last sample shows, breakouts aside.
    pub fn users(&self) -> u64 {
        let meetings = self.sample.iter().flat_map(|sample| &sample.value.meetings);
        meetings.filter(|meeting| !meeting.breakout).map(|meeting| u64::from(meeting.participants)).sum()
    }

    /// Returns the users of one tenant that its last sample shows, breakouts aside.
    pub fn users_of(&self, tenant: &TenantId) -> u64 {
        self.users_by_tenant.get(tenant).copied().unwrap_or(0)
    }

    /// Visits the tenants of which its last sample shows a meeting.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.users_by_tenant.keys()
    }

    /// Tells whether its last sample lists a number, and not for `meeting` alone.
    pub fn lists_bridge_for_another(&self, bridge: VoiceBridge, meeting: &MeetingKey) -> bool {
        let first = self.bridges.partition_point(|(listed, _)| *listed < bridge);
        let listed = self.bridges[first..].iter().take_while(|(listed, _)| *listed == bridge);
        let meetings = self.sample.as_ref().map_or(&[][..], |sample| &sample.value.meetings);
        let mut keys = listed.filter_map(|(_, at)| meetings.get(*at)).map(load::listed_key);
        keys.any(|listed| listed.as_ref() != Some(meeting))
    }

    /// Returns how old the last sample is; none when there is none.
    pub fn sample_age(&self, now: Instant) -> Option<Duration> {
        self.sample_applied_at.map(|at| now.saturating_duration_since(at))
    }

    /// Returns when this replica applied the sample itself.
    pub fn listed_at(&self) -> Option<Instant> {
        self.listed_at
    }

    /// Returns since when it takes its first meetings after having been away (E3); none when it has
    /// long been online, or never was.
    pub fn online_since(&self) -> Option<Instant> {
        self.online_since
    }

    /// Tells whether it was asked in this epoch before, be it that it was disabled since and nothing of it is
    /// known any more.
    pub fn asked_before(&self) -> bool {
        self.asked_before
    }

    pub(super) fn set_server(&mut self, stored: Stored<Server>) {
        let was = self.stored.value.admin;
        self.fresh |= was == AdminState::Disabled && stored.value.admin != AdminState::Disabled;
        self.stored = stored;
    }

    pub(super) fn set_sample(&mut self, sample: Option<Stored<ServerSample>>, policy: &Policy, now: Instant) {
        self.sample_applied_at = sample.as_ref().map(|_| now);
        self.listed_at = self.sample_applied_at;
        let meetings = sample.as_ref().map_or(&[][..], |sample| &sample.value.meetings);
        self.sampled = meetings.iter().map(|meeting| load::sampled(meeting, &policy.placement)).sum();
        self.users_by_tenant = HashMap::default();
        for meeting in meetings.iter().filter(|meeting| !meeting.breakout) {
            if let Some(key) = &meeting.key {
                let users = self.users_by_tenant.entry(key.tenant.clone()).or_default();
                *users += u64::from(meeting.participants);
            }
        }
        let bridges = meetings.iter().enumerate();
        self.bridges = bridges.filter_map(|(at, meeting)| Some((meeting.voice_bridge?, at))).collect();
        self.bridges.sort_unstable();
        self.listed = meetings.iter().filter_map(load::listed_key).collect();
        self.sample = sample;
        self.freshen();
    }

    /// A poll saw what the sample lists.
    pub(super) fn set_freshness(&mut self, freshness: Option<Stored<SampleFreshness>>, now: Instant) {
        self.freshness = freshness;
        if self.freshen() {
            self.sample_applied_at = Some(now);
        }
    }

    /// Takes the watermark of a later poll over; tells whether there was one. In a listing it may come first.
    fn freshen(&mut self) -> bool {
        let (Some(sample), Some(fresh)) = (&mut self.sample, &self.freshness) else { return false };
        let later = fresh.modified > sample.modified;
        if later {
            sample.value.watermark = fresh.value.watermark;
        }
        later
    }

    /// Derives the health again and notes when the server came back (E3).
    pub(super) fn observe_health(&mut self, policy: &Policy, now: Instant) {
        let health = self.health_record.as_ref().map(|stored| &stored.value);
        let observed = health::health_of(health, policy);
        let offline = health.filter(|_| observed == Health::Offline);
        self.offline =
            offline.map(|record| PersistedAge::follow(self.offline, record.since_ms, record.stood_ms, now));
        let known = self.observed.is_some();
        if observed == Health::Online {
            if self.fresh && known {
                self.online_since = Some(now);
            }
            self.fresh = false;
        } else {
            self.fresh |= observed == Health::Offline || self.health_record.is_none();
            self.online_since = None;
        }
        self.observed = Some(observed);
    }
}

/// Returns the first eight bytes of a SHA-256: equal on every replica and in every version.
pub(in crate::core) fn id_hash(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
