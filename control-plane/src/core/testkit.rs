//! Tools of the core's tests: a store double that decides plans exactly as a store does, and short ways
//! to describe servers, meetings and samples.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, ZombieKey},
    server::{AdminState, HealthRecord, SampledMeeting, Server, ServerSample},
};

use super::{
    families::with_families,
    fleet::Fleet,
    now::Now,
    placement::{PlacementRequest, TagWish, WhenFull},
    plan::{FleetEvent, FleetKey, Plan, PlanGuard, PlanWrite, Stored},
    policy::Policy,
};

/// A store that holds everything in memory and remembers its history.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestStore {
    pub(crate) revision: u64,
    pub(crate) values: BTreeMap<FleetKey, FleetEvent>,
    pub(crate) log: Vec<(u64, Vec<FleetEvent>)>,
    revisions: BTreeMap<FleetKey, (u64, u64)>,
}

impl TestStore {
    /// Decides a plan; `false` when a guard failed.
    pub(crate) fn commit(&mut self, plan: &Plan) -> bool {
        let holds = |guard: &PlanGuard| match guard {
            PlanGuard::Absent(key) => !self.revisions.contains_key(key),
            PlanGuard::Unchanged(key, seen) => {
                self.revisions.get(key).is_some_and(|(_, modified)| modified == seen)
            }
        };
        if !plan.guards.iter().all(holds) {
            return false;
        }
        let keys: std::collections::BTreeSet<FleetKey> = plan.writes.iter().map(PlanWrite::key).collect();
        assert_eq!(keys.len(), plan.writes.len(), "a plan writes a key twice: {plan:?}");
        self.revision += 1;
        let mut events = Vec::new();
        for write in &plan.writes {
            let key = write.key();
            if let PlanWrite::Delete(_) = write {
                if self.revisions.remove(&key).is_some() {
                    self.values.remove(&key);
                    events.push(FleetEvent::deleted(key));
                }
                continue;
            }
            let created = self.revisions.get(&key).map_or(self.revision, |(created, _)| *created);
            self.revisions.insert(key.clone(), (created, self.revision));
            let event = put(write, created, self.revision);
            self.values.insert(key, event.clone());
            events.push(event);
        }
        self.log.push((self.revision, events));
        true
    }

    pub(crate) fn listing(&self) -> Vec<FleetEvent> {
        self.values.values().cloned().collect()
    }

    /// Brings a fleet up to this store's present, revision by revision.
    pub(crate) fn catch_up(&self, fleet: &mut Fleet, now: Instant) {
        for (revision, events) in &self.log {
            if *revision > fleet.revision().seq {
                fleet.apply(*revision, events.clone(), now);
            }
        }
    }
}

