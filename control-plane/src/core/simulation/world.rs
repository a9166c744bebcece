//! The state of a simulated cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, RecordState, ZombieState},
    server::{AdminState, Health, ServerSample},
    settings::{PlacementSettings, ZombiePolicy},
};

use crate::core::{
    fleet::Fleet,
    health,
    lifecycle::{CreateAnswer, CreateCertainty, OperationProgress, panic_server},
    plan::{FleetEvent, FleetKey, Plan, PlanWrite},
    policy::Policy,
    testkit::{self, FleetBench, TestStore, iid, key, sid},
};

pub(super) const SERVERS: [&str; 3] = ["a", "b", "c"];
pub(super) const MEETINGS: [&str; 2] = ["m", "n"];

/// Where a create has got to.
#[derive(Debug, Clone)]
pub(super) enum Create {
    /// A plan waits for its commit.
    Placing { meeting: MeetingKey, token: String, server: ServerId, plan: Plan },
    /// The request travels to the server.
    Sent { meeting: MeetingKey, token: Option<String>, server: ServerId },
    /// The answer travels back, or waits for its confirmation to be written.
    Answered { meeting: MeetingKey, answer: CreateAnswer },
    /// The result waits for its write.
    Abandoning { meeting: MeetingKey, token: String, server: ServerId, certainty: CreateCertainty },
}

/// A poll under way.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    pub(super) watermark: u64,
    pub(super) sent_at: std::time::Instant,
    pub(super) seen: Option<ServerSample>,
}

