//! Ids that the events of one listing share. Each stored value is read with copies of its ids: those
//! of tenants and servers are in a listing for each meeting, and those of a meeting twice, once in a
//! sample and then in a record. Copies that live until the listing is applied would leave holes in
//! the memory between the values that stay.

use std::hash::Hash;

use foldhash::HashSet;
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::RecordState,
    server::SampledMeeting,
};

use crate::core::plan::FleetEvent;

/// The ids that were read so far.
#[derive(Debug, Default)]
pub struct SharedIds {
    tenants: HashSet<TenantId>,
    servers: HashSet<ServerId>,
    meetings: HashSet<MeetingId>,
    instances: HashSet<InternalMeetingId>,
}

impl SharedIds {
    /// Replaces ids of an event by those of earlier events.
    pub(super) fn share(&mut self, event: &mut FleetEvent) {
        match event {
            FleetEvent::Sample(_, Some(stored)) => {
                for meeting in &mut stored.value.meetings {
                    self.share_sampled(meeting);
                }
            }
            FleetEvent::Record(key, stored) => {
                share(&mut self.tenants, &mut key.tenant);
                share(&mut self.meetings, &mut key.meeting);
                let Some(stored) = stored else { return };
                share(&mut self.servers, &mut stored.value.server);
                if let RecordState::Active { internal_id, .. } = &mut stored.value.state {
                    share(&mut self.instances, internal_id);
                }
            }
            _ => {}
        }
    }

    fn share_sampled(&mut self, meeting: &mut SampledMeeting) {
        share(&mut self.instances, &mut meeting.internal_id);
        let Some(key) = &mut meeting.key else { return };
        share(&mut self.tenants, &mut key.tenant);
        share(&mut self.meetings, &mut key.meeting);
        if meeting.external_id.as_str() == key.meeting.as_str() {
            meeting.external_id = (&key.meeting).into();
        }
    }
}

fn share<I: Hash + Eq + Clone>(known: &mut HashSet<I>, id: &mut I) {
    match known.get(id) {
        Some(known) => *id = known.clone(),
        None => {
            known.insert(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        plan::Stored,
        testkit::{key, record, sample, sid},
    };

    fn is_one(a: &impl AsRef<str>, b: &impl AsRef<str>) -> bool {
        std::ptr::eq(a.as_ref(), b.as_ref())
    }

    #[test]
    fn a_sample_and_its_records_share_their_ids() {
        let mut ids = SharedIds::default();
        let stored = |value| Some(Stored { value, created: 1, modified: 1 });
        let listed = Stored { value: sample(0, &[("m", "m-1"), ("n", "n-1")]), created: 1, modified: 1 };
        let mut events = [
            FleetEvent::Sample(sid("a"), Some(listed)),
            FleetEvent::Record(key("m"), stored(record("a", "m-1"))),
            FleetEvent::Record(key("n"), stored(record("a", "other"))),
        ];
        let before = events.clone();
        for event in &mut events {
            ids.share(event);
        }
        assert_eq!(events, before);
        let [FleetEvent::Sample(_, Some(sample)), of_meetings @ ..] = &events else {
            panic!("the kinds stay: {events:?}");
        };
        let [FleetEvent::Record(m, Some(of_m)), FleetEvent::Record(n, Some(of_n))] = of_meetings else {
            panic!("the kinds stay: {events:?}");
        };
        let listed = &sample.value.meetings;
        let keys = [&listed[0], &listed[1]].map(|meeting| meeting.key.as_ref().expect("is marked"));
        assert!(is_one(&keys[0].meeting, &m.meeting) && is_one(&listed[0].external_id, &m.meeting));
        assert!(is_one(&keys[1].meeting, &n.meeting) && is_one(&keys[1].tenant, &m.tenant));
        assert!(is_one(&m.tenant, &n.tenant) && is_one(&of_m.value.server, &of_n.value.server));
        assert!(is_one(&listed[0].internal_id, of_m.value.state.internal_id().expect("runs")));
        assert!(!is_one(&listed[1].internal_id, of_n.value.state.internal_id().expect("runs")));
    }
}
