//! The memory of the instances that have ended.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt, HashSet};
use usher_model::{id::InternalMeetingId, meeting::MeetingKey, server::ServerSample};

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
    /// Remembers the meeting of an instance, and forgets the instances that are too old or too many.
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

    /// Returns the meeting of an ended instance.
    pub(super) fn key_of(&self, instance: &InternalMeetingId) -> Option<&MeetingKey> {
        self.keys.get(instance)
    }
}

#[cfg(test)]
mod tests {
    use usher_model::meeting::MeetingRecord;

    use super::*;
    use crate::core::{
        plan::{FleetKey, PlanWrite},
        policy::Policy,
        testkit::{FleetBench, iid, key, record, sid},
    };

    #[test]
    fn an_instance_is_remembered_for_a_day_from_its_end_on() {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
        for max_users in [0, 5] {
            let running = MeetingRecord { max_users, ..record("a", "m-1") };
            bench.write(PlanWrite::Record(key("m"), running));
        }
        bench.pass(KEEP);
        bench.write(PlanWrite::Delete(FleetKey::Record(key("m"))));
        bench.pass(KEEP / 2);
        bench.write(PlanWrite::Record(key("n"), record("a", "n-1")));
        bench.write(PlanWrite::Delete(FleetKey::Record(key("n"))));
        for (meeting, instance) in [("m", "m-1"), ("n", "n-1")] {
            assert_eq!(bench.fleet.instance_on(&sid("a"), &iid(instance)), Some(key(meeting)));
        }
        bench.pass(KEEP);
        bench.write(PlanWrite::Record(key("o"), record("a", "o-1")));
        bench.write(PlanWrite::Delete(FleetKey::Record(key("o"))));
        assert_eq!(bench.fleet.instance_on(&sid("a"), &iid("m-1")), None);
    }
}