pub(super) struct World {
    pub(super) store: TestStore,
    pub(super) replicas: [Fleet; 2],
    pub(super) now: crate::core::now::Now,
    /// The running instances of each server, by `meetingID`.
    pub(super) live: BTreeMap<(ServerId, MeetingKey), InternalMeetingId>,
    pub(super) creates: Vec<Create>,
    /// Requests without a waiting caller.
    pub(super) orphans: Vec<(ServerId, MeetingKey)>,
    pub(super) polls: BTreeMap<ServerId, Poll>,
    /// Leader plans that wait for their commit.
    pub(super) plans: Vec<Plan>,
    pub(super) ends: Vec<(ServerId, InternalMeetingId)>,
    pub(super) acked: BTreeSet<InternalMeetingId>,
    /// Instances that were superseded, or requested to end.
    pub(super) released: BTreeSet<InternalMeetingId>,
    pub(super) next: u64,
    pub(super) violation: Option<String>,
    pub(super) tracing: bool,
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u32) -> Self {
        let policy = Policy {
            create_timeout: Duration::from_secs(30),
            zombie_policy: ZombiePolicy::Restore,
            placement: PlacementSettings { panic_threshold: 0.0, ..PlacementSettings::default() },
            ..Policy::default()
        };
        let servers = 2 + (seed as usize % 2);
        let bench = FleetBench::with_servers(policy, &SERVERS[..servers]);
        Self {
            replicas: [bench.fleet.clone(), bench.fleet],
            store: bench.store,
            now: bench.now,
            live: BTreeMap::new(),
            creates: Vec::new(),
            orphans: Vec::new(),
            polls: BTreeMap::new(),
            plans: Vec::new(),
            ends: Vec::new(),
            acked: BTreeSet::new(),
            released: BTreeSet::new(),
            next: 1,
            violation: None,
            tracing: false,
            trace: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            self.trace.push(line());
        }
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.violation.clone().map_or(Ok(()), Err)
    }

    pub(super) fn fail(&mut self, text: String) {
        self.violation.get_or_insert(text);
    }

    pub(super) fn servers(&self) -> Vec<ServerId> {
        self.replicas[0].servers().map(|server| server.id().clone()).collect()
    }

    pub(super) fn catch_up(&mut self, replica: usize) {
        self.store.catch_up(&mut self.replicas[replica], self.now.instant);
    }

    /// The stored state of a server, which the replicas may not have applied yet.
    pub(super) fn truth(&self, id: &ServerId) -> (AdminState, Health) {
        let admin = match self.store.values.get(&FleetKey::Server(id.clone())) {
            Some(FleetEvent::Server(_, Some(stored))) => stored.value.admin,
            _ => AdminState::Disabled,
        };
        let record = match self.store.values.get(&FleetKey::Health(id.clone())) {
            Some(FleetEvent::Health(_, Some(stored))) => Some(&stored.value),
            _ => None,
        };
        (admin, health::health_of(record, self.replicas[0].policy()))
    }

    /// Commits a plan and checks its effects; returns `false` if a guard failed.
    pub(super) fn commit(&mut self, plan: &Plan) -> bool {
        if plan.is_empty() {
            return true;
        }
        let before = self.store.values.clone();
        if !self.store.commit(plan) {
            self.note(|| format!("  refused: {:?}", plan.writes));
            return false;
        }
        for write in &plan.writes {
            self.check_write(&before, write);
        }
        let revision = self.store.revision;
        self.note(|| format!("  rev {revision}: {:?}", plan.writes));
        true
    }

    fn check_write(&mut self, before: &BTreeMap<FleetKey, FleetEvent>, write: &PlanWrite) {
        match write {
            PlanWrite::Zombie(zombie_key, zombie) => {
                let was = match before.get(&write.key()) {
                    Some(FleetEvent::Zombie(_, Some(stored))) => Some(stored.value.state),
                    _ => None,
                };
                let record = match self.store.values.get(&FleetKey::Record(zombie_key.meeting.clone())) {
                    Some(FleetEvent::Record(_, Some(stored))) => Some(&stored.value),
                    _ => None,
                };
                let replaced = record.is_some_and(|record| {
                    record.server != zombie_key.server && matches!(record.state, RecordState::Active { .. })
                });
                if was == Some(ZombieState::Waiting)
                    && replaced
                    && let Some(id) = &zombie.internal_id
                {
                    self.released.insert(id.clone()); // its replacement is confirmed
                }
                let (admin, health) = self.truth(&zombie_key.server);
                if zombie.state == ZombieState::Waiting
                    && (admin, health) == (AdminState::Enabled, Health::Online)
                {
                    self.fail(format!("{zombie_key:?} was superseded although its server is online"));
                }
                if zombie.state == ZombieState::Ending && was.is_none() {
                    self.fail(format!("{zombie_key:?} is ending without having been due"));
                }
            }
            PlanWrite::Record(meeting, record) if record.state == RecordState::Pending => {
                let (admin, health) = self.truth(&record.server);
                if admin != AdminState::Enabled || health == Health::Offline {
                    self.fail(format!("I7: placed on {} while {admin:?} {health:?}", record.server));
                }
                let zombie = usher_model::meeting::ZombieKey {
                    meeting: meeting.clone(),
                    server: record.server.clone(),
                };
                if before.contains_key(&FleetKey::Zombie(zombie)) {
                    self.fail(format!("I2: {meeting} placed beside its zombie on {}", record.server));
                }
            }
            _ => {}
        }
    }

    /// A create request arrives: idempotent, as BBB's is.
    pub(super) fn arrive(&mut self, server: &ServerId, meeting: &MeetingKey) -> InternalMeetingId {
        let next = self.next;
        let id = self
            .live
            .entry((server.clone(), meeting.clone()))
            .or_insert_with(|| iid(&format!("{}-{next}", meeting.meeting)));
        let id = id.clone();
        self.next += 1;
        id
    }

    /// An `end` by internal id arrives; `false` when the server knows no such instance.
    pub(super) fn end_arrives(&mut self, server: &ServerId, id: &InternalMeetingId) -> bool {
        let hit = self.live.iter().find(|((on, _), live)| on == server && *live == id);
        let Some((place, _)) = hit.map(|(place, live)| (place.clone(), live.clone())) else { return false };
        if self.acked.contains(id) && !self.released.contains(id) {
            self.fail(format!("I2/I3: ended {id} on {server}: acknowledged, never superseded"));
        }
        self.live.remove(&place);
        true
    }

    pub(super) fn sample(&self, server: &ServerId, watermark: u64) -> ServerSample {
        let meetings = self
            .live
            .iter()
            .filter(|((on, _), _)| on == server)
            .map(|((_, meeting), id)| testkit::listed(meeting.meeting.as_str(), id.as_str()))
            .collect();
        ServerSample { watermark, taken_at_ms: 0, meetings, bbb_version: String::new() }
    }

    /// Panics a server to the end.
    pub(super) fn panic(&mut self, id: &ServerId) {
        for ((on, _), instance) in &self.live {
            if on == id {
                self.released.insert(instance.clone());
            }
        }
        for _ in 0..20 {
            self.catch_up(0);
            let Ok(step) = panic_server(&self.replicas[0], id, self.now.wall_ms) else { return };
            self.commit(&step.plan);
            if step.outcome == OperationProgress::Done {
                return;
            }
        }
        self.fail(format!("panic of {id} never ends"));
    }

    pub(super) fn some_meeting(choice: usize) -> MeetingKey {
        key(MEETINGS[choice % MEETINGS.len()])
    }

    pub(super) fn some_server(&self, choice: usize) -> ServerId {
        let servers = self.servers();
        servers.get(choice % servers.len()).cloned().unwrap_or_else(|| sid("a"))
    }
}
