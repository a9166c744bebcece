//! Polls every server in a task of its own, so that a hung server delays no other (C3). Only the
//! leader polls. A leader whose store is unreachable goes on in memory (design 8).

mod poll_once;
mod sample_reconciler;
mod server_poller;
mod zombie_end;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use usher_model::id::ServerId;
use usher_runtime::{clock, tasks::TaskGroup};

use self::server_poller::ServerPoller;
pub use self::{poll_once::PollOnce, sample_reconciler::SampleReconciler};
use super::{fleet_handle::FleetHandle, leadership::Leadership};
use crate::{
    core::{fleet::FleetServer, poll_schedule::PollSchedule},
    ops::watchdog::Watchdog,
};

/// Interval at which the set of servers is compared although the fleet did not change.
const TURN: Duration = Duration::from_secs(1);
/// Shortest time between two comparisons. Each of them visits every server, and the fleet changes some
/// hundred times a second.
const PACE: Duration = Duration::from_millis(50);
/// Number of polling intervals without a turn after which the loop counts as stalled (C11).
const PATIENCE: u32 = 3;
/// Largest number of requests that wait for a poll of one server.
const ASKS: usize = 16;

/// Time in which a server that was just added or enabled gets its task.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// The servers that this replica polls. Other tasks use it to request a poll now; clones share one
/// set.
#[derive(Debug, Clone, Default)]
pub struct RunningPollers {
    running: Arc<Mutex<HashMap<ServerId, RunningPoller>>>,
    /// Notifies of changes of the set.
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct RunningPoller {
    asks: mpsc::Sender<oneshot::Sender<()>>,
    /// Stops the task when dropped. A server that was disabled and enabled again starts with a new
    /// task.
    _stop: DropGuard,
}

/// This replica does not poll the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is not polled by this replica")]
pub struct NotPolled;

impl RunningPollers {
    /// Polls a server now, or joins the poll under way, and returns when it is done. The schedule
    /// is unchanged (S11).
    ///
    /// # Errors
    /// This replica does not poll the server, or stopped before the poll was done.
    pub async fn poll_now(&self, server: &ServerId) -> Result<(), NotPolled> {
        let asks = tokio::time::timeout(KNOWN_WITHIN, self.asks_of(server)).await.map_err(|_| NotPolled)?;
        let (done, wait) = oneshot::channel();
        asks.send(done).await.map_err(|_| NotPolled)?;
        wait.await.map_err(|_| NotPolled)
    }

    /// Waits until this replica polls a server; the task of a server that was just added starts a
    /// moment later.
    async fn asks_of(&self, server: &ServerId) -> mpsc::Sender<oneshot::Sender<()>> {
        let mut changed = self.changed.subscribe();
        loop {
            let asks = self.lock().get(server).map(|running| running.asks.clone());
            if let Some(asks) = asks {
                return asks;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await; // unreachable: `self` holds the sender
            }
        }
    }

    /// Stops every task.
    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, RunningPoller>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that starts and stops the servers' tasks.
pub struct PollerSupervisor {
    poll_once: Arc<PollOnce>,
    fleet: FleetHandle,
    leadership: Leadership,
    pollers: RunningPollers,
    tasks: TaskGroup,
    watchdog: Watchdog,
    interval: Duration,
}

impl PollerSupervisor {
    /// Returns a task that polls the servers of `fleet` while this replica leads.
    pub fn new(
        poll_once: Arc<PollOnce>,
        fleet: FleetHandle,
        leadership: Leadership,
        pollers: RunningPollers,
        tasks: TaskGroup,
        watchdog: Watchdog,
        interval: Duration,
    ) -> Self {
        Self { poll_once, fleet, leadership, pollers, tasks, watchdog, interval }
    }

    /// Keeps the tasks in step with the fleet and the role until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut revisions = self.fleet.revisions();
        let mut roles = self.leadership.changes();
        let (mut polling, mut epoch) = (false, self.fleet.revision().epoch);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = pace.tick() => {}
            }
            self.watchdog.turned("poller", (self.interval * PATIENCE).max(TURN * 10), clock::now());
            if std::mem::replace(&mut epoch, self.fleet.revision().epoch) != epoch {
                self.pollers.clear(); // the store lost its state: every server is polled at once to find its meetings
            }
            if self.leadership.polls() {
                // Servers that exist when this replica begins to poll continue the schedule of the
                // last leader. Later ones are new or just enabled, and are polled at once.
                self.keep_in_step(if polling { Begin::AtOnce } else { Begin::Resume }, clock::now());
                polling = true;
            } else if std::mem::take(&mut polling) {
                self.pollers.clear();
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = revisions.changed() => changed?,
                changed = roles.changed() => changed?,
                () = tokio::time::sleep(TURN) => {}
            }
        }
        self.pollers.clear();
        self.watchdog.ended("poller");
        Ok(())
    }

    fn keep_in_step(&self, begin: Begin, now: Instant) {
        let wanted: HashMap<ServerId, Option<Duration>> = self.fleet.read(|fleet| {
            let polled = fleet.servers().filter(|server| fleet.is_polled(server.id()));
            // The age of a sample that is older than this replica is unknown, so it counts as one
            // interval at least.
            let least =
                |server: &FleetServer| if fleet.saw_sampled(server) { Duration::ZERO } else { self.interval };
            let age = |server: &FleetServer| {
                server.sample_age(now).filter(|_| fleet.knows(server)).map(|age| age.max(least(server)))
            };
            polled.map(|server| (server.id().clone(), age(server))).collect()
        });
        let mut running = self.pollers.lock();
        running.retain(|id, _| wanted.contains_key(id));
        for (id, age) in wanted {
            if running.contains_key(&id) {
                continue;
            }
            let beat = match (begin, age) {
                (Begin::Resume, Some(age)) => PollSchedule::resume(age, place(&id), self.interval),
                _ => PollSchedule::at_once(place(&id), self.interval),
            };
            let (asks, asked) = mpsc::channel(ASKS);
            let stop = CancellationToken::new();
            let poller = ServerPoller {
                id: id.clone(),
                poll_once: self.poll_once.clone(),
                interval: self.interval,
                beat,
                asked,
            };
            self.tasks.spawn_short("poll", poller.run(stop.clone(), self.tasks.stopping()));
            running.insert(id, RunningPoller { asks, _stop: stop.drop_guard() });
        }
        drop(running);
        self.pollers.changed.send_replace(());
    }
}

/// The first poll of a server.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Resume,
    AtOnce,
}

/// Returns a fixed share of the interval for a server, from 0 to 1, equal on every replica, so that
/// the servers' polls are spread.
fn place(id: &ServerId) -> f64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    hasher.write(id.as_str().as_bytes());
    hasher.finish() as f64 / u64::MAX as f64
}
