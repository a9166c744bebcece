//! One server of the fleet, with the values that a replica derives from its stored entries.

use std::time::{Duration, Instant};

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};
use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    server::{AdminState, Health, HealthRecord, SampledMeeting, Server, ServerSample},
    voice::VoiceBridge,
};

use crate::core::{health, load, persisted_age::PersistedAge, plan::Stored, policy::Policy};

/// A server with its health, its last sample and its load.
#[derive(Debug, Clone)]
pub struct FleetServer {
    /// The entry that operators wrote: address, secret, weight, tags and admin state.
    pub stored: Stored<Server>,
    /// Stored health counters; `None` until the first poll of a new server has ended.
    pub health_record: Option<Stored<HealthRecord>>,
    /// The last sample that was written. Later polls may have found no relevant difference (ADR 20).
    pub sample: Option<Stored<ServerSample>>,
    /// When this replica applied the sample, or last knew that a later poll found no difference from
    /// it (ADR 34).
    pub(super) sample_applied_at: Option<Instant>,
    listed_at: Option<Instant>,
    /// Hash of the id, which breaks ties between equal scores; the same on every replica (F4).
    pub(in crate::core) tie_seed: u64,
    pub(super) pending: u32,
    pub(super) unanswered: u32,
    /// When a create was last sent to the server, or answered.
    pub(super) moved_at: Option<Instant>,
    pub(super) reserved: u64,
    pub(super) sampled: u64,
    /// Meetings that the sample lists, in ascending order.
    listed_keys: Vec<MeetingKey>,
    /// Voice bridges that the sample lists, in ascending order, each with the index of its meeting
    /// in the sample.
    bridges: Vec<(VoiceBridge, u32)>,
    /// Indexes of the meetings in the sample, in the order of their internal ids.
    by_instance: Vec<u32>,
    users: u64,
    users_by_tenant: HashMap<TenantId, u64>,
    observed: Option<Health>,
    offline: Option<PersistedAge>,
    online_since: Option<Instant>,
    fresh: bool,
    /// Whether this replica has seen a poll of the server that was written in this epoch.
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
            listed_at: None,
            pending: 0,
            unanswered: 0,
            moved_at: None,
            reserved: 0,
            sampled: 0,
            listed_keys: Vec::new(),
            bridges: Vec::new(),
            by_instance: Vec::new(),
            users: 0,
            users_by_tenant: HashMap::default(),
            observed: None,
            offline: None,
            online_since: None,
            fresh: true,
            asked_before: false,
        }
    }

    /// Returns the id under which operators entered the server.
    pub fn id(&self) -> &ServerId {
        &self.stored.value.id
    }

    /// Returns the admin state that operators set.
    pub fn admin(&self) -> AdminState {
        self.stored.value.admin
    }

    /// Returns the weight, always above 0 and finite. An unusable stored weight counts as 1,
    /// because the score divides by it (E1).
    pub fn weight(&self) -> f64 {
        let weight = self.stored.value.weight;
        if weight.is_finite() && weight > 0.0 { weight } else { 1.0 }
    }

    /// Returns the health as derived from the counters; unhealthy before they were first read, so
    /// that a server takes no meetings before its first good poll (A8).
    pub fn health(&self) -> Health {
        self.observed.unwrap_or(Health::Unhealthy)
    }

    /// Returns how long the server has been offline; `None` while it is not offline.
    pub fn offline(&self) -> Option<PersistedAge> {
        self.offline
    }

    /// Returns the predicted users of the server (E1): the users that its last sample lists, young
    /// meetings with at least their floor, and the reservations of meetings that the sample cannot
    /// contain yet.
    pub fn effective_load(&self) -> u64 {
        self.sampled + self.reserved
    }

    /// Returns the number of PENDING records on the server.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// Returns the number of creates that the server has not answered (F5): those of the PENDING
    /// records, and those whose meetings a poll listed before the server answered. A create whose
    /// edge died counts until its deadline.
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Returns how long no create was sent to the server or answered by it; `None` if none ever was.
    pub fn at_rest(&self, now: Instant) -> Option<Duration> {
        self.moved_at.map(|at| now.saturating_duration_since(at))
    }

    /// Returns the users that the last sample lists, without those in breakout rooms, who are
    /// counted in the parent meeting.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// Returns the meeting of an instance, if the last sample lists it.
    pub fn listed(&self, instance: &InternalMeetingId) -> Option<&SampledMeeting> {
        let meetings = &self.sample.as_ref()?.value.meetings;
        let id_at = |at: &u32| meetings.get(*at as usize).map(|meeting| &meeting.internal_id);
        let place = self.by_instance.partition_point(|at| id_at(at) < Some(instance));
        let found = meetings.get(*self.by_instance.get(place)? as usize)?;
        (found.internal_id == *instance).then_some(found)
    }

    /// Returns whether the last sample lists a meeting, as far as its key is known.
    pub(super) fn lists(&self, meeting: &MeetingKey) -> bool {
        self.listed_keys.binary_search(meeting).is_ok()
    }

    /// Returns the users of one tenant that the last sample lists, without those in breakout rooms.
    pub fn users_of(&self, tenant: &TenantId) -> u64 {
        self.users_by_tenant.get(tenant).copied().unwrap_or(0)
    }

    /// Returns the users of each tenant that the last sample lists, as [`FleetServer::users_of`].
    pub(super) fn users_by_tenant(&self) -> &HashMap<TenantId, u64> {
        &self.users_by_tenant
    }

    /// Visits the tenants of the meetings in the last sample.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.users_by_tenant.keys()
    }

    /// Returns whether the last sample lists a voice bridge for another meeting than `meeting`.
    pub fn lists_bridge_for_another(&self, bridge: VoiceBridge, meeting: &MeetingKey) -> bool {
        let first = self.bridges.partition_point(|(listed, _)| *listed < bridge);
        let listed = self.bridges[first..].iter().take_while(|(listed, _)| *listed == bridge);
        let meetings = self.sample.as_ref().map_or(&[][..], |sample| &sample.value.meetings);
        let mut keys = listed.filter_map(|(_, at)| meetings.get(*at as usize)).map(load::listed_key);
        keys.any(|listed| listed.as_ref() != Some(meeting))
    }

    /// Returns the age of the last sample, or the time since this replica last knew that a later poll
    /// found no difference from it; `None` without a sample. On a replica that does not lead, that
    /// poll may have been made up to one interval earlier (ADR 34).
    pub fn sample_age(&self, now: Instant) -> Option<Duration> {
        self.sample_applied_at.map(|at| now.saturating_duration_since(at))
    }

    /// Returns when this replica applied the sample itself, not a later poll that found no
    /// difference.
    pub fn listed_at(&self) -> Option<Instant> {
        self.listed_at
    }

    /// Returns the start of the server's slow start (E3): when it became online from offline, for the
    /// first time or after it was enabled. Returns `None` while it is not online, and if it was online
    /// when this replica first read it.
    pub fn online_since(&self) -> Option<Instant> {
        self.online_since
    }

    /// Returns whether a poll of the server was written earlier in this epoch, even if its sample
    /// was deleted since because the server was disabled.
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
        let bridges = (0..).zip(meetings);
        self.bridges = bridges.filter_map(|(at, meeting)| Some((meeting.voice_bridge?, at))).collect();
        self.bridges.sort_unstable();
        self.listed_keys = meetings.iter().filter_map(load::listed_key).collect();
        self.listed_keys.sort_unstable();
        self.listed_keys.shrink_to_fit();
        self.bridges.shrink_to_fit();
        let users = meetings.iter().filter(|meeting| !meeting.breakout);
        self.users = users.map(|meeting| u64::from(meeting.participants)).sum();
        // A stable sort: of two entries of one instance, the first in the list is found.
        self.by_instance = (0..u32::try_from(meetings.len()).unwrap_or(u32::MAX)).collect();
        self.by_instance.sort_by_key(|at| &meetings[*at as usize].internal_id);
        self.sample = sample;
    }

    /// Derives the health from the counters, and notes when the server became online (E3).
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

/// Returns the first eight bytes of the SHA-256 of `text` as a number. It is equal on every replica
/// and in every version, unlike the standard hasher, so that all replicas break ties alike (F4).
pub(in crate::core) fn id_hash(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
