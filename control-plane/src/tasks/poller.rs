//! Polls every server, each by a task of its own, so that one that hangs costs nobody else anything
//! (C3). Only the leader polls; a leader whose store is away goes on in memory.

mod cadence;
mod reaper;
mod round;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use usher_model::id::ServerId;
use usher_runtime::{clock, tasks::TaskGroup};

use self::cadence::Cadence;
pub use self::{reaper::Reaper, round::Round};
use super::{fleet_handle::FleetHandle, leadership::Leadership};
use crate::{
    core::{fleet::FleetServer, poll_schedule::Beat},
    ops::watchdog::Watchdog,
};

/// How often the set of servers is looked at although nothing changed.
const TURN: Duration = Duration::from_secs(1);
/// Time without a turn after which the loop counts as stalled, in polling intervals (C11).
const PATIENCE: u32 = 3;
/// Requests for a poll that may wait for one server.
const ASKS: usize = 16;

/// Time that a server which was just added or enabled has to be polled.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// The servers that are polled here, by which anybody asks for a poll now.
#[derive(Debug, Clone, Default)]
pub struct Pollers {
    running: Arc<Mutex<HashMap<ServerId, Running>>>,
    /// Tells that the set has changed.
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Running {
    asks: mpsc::Sender<oneshot::Sender<()>>,
    /// Which life of the entry it polls: a server that was disabled in between starts anew.
    _stop: DropGuard,
}

/// A server is not polled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is not polled by this replica")]
pub struct NotPolled;

impl Pollers {
    /// Polls a server now, or joins the poll that is under way, and returns when it is done. The
    /// cadence stays as it is (S11).
    ///
    /// # Errors
    /// This replica does not poll the server and does not begin to, or stopped before it was done.
    pub async fn poll_now(&self, server: &ServerId) -> Result<(), NotPolled> {
        let asks = tokio::time::timeout(KNOWN_WITHIN, self.asks_of(server)).await.map_err(|_| NotPolled)?;
        let (done, wait) = oneshot::channel();
        asks.send(done).await.map_err(|_| NotPolled)?;
        wait.await.map_err(|_| NotPolled)
    }

    /// Waits until a server is polled here: one that was just added is a moment later.
    async fn asks_of(&self, server: &ServerId) -> mpsc::Sender<oneshot::Sender<()>> {
        let mut changed = self.changed.subscribe();
        loop {
            let asks = self.lock().get(server).map(|running| running.asks.clone());
            if let Some(asks) = asks {
                return asks;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await; // cannot be: `self` holds the sender
            }
        }
    }

    /// Stops every task.
    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that starts and stops the servers' tasks.
pub struct Poller {
    round: Arc<Round>,
    fleet: FleetHandle,
    leadership: Leadership,
    pollers: Pollers,
    tasks: TaskGroup,
    watchdog: Watchdog,
    interval: Duration,
}

impl Poller {
    /// Prepares to poll the servers of `fleet` whenever this replica leads.
    pub fn new(
        round: Arc<Round>,
        fleet: FleetHandle,
        leadership: Leadership,
        pollers: Pollers,
        tasks: TaskGroup,
        watchdog: Watchdog,
        interval: Duration,
    ) -> Self {
        Self { round, fleet, leadership, pollers, tasks, watchdog, interval }
    }

    /// Keeps the tasks in step with fleet and role until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut revisions = self.fleet.revisions();
        let mut roles = self.leadership.changes();
        let (mut polling, mut epoch) = (false, self.fleet.revision().epoch);
        loop {
            self.watchdog.turned("poller", (self.interval * PATIENCE).max(TURN * 10), clock::now());
            if std::mem::replace(&mut epoch, self.fleet.revision().epoch) != epoch {
                self.pollers.clear(); // the store lost what it held: what runs is to be known soon
            }
            if self.leadership.polls() {
                // Servers found when this replica began to poll go on as somebody polled them before;
                // those that come later are new or just enabled, and are polled at once.
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
            // The age of a sample that was there when this replica started is known to nobody.
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
                (Begin::Resume, Some(age)) => Beat::resume(age, place(&id), self.interval),
                _ => Beat::at_once(self.interval),
            };
            let (asks, asked) = mpsc::channel(ASKS);
            let stop = CancellationToken::new();
            let cadence =
                Cadence { id: id.clone(), round: self.round.clone(), interval: self.interval, beat, asked };
            self.tasks.spawn_short("poll", cadence.run(stop.clone(), self.tasks.stopping()));
            running.insert(id, Running { asks, _stop: stop.drop_guard() });
        }
        drop(running);
        self.pollers.changed.send_replace(());
    }
}

/// How the polls of a server begin.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Resume,
    AtOnce,
}

/// Returns a server's own place, from 0 to 1, the same on every replica.
fn place(id: &ServerId) -> f64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    hasher.write(id.as_str().as_bytes());
    hasher.finish() as f64 / u64::MAX as f64
}
