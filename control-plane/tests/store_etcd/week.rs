//! A week of a university on a real etcd, with the time between two polls left out (F8): meetings begin
//! and end, users come and go, every server is polled every ten seconds, and the history is compacted as
//! the leader does. The polls, their plans and their stored form are the product's own; BBB servers and
//! the clock are simulated.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::{
    core::{
        fleet::Fleet,
        health,
        now::Now,
        plan::{FleetEvent, FleetKey, Plan, PlanWrite, Stored},
        policy::Policy,
        upkeep::HistoryHorizon,
    },
    ports::{Store, StoreTxn, TxnVerdict},
    store::codec::StoreCodec,
};
use usher_harness::etcd::EtcdCluster;
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    revision::Revision,
    server::{AdminState, SampledMeeting, Server, ServerSample},
    settings::Settings,
};

use crate::fixture::store_on;

const POLL: Duration = Duration::from_secs(10);
/// Largest number of transactions that are committed at once.
const TOGETHER: usize = 48;
const TERM: u64 = 5;

struct Running {
    key: MeetingKey,
    instance: InternalMeetingId,
    begun: Duration,
    ends: Duration,
    size: u32,
    users: u32,
}

struct University {
    store: std::sync::Arc<dyn Store>,
    codec: StoreCodec,
    fleet: Fleet,
    start: Instant,
    time: Duration,
    chance: StdRng,
    running: Vec<Vec<Running>>,
    begun: u64,
    waiting: Vec<Plan>,
    /// Second writes of the creates of this interval.
    confirmations: Vec<Plan>,
    polls: u64,
    written: u64,
}

impl University {
    fn id(number: usize) -> ServerId {
        ServerId::parse(&format!("bbb-{number:03}.example.org")).expect("is an id")
    }

    fn now(&self) -> Now {
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.time.as_millis()).expect("is small");
        Now { instant: self.start + self.time, wall_ms }
    }

    /// Returns the share of the largest number of meetings that run at this time of the week.
    fn share(&self) -> f64 {
        let hours = self.time.as_secs_f64() / 3600.0;
        let (day, hour) = ((hours / 24.0) as u32 % 7, hours % 24.0);
        match hour {
            _ if day >= 5 => 0.04,
            8.0..18.0 => 1.0,
            18.0..22.0 => 0.2,
            _ => 0.01,
        }
    }

    async fn write(&mut self, plan: Plan) {
        if !plan.is_empty() {
            self.waiting.push(plan);
            if self.waiting.len() >= TOGETHER {
                self.flush().await;
            }
        }
    }

    /// Commits the waiting writes, and applies them as the watch would.
    async fn flush(&mut self) {
        let plans = std::mem::take(&mut self.waiting);
        if plans.is_empty() {
            return;
        }
        let txns: Vec<StoreTxn> = plans.iter().map(|plan| self.codec.txn(plan, None)).collect();
        let verdicts = self.store.commit(txns).await.expect("the store takes the writes");
        let (mut events, mut newest) = (Vec::new(), 0);
        for (plan, verdict) in plans.into_iter().zip(verdicts) {
            let TxnVerdict::Committed(revision) = verdict else { panic!("{verdict:?} of {plan:?}") };
            newest = newest.max(revision);
            events.extend(plan.writes.into_iter().map(|write| event(write, revision)));
        }
        self.written += events.len() as u64;
        self.fleet.apply(newest, events, self.now().instant);
    }

    async fn add_server(&mut self, number: usize) {
        let server = Server {
            id: Self::id(number),
            url: format!("https://bbb-{number:03}.example.org/bigbluebutton/api/"),
            secret: Secret::new("a-secret-of-an-ordinary-length-0123456789"),
            weight: 1.0,
            tags: Vec::new(),
            admin: AdminState::Enabled,
            algorithm: ChecksumAlgorithm::Sha256,
            created_at_ms: 0,
            former_of: None,
            created_by: None,
        };
        self.write(Plan { guards: Vec::new(), writes: vec![PlanWrite::server(server)] }).await;
        self.running.push(Vec::new());
    }

    /// Places and confirms a meeting, as two writes.
    async fn begin(&mut self, server: usize) {
        self.begun += 1;
        let id = format!("{:040x}-{}", u128::from(self.begun) * 0x9e37_79b9_7f4a_7c15, self.begun);
        let key = MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(&id).expect("is an id"));
        let instance = InternalMeetingId::parse(&format!("{id}-1700000000000")).expect("is an id");
        let record = MeetingRecord {
            state: RecordState::Pending,
            server: Self::id(server),
            token: format!("{:032x}", self.begun),
            request_digest: vec![7; 32].into(),
            created_at_ms: 1_700_000_000_000,
            max_users: 0,
            size_hint: 0,
            voice_bridge: None,
            breakout: false,
            unanswered: false,
        };
        let active = RecordState::Active { internal_id: instance.clone(), create_time_ms: 1_700_000_000_000 };
        let confirmed = MeetingRecord { state: active, ..record.clone() };
        let plan = |record| Plan { guards: Vec::new(), writes: vec![PlanWrite::Record(key.clone(), record)] };
        self.write(plan(record)).await;
        // Requests of one batch write different keys.
        self.confirmations.push(plan(confirmed));
        let minutes = self.chance.random_range(40..100);
        let size = self.chance.random_range(3..40);
        let ends = self.time + Duration::from_secs(60 * minutes);
        self.running[server].push(Running { key, instance, begun: self.time, ends, size, users: 0 });
    }

    /// Lets ten seconds pass on one server; returns whether its list differs from the one before.
    async fn pass(&mut self, server: usize, most: usize) -> bool {
        let mut changed = false;
        let (over, on): (Vec<Running>, Vec<Running>) = std::mem::take(&mut self.running[server])
            .into_iter()
            .partition(|meeting| meeting.ends <= self.time);
        self.running[server] = on;
        for meeting in over {
            changed = true;
            let writes = vec![PlanWrite::Delete(FleetKey::Record(meeting.key))];
            self.write(Plan { guards: Vec::new(), writes }).await;
        }
        let wanted = (most as f64 * self.share()).round() as usize;
        if self.running[server].len() < wanted && self.chance.random_bool(0.08) {
            changed = true;
            self.begin(server).await;
        }
        for meeting in &mut self.running[server] {
            // Users arrive within ten minutes, and a few come and go after that.
            let young = self.time < meeting.begun + Duration::from_mins(10);
            if young
                && meeting.users < meeting.size
                && self.chance.random_bool(f64::from(meeting.size) / 60.0)
            {
                meeting.users += 1;
                changed = true;
            } else if !young && self.chance.random_bool(0.01) {
                let step = self.chance.random_range(0..=1);
                meeting.users = (meeting.users + 2 * step).saturating_sub(1);
                changed = true;
            }
        }
        changed
    }

    async fn poll(&mut self, server: usize) {
        let listed = |meeting: &Running| SampledMeeting {
            key: Some(meeting.key.clone()),
            claim: None,
            external_id: (&meeting.key.meeting).into(),
            internal_id: meeting.instance.clone(),
            participants: meeting.users,
            age_ms: u64::try_from(self.time.saturating_sub(meeting.begun).as_millis()).expect("is small"),
            max_users: 0,
            size_hint: 0,
            breakout: false,
            named: false,
            voice_bridge: None,
            moderator_password: None,
        };
        let sample = ServerSample {
            watermark: self.fleet.revision().seq,
            taken_at_ms: self.now().wall_ms,
            meetings: self.running[server].iter().map(listed).collect(),
            bbb_version: "3.0.4".into(),
            term: TERM,
        };
        let plan = health::poll_ok(&self.fleet, &Self::id(server), sample, self.now());
        self.write(plan).await;
    }
}