macro_rules! put_events {
    ($($(#[$doc:meta])* $family:ident($key:ty) => $value:ty;)*) => {
        fn put(write: &PlanWrite, created: u64, modified: u64) -> FleetEvent {
            match write.clone() {
                $(PlanWrite::$family(key, value) => {
                    FleetEvent::$family(key, Some(Stored { value, created, modified }))
                })*
                PlanWrite::Delete(_) => unreachable!("deletions are told apart before"),
            }
        }
    };
}

with_families!(put_events);

/// A store with one fleet that is always up to date, and a clock that moves only on request.
pub(crate) struct FleetBench {
    pub(crate) store: TestStore,
    pub(crate) fleet: Fleet,
    pub(crate) now: Now,
}

impl FleetBench {
    pub(crate) fn new(policy: Policy) -> Self {
        let now = Now { instant: Instant::now(), wall_ms: 1_700_000_000_000 };
        Self { store: TestStore::default(), fleet: Fleet::new(7, policy), now }
    }

    /// A fleet of enabled, online, idle servers that have long been so.
    pub(crate) fn with_servers(policy: Policy, ids: &[&str]) -> Self {
        let mut bench = Self::new(policy);
        let mut plan = Plan::default();
        for id in ids {
            plan.writes.push(PlanWrite::server(server(id)));
            plan.writes.push(PlanWrite::Health(sid(id), online(&bench.fleet)));
            plan.writes.push(PlanWrite::Sample(sid(id), sample(0, &[])));
        }
        assert!(bench.commit(&plan));
        bench
    }

    pub(crate) fn commit(&mut self, plan: &Plan) -> bool {
        let committed = self.store.commit(plan);
        self.store.catch_up(&mut self.fleet, self.now.instant);
        committed
    }

    pub(crate) fn write(&mut self, write: PlanWrite) {
        assert!(self.commit(&Plan { guards: Vec::new(), writes: vec![write] }));
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
    }

    pub(crate) fn offline(&mut self, id: &str) {
        let error = self.fleet.policy().unhealthy_threshold;
        self.write(PlanWrite::Health(sid(id), health(0, error)));
    }

    pub(crate) fn unhealthy(&mut self, id: &str) {
        self.write(PlanWrite::Health(sid(id), health(0, 1)));
    }

    pub(crate) fn online(&mut self, id: &str) {
        let record = online(&self.fleet);
        self.write(PlanWrite::Health(sid(id), record));
    }
}

fn online(fleet: &Fleet) -> HealthRecord {
    health(fleet.policy().healthy_threshold, 0)
}

pub(crate) fn health(recover: u32, error: u32) -> HealthRecord {
    HealthRecord {
        recover,
        error,
        since_ms: 0,
        reason: String::new(),
        flapped_at_ms: Vec::new(),
        stood_ms: 0,
        calls_failed_at_ms: Vec::new(),
    }
}

pub(crate) fn sid(id: &str) -> ServerId {
    ServerId::parse(id).unwrap()
}

pub(crate) fn key(id: &str) -> MeetingKey {
    MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).unwrap())
}

pub(crate) fn zkey(meeting: &str, server: &str) -> ZombieKey {
    ZombieKey { meeting: key(meeting), server: sid(server) }
}

pub(crate) fn iid(id: &str) -> InternalMeetingId {
    InternalMeetingId::parse(id).unwrap()
}

pub(crate) fn to_place(id: &str) -> PlacementRequest {
    PlacementRequest {
        key: key(id),
        max_users: 0,
        size_hint: 0,
        excluded: Vec::new(),
        tag: TagWish::default(),
        when_full: WhenFull::default(),
    }
}

pub(crate) fn server(id: &str) -> Server {
    Server {
        id: sid(id),
        url: format!("https://{id}.example.org/bigbluebutton/api/"),
        secret: Secret::new("secret"),
        weight: 1.0,
        tags: Vec::new(),
        admin: AdminState::Enabled,
        algorithm: ChecksumAlgorithm::Sha256,
        created_at_ms: 0,
        former_of: None,
        created_by: None,
    }
}

/// A confirmed record of an instance.
pub(crate) fn record(server: &str, instance: &str) -> MeetingRecord {
    MeetingRecord {
        state: RecordState::Active { internal_id: iid(instance), create_time_ms: 1 },
        server: sid(server),
        token: "t".to_owned(),
        request_digest: Box::default(),
        created_at_ms: 0,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    }
}

/// A sample that lists old meetings of tenant `default`, each as (meeting, instance).
pub(crate) fn sample(watermark: u64, meetings: &[(&str, &str)]) -> ServerSample {
    let meetings = meetings.iter().map(|(id, instance)| listed(id, instance)).collect();
    ServerSample { watermark, taken_at_ms: 0, meetings, bbb_version: String::new(), term: 0 }
}

pub(crate) fn listed(id: &str, instance: &str) -> SampledMeeting {
    SampledMeeting {
        key: Some(key(id)),
        claim: None,
        external_id: id.into(),
        internal_id: iid(instance),
        participants: 0,
        age_ms: 3_600_000,
        max_users: 0,
        size_hint: 0,
        breakout: false,
        named: false,
        voice_bridge: None,
        moderator_password: None,
    }
}
