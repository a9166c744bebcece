//! The meeting of each instance, also of instances that have ended: a callback or event of a server
//! may arrive after the record was removed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt, HashSet};
use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    scope::TenantScope,
    server::ServerSample,
};

use super::Fleet;
use crate::core::plan::Stored;

/// How long an ended instance is remembered.
const KEEP: Duration = Duration::from_hours(24);
/// How many ended instances are remembered at most, so that the memory is bounded.
const MOST: usize = 100_000;

/// Instances that have ended, with their meetings, oldest first in `order`.
#[derive(Debug, Clone)]
pub(super) struct EndedInstances {
    keys: HashMap<InternalMeetingId, MeetingKey>,
    order: VecDeque<(Instant, InternalMeetingId)>,
}

impl Default for EndedInstances {
    fn default() -> Self {
        Self { keys: HashMap::new(), order: VecDeque::new() }
    }
}

impl EndedInstances {
    pub(super) fn remember(&mut self, instance: &InternalMeetingId, key: &MeetingKey, now: Instant) {
        if self.keys.insert(instance.clone(), key.clone()).is_none() {
            self.order.push_back((now, instance.clone()));
        }
        let is_old = |at: Instant| now.saturating_duration_since(at) > KEEP;
        while self.order.len() > MOST || self.order.front().is_some_and(|(at, _)| is_old(*at)) {
            let Some((_, instance)) = self.order.pop_front() else { break };
            self.keys.remove(&instance);
        }
    }

    /// Remembers the instances that `before` lists and `after` does not. Breakout rooms that a
    /// server made have no record, so the samples are the only source for them.
    pub(super) fn compare(&mut self, before: &ServerSample, after: Option<&ServerSample>, now: Instant) {
        let after = after.map_or(&[][..], |sample| &sample.meetings);
        let still: HashSet<&InternalMeetingId> = after.iter().map(|meeting| &meeting.internal_id).collect();
        for meeting in &before.meetings {
            if let Some(key) = meeting.key.as_ref().filter(|_| !still.contains(&meeting.internal_id)) {
                self.remember(&meeting.internal_id, key, now);
            }
        }
    }
}

/// Returns the part before the time of the internal id that a record has. The server of an
/// unconfirmed meeting will make it of the `meetingID` that it gets (wire-contract 4.2).
pub(super) fn stem(key: &MeetingKey, record: &MeetingRecord) -> String {
    match record.state.internal_id() {
        Some(instance) => stem_of(instance.as_str()).to_owned(),
        None => TenantScope::of(&key.tenant).instance_stem(key.meeting.as_str()),
    }
}

fn stem_of(instance: &str) -> &str {
    instance.rsplit_once('-').map_or(instance, |(stem, _)| stem)
}

impl Fleet {
    /// Returns the record of a tenant's meeting that has an internal id, or may have it: its create
    /// is not confirmed, and the id is made of its `meetingID`. The caller may have the id from the
    /// answer to the create, whose confirmation is under way.
    pub fn record_of_instance(
        &self,
        tenant: &TenantId,
        instance: &str,
    ) -> Option<(&MeetingKey, &Stored<MeetingRecord>)> {
        let has_time =
            instance.rsplit_once('-').is_some_and(|(_, time)| time.bytes().all(|byte| byte.is_ascii_digit()));
        let stem = stem_of(instance);
        let named = |(key, stored): &(&MeetingKey, &Stored<MeetingRecord>)| match &stored.value.state {
            RecordState::Active { internal_id, .. } => internal_id.as_str() == instance,
            RecordState::Pending => has_time && self::stem(key, &stored.value) == stem,
            RecordState::Ending { .. } => false,
        };
        let records = self.records.by_stem(tenant, stem).filter(|key| key.tenant == *tenant);
        records.filter_map(|key| Some((key, self.record(key)?))).find(named)
    }

    /// Returns the meeting whose record or zombie on a server names an instance.
    pub fn key_of_instance(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let mut records = self.records_on(server).filter(|(_, stored)| stored.value.names(instance));
        let record = records.next().map(|(key, _)| key.clone());
        record.or_else(|| {
            let mut zombies = self.zombies_on(server);
            let named = zombies.find(|(_, stored)| stored.value.internal_id.as_ref() == Some(instance));
            named.map(|(key, _)| key.meeting)
        })
    }

    /// Returns the meeting of an instance that runs on a server, or ended within the last 24 h as
    /// far as this replica has seen; `None` if the meeting has no tenant.
    pub fn instance_on(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let listed = || self.server(server)?.listed(instance)?.key.clone();
        let known = self.key_of_instance(server, instance).or_else(listed);
        known.or_else(|| self.ended.keys.get(instance).cloned())
    }
}
