//! The working half of a control plane: everything between the store and the BBB servers, wired over
//! these two ports alone. [`app`](crate::app) puts sockets in front of it.

mod arrival;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use usher_model::settings::Settings;
use usher_runtime::{clock::WallClock, tasks::TaskGroup};

use self::arrival::FirstTenant;
use crate::{
    core::policy::Policy,
    ops::{alarms::RaisedAlarms, metrics::ControlPlaneMetrics, watchdog::Watchdog},
    ports::{BbbServers, Store},
    store::{codec::StoreCodec, committer::GroupCommitter},
    tasks::{
        admin::FleetAdmin,
        fleet_handle::FleetHandle,
        follower::FleetFollower,
        leader::LeaderTask,
        leadership::Leadership,
        placer::{MeetingPlacer, MeetingResolver},
        poll_requests::PollRequests,
        poller::{PollOnce, PollerSupervisor, RunningPollers, SampleReconciler},
        revision_reader::RevisionReader,
        sweeper::FleetSweeper,
        upkeep::{SpaceFigures, StoreUpkeep},
        writer::PlanWriter,
    },
};

/// Time between two sweeps, at most.
const SWEEP: Duration = Duration::from_secs(5);

/// What an engine works on, and what it tells of itself.
pub struct EngineDependencies {
    /// Name of this replica in the election.
    pub replica: String,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The BBB servers.
    pub servers: Arc<dyn BbbServers>,
    /// What the wall clock says.
    pub wall: WallClock,
    /// What is counted.
    pub metrics: ControlPlaneMetrics,
    /// Which loops turn.
    pub watchdog: Watchdog,
}

/// A running engine, by the handles that services use.
#[derive(Clone)]
pub struct Engine {
    /// The fleet.
    pub fleet: FleetHandle,
    /// Places meetings.
    pub placer: MeetingPlacer,
    /// Looks meetings up.
    pub resolver: MeetingResolver,
    /// Administers.
    pub admin: FleetAdmin,
    /// Polls now.
    pub pollers: RunningPollers,
    /// Has the leader poll now.
    pub poll_requests: PollRequests,
    /// The alarms.
    pub alarms: RaisedAlarms,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// What the store takes.
    pub space: SpaceFigures,
    /// Cancelled when the store was read completely and the tenant `default` has its secrets.
    pub ready: CancellationToken,
}

impl Engine {
    /// Starts every task; they stop with `tasks`, the leader handing its lease over.
    pub fn start(settings: &Settings, around: EngineDependencies, tasks: &TaskGroup) -> Self {
        let EngineDependencies { replica, store, servers, wall, metrics, watchdog } = around;
        let interval = settings.health.interval;
        let alarms = RaisedAlarms::default();
        let codec = Arc::new(StoreCodec::new());
        let committer = GroupCommitter::spawn(store.clone(), codec.clone(), tasks);
        let fleet = FleetHandle::new(Policy::new(settings));
        let revisions = RevisionReader::new(store.clone(), tasks.clone(), settings.store.timeout);
        let writer = PlanWriter::new(fleet.clone(), committer, revisions.clone(), alarms.clone(), wall);
        let leadership = Leadership::default();
        let first_poll = settings.health.deadline + Duration::from_secs(1);
        let placer = MeetingPlacer::new(writer.clone(), first_poll, metrics.clone());
        let admin = FleetAdmin::new(writer.clone());
        let pollers = RunningPollers::default();
        let reconciler = SampleReconciler::new(
            servers.clone(),
            writer.clone(),
            leadership.clone(),
            alarms.clone(),
            metrics.clone(),
            tasks.clone(),
            (settings.meetings.call_timeout, interval),
        );
        let poll_once = PollOnce::new(
            servers,
            writer.clone(),
            leadership.clone(),
            reconciler,
            metrics.clone(),
            settings.store.timeout,
        );
        let follower = FleetFollower::new(
            store.clone(),
            codec.clone(),
            fleet.clone(),
            metrics.clone(),
            watchdog.clone(),
        );
        let leader =
            LeaderTask::new(store.clone(), replica, settings.leader.ttl, leadership.clone(), metrics.clone());
        let poller = PollerSupervisor::new(
            Arc::new(poll_once),
            fleet.clone(),
            leadership.clone(),
            pollers.clone(),
            tasks.clone(),
            watchdog,
            interval,
        );
        let poll_requests = PollRequests::new(
            store.clone(),
            fleet.clone(),
            leadership.clone(),
            pollers.clone(),
            tasks.clone(),
        );
        let sweeper = FleetSweeper::new(writer, leadership.clone(), metrics.clone(), interval.min(SWEEP));
        let space = SpaceFigures::default();
        let upkeep = StoreUpkeep::new(
            store.clone(),
            fleet.clone(),
            leadership.clone(),
            (alarms.clone(), metrics, space.clone()),
            &settings.store,
        );
        let ready = CancellationToken::new();
        let arrival = FirstTenant::new(settings, fleet.clone(), admin.clone(), ready.clone());

        let asks = poll_requests.clone();
        tasks.spawn("follower", |stop| follower.run(stop));
        tasks.spawn("leader", |stop| leader.run(stop));
        tasks.spawn("poller", |stop| poller.run(stop));
        tasks.spawn("poll asks", |stop| asks.run(stop));
        tasks.spawn("sweeper", |stop| sweeper.run(stop));
        tasks.spawn("store upkeep", |stop| upkeep.run(stop));
        tasks.spawn_short("arrival", arrival.run(tasks.stopping()));
        let resolver = MeetingResolver::new(fleet.clone(), revisions, store, codec);
        Self { fleet, placer, resolver, admin, pollers, poll_requests, alarms, leadership, space, ready }
    }
}
