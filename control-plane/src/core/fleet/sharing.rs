//! Ids that the fleet holds once. Each stored value is read with copies of its ids, a million of them
//! for one tenant; an event that is folded gets the copies that the fleet has already.

use usher_model::{
    id::{ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    server::{SampledMeeting, ServerSample},
};

use super::Fleet;

impl Fleet {
    /// Returns the key of a record with the ids that the fleet holds.
    pub(super) fn shared_key(&self, key: MeetingKey) -> MeetingKey {
        match self.records.get_shared(&key) {
            Some((own, _)) => own.clone(),
            None => MeetingKey::new(self.shared_tenant(key.tenant), key.meeting),
        }
    }

    /// Replaces ids in the record of `key` by those that the fleet holds.
    pub(super) fn share_record(&self, key: &MeetingKey, record: &mut MeetingRecord) {
        let known = self.records.get(key).and_then(|entry| entry.stored.value.state.internal_id());
        if let RecordState::Active { internal_id, .. } = &mut record.state
            && let Some(known) = known.filter(|known| *known == internal_id)
        {
            *internal_id = known.clone();
        }
        if let Some(own) = self.shared_server(&record.server) {
            record.server = own.clone();
        }
    }

    /// Replaces ids in a sample by those of the records.
    pub(super) fn share_sample(&self, sample: &mut ServerSample) {
        for SampledMeeting { key, external_id, internal_id, .. } in &mut sample.meetings {
            let Some(key) = key else { continue };
            match self.records.get_shared(key) {
                Some((own, entry)) => {
                    if external_id.as_str() == own.meeting.as_str() {
                        *external_id = (&own.meeting).into();
                    }
                    *key = own.clone();
                    let known = entry.stored.value.state.internal_id();
                    if let Some(known) = known.filter(|known| *known == internal_id) {
                        *internal_id = known.clone();
                    }
                }
                None => key.tenant = self.shared_tenant(key.tenant.clone()),
            }
        }
    }

    fn shared_tenant(&self, tenant: TenantId) -> TenantId {
        let own = self.tenants.get_key_value(&tenant).map(|(own, _)| own);
        own.or_else(|| self.records.shared_tenant(&tenant)).cloned().unwrap_or(tenant)
    }

    fn shared_server(&self, server: &ServerId) -> Option<&ServerId> {
        let own = self.servers.get_key_value(server).map(|(own, _)| own);
        own.or_else(|| self.records.shared_server(server))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::core::{
        plan::{FleetEvent, Stored},
        policy::Policy,
        testkit::{self, key, record, sample},
    };

    fn stored<T>(value: T, modified: u64) -> Option<Stored<T>> {
        Some(Stored { value, created: modified, modified })
    }

    #[test]
    fn a_listing_holds_each_id_once() {
        let mut fleet = Fleet::new(1, Policy::default());
        let server = testkit::server("a");
        let events = [
            FleetEvent::Sample(server.id.clone(), stored(sample(3, &[("m", "m-1"), ("n", "n-1")]), 4)),
            FleetEvent::Record(key("m"), stored(record("a", "m-1"), 2)),
            FleetEvent::Record(key("n"), stored(record("a", "n-1"), 3)),
            FleetEvent::Server(server.id.clone(), stored(server, 1)),
        ];
        fleet.apply(4, events, Instant::now());
        let is_one = |a: &str, b: &str| std::ptr::eq(a, b);
        let [m, n] = ["m", "n"].map(|id| fleet.records.get_shared(&key(id)).unwrap());
        assert!(is_one(m.0.tenant.as_str(), n.0.tenant.as_str()));
        assert!(is_one(m.1.stored.value.server.as_str(), n.1.stored.value.server.as_str()));
        let listed = &fleet.servers().next().unwrap().sample.as_ref().unwrap().value.meetings;
        for (meeting, (key, entry)) in listed.iter().zip([m, n]) {
            assert!(is_one(meeting.key.as_ref().unwrap().meeting.as_str(), key.meeting.as_str()));
            let instance = entry.stored.value.state.internal_id().unwrap();
            assert!(is_one(meeting.internal_id.as_str(), instance.as_str()));
            assert!(is_one(meeting.external_id.as_str(), key.meeting.as_str()));
            let route = fleet.routing.meeting(key).unwrap();
            assert!(is_one(route.key.meeting.as_str(), key.meeting.as_str()));
            assert!(is_one(route.server.as_str(), entry.stored.value.server.as_str()));
        }
        let before = m.0.meeting.as_str().as_ptr();
        fleet.apply(5, [FleetEvent::Record(key("m"), stored(record("a", "m-1"), 5))], Instant::now());
        assert_eq!(fleet.records.get_shared(&key("m")).unwrap().0.meeting.as_str().as_ptr(), before);
    }
}