fn event(write: PlanWrite, revision: u64) -> FleetEvent {
    fn stored<T>(value: T, revision: u64) -> Option<Stored<T>> {
        Some(Stored { value, created: revision, modified: revision })
    }
    match write {
        PlanWrite::Server(id, server) => FleetEvent::Server(id.clone(), stored(server, revision)),
        PlanWrite::Health(id, record) => FleetEvent::Health(id, stored(record, revision)),
        PlanWrite::Sample(id, sample) => FleetEvent::Sample(id, stored(sample, revision)),
        PlanWrite::Record(key, record) => FleetEvent::Record(key, stored(record, revision)),
        PlanWrite::Delete(key) => FleetEvent::deleted(key),
        other => panic!("not of this week: {other:?}"),
    }
}

/// Lets `hours` pass from `from` hours of the week on, and returns the largest size of the database.
async fn pass(servers: usize, meetings: usize, from: u64, hours: u64) -> i64 {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let settings = Settings::default();
    let mut week = University {
        store: store_on(&cluster, 0),
        codec: StoreCodec::new(),
        fleet: Fleet::new(7, Policy::new(&settings)),
        start: Instant::now(),
        time: Duration::from_hours(from),
        chance: StdRng::seed_from_u64(20),
        running: Vec::new(),
        begun: 0,
        waiting: Vec::new(),
        confirmations: Vec::new(),
        polls: 0,
        written: 0,
    };
    for number in 0..servers {
        week.add_server(number).await;
    }
    week.flush().await;
    let mut horizon = HistoryHorizon::new(settings.store.compact_every);
    let mut client = cluster.client(0).await.expect("a client");
    let (mut largest, mut most_running, most) = (0, 0, meetings / servers);
    let mut differs = vec![true; servers];
    let steps = hours * 3600 / POLL.as_secs();
    for step in 0..steps {
        for (server, differs) in differs.iter_mut().enumerate() {
            *differs |= week.pass(server, most).await;
            week.polls += 1;
            // A poll that equals the one before writes no value, except after a lasting difference of
            // users, which the poll after twelve intervals finds.
            if std::mem::take(differs) || (step + server as u64).is_multiple_of(13) {
                week.poll(server).await;
            }
        }
        week.flush().await;
        for confirmation in std::mem::take(&mut week.confirmations) {
            week.write(confirmation).await;
        }
        week.flush().await;
        week.time += POLL;
        let revision = Revision::new(7, week.fleet.revision().seq);
        if let Some(before) = horizon.pass(revision, week.now().instant) {
            week.store.compact(before).await.expect("is compacted");
        }
        most_running = most_running.max(week.running.iter().map(Vec::len).sum());
        if step % 360 == 359 || step + 1 == steps {
            largest = largest.max(client.status().await.expect("answers").db_size());
        }
    }
    let status = client.status().await.expect("answers");
    println!(
        "{hours} hours of {servers} servers, {most_running} meetings at once, {} in all: {} polls, {} values \
         written; the database takes {} bytes at the end, {largest} at most, {} of them in use; {:?}",
        week.begun,
        week.polls,
        week.written,
        status.db_size(),
        status.raft_used_db_size(),
        week.start.elapsed()
    );
    largest.max(status.db_size())
}

/// Two busy hours of a part of the fleet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_two_busy_hours_take_little_space() {
    let size = Box::pin(pass(20, 500, 9, 2)).await;
    assert!(size < 10 << 20, "{size} bytes");
}

/// The whole week: 200 servers, 5,000 meetings at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: a week of 200 servers"]
async fn f8_a_week_of_a_university_ends_below_200_megabytes() {
    let size = Box::pin(pass(200, 5_000, 0, 168)).await;
    assert!(size < 200_000_000, "{size} bytes");
}
