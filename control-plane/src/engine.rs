//! The working half of a control plane: every task between the store and the BBB servers, wired over
//! these two ports alone, so that the simulation runs the same engine. [`app`](crate::app) puts
//! sockets in front of it.

mod first_tenant;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use usher_model::settings::Settings;
use usher_runtime::{clock::WallClock, tasks::TaskGroup};

use self::first_tenant::FirstTenant;
use crate::{
    core::{policy::Policy, poll_duty},
    ops::{alarms::RaisedAlarms, metrics::ControlPlaneMetrics, watchdog::Watchdog},
    ports::{BbbServers, Store},
    store::{codec::StoreCodec, committer::GroupCommitter},
    tasks::{
        admin::FleetAdmin,
        change_feed::ChangeFeed,
        epoch_writer::EpochWriter,
        fleet_handle::FleetHandle,
        follower::FleetFollower,
        leader::LeaderTask,
        leadership::Leadership,
        placer::{MeetingPlacer, MeetingResolver},
        poll_duties::PollDuties,
        poll_requests::PollRequests,
        poller::{PollOnce, PollerSupervisor, RunningPollers, SampleReconciler},
        revision_reader::RevisionReader,
        sweeper::FleetSweeper,
        term_observer::TermObserver,
        upkeep::{SpaceFigures, StoreUpkeep},
        writer::PlanWriter,
    },
};

/// Longest time between two sweeps.
const SWEEP: Duration = Duration::from_secs(5);

/// Ports and figures of one replica, on which the engine and the parts in front of it work.
#[derive(Clone)]
pub struct EngineDependencies {
    /// Name of this replica in the election.
    pub replica: String,
    /// Store of the cluster.
    pub store: Arc<dyn Store>,
    /// Calls to the BBB servers.
    pub servers: Arc<dyn BbbServers>,
    /// Source of wall clock time.
    pub wall: WallClock,
    /// Metrics of the control plane.
    pub metrics: ControlPlaneMetrics,
    /// Registry of the loops that must turn.
    pub watchdog: Watchdog,
}

/// A running engine: the handles by which services and notifications use it.
#[derive(Clone)]
pub struct Engine {
    /// The ports and figures that the engine was started with.
    pub dependencies: EngineDependencies,
    /// The fleet as this replica has applied it.
    pub fleet: FleetHandle,
    /// The changes of the store, for tasks that follow a prefix.
    pub feed: ChangeFeed,
    /// Commits the writes that are no plans of the fleet.
    pub epoch_writer: EpochWriter,
    /// Places, confirms and abandons meetings.
    pub placer: MeetingPlacer,
    /// Looks up ids that an edge does not know.
    pub resolver: MeetingResolver,
    /// Writes the changes that operators order.
    pub admin: FleetAdmin,
    /// Polls a server at once, at the leader.
    pub pollers: RunningPollers,
    /// Asks the leader to poll a server at once.
    pub poll_requests: PollRequests,
    /// Alarms that are raised at this replica.
    pub alarms: RaisedAlarms,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// The space that the store takes on its disk.
    pub space: SpaceFigures,
    /// Cancelled when the store was read completely and the tenant `default` has its secrets.
    pub ready: CancellationToken,
}

impl Engine {
    /// Starts every task. The tasks stop with `tasks`; a leader then hands its lease over, so that
    /// another replica leads at once.
    pub fn start(settings: &Settings, dependencies: EngineDependencies, tasks: &TaskGroup) -> Self {
        let EngineDependencies { replica, store, servers, wall, metrics, watchdog } = dependencies.clone();
        let interval = settings.health.interval;
        let alarms = RaisedAlarms::default();
        let codec = Arc::new(StoreCodec::new());
        let committer = GroupCommitter::spawn(store.clone(), codec.clone(), tasks);
        let fleet = FleetHandle::new(Policy::new(settings));
        let feed = ChangeFeed::default();
        let epoch_writer = EpochWriter::new(store.clone(), fleet.clone());
        let revisions = RevisionReader::new(store.clone(), tasks.clone(), settings.store.timeout);
        let leadership = Leadership::default();
        let writer = PlanWriter::new(
            fleet.clone(),
            committer,
            revisions.clone(),
            leadership.clone(),
            alarms.clone(),
            wall,
        );
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
        let duties = PollDuties::new(fleet.clone(), poll_duty::limit(interval, settings.store.timeout));
        let poll_once = PollOnce::new(
            servers,
            writer.clone(),
            leadership.clone(),
            reconciler,
            metrics.clone(),
            duties.clone(),
            settings.store.timeout,
        );
        let follower = FleetFollower::new(
            store.clone(),
            codec.clone(),
            (fleet.clone(), feed.clone()),
            metrics.clone(),
            watchdog.clone(),
        );
        let leader = LeaderTask::new(
            store.clone(),
            replica,
            settings.leader.ttl,
            leadership.clone(),
            duties,
            metrics.clone(),
        );
        let observer = TermObserver::new(
            store.clone(),
            fleet.clone(),
            leadership.clone(),
            interval,
            settings.store.timeout,
        );
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
            (store.clone(), epoch_writer.clone()),
            (fleet.clone(), feed.clone()),
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
        let first_tenant = FirstTenant::new(settings, fleet.clone(), admin.clone(), ready.clone());

        let asks = poll_requests.clone();
        tasks.spawn("follower", |stop| follower.run(stop));
        tasks.spawn("leader", |stop| leader.run(stop));
        tasks.spawn("leadership", |stop| observer.run(stop));
        tasks.spawn("poller", |stop| poller.run(stop));
        tasks.spawn("poll asks", |stop| asks.run(stop));
        tasks.spawn("sweeper", |stop| sweeper.run(stop));
        tasks.spawn("store upkeep", |stop| upkeep.run(stop));
        tasks.spawn_short("arrival", first_tenant.run(tasks.stopping()));
        let resolver = MeetingResolver::new(fleet.clone(), revisions, store, codec);
        Self {
            dependencies,
            fleet,
            feed,
            epoch_writer,
            placer,
            resolver,
            admin,
            pollers,
            poll_requests,
            alarms,
            leadership,
            space,
            ready,
        }
    }
}
