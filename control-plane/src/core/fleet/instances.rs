//! Whose instance is which, also of those that are over: what a server has to tell of a meeting may come
//! when its record is gone.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt, HashSet};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    server::ServerSample,
};

use super::Fleet;

/// How long an instance that is over is remembered.
const KEEP: Duration = Duration::from_hours(24);
/// How many are, at most.
const MOST: usize = 100_000;

/// Instances that are over.
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

    /// Remembers what one sample lists and the next does not. Breakout rooms are known by nothing else.
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

impl Fleet {
    /// Returns whose record or zombie on a server names an instance.
    pub fn key_of_instance(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let mut records = self.records_on(server).filter(|(_, stored)| stored.value.names(instance));
        let record = records.next().map(|(key, _)| key.clone());
        record.or_else(|| {
            let mut zombies = self.zombies_on(server);
            let named = zombies.find(|(_, stored)| stored.value.internal_id.as_ref() == Some(instance));
            named.map(|(key, _)| key.meeting)
        })
    }

    /// Returns whose an instance on a server is, or was within the last day as far as this replica has
    /// seen; none when it is of no tenant.
    pub fn instance_on(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let listed = || {
            let sample = self.server(server)?.sample.as_ref()?;
            sample.value.meetings.iter().find(|meeting| meeting.internal_id == *instance)?.key.clone()
        };
        let known = self.key_of_instance(server, instance).or_else(listed);
        known.or_else(|| self.ended.keys.get(instance).cloned())
    }
}
