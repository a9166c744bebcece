//! Acts on what a poll saw: confirms, reaps, ends zombies. It runs beside the polls, one job per
//! server, and never delays the next poll (C7).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tracing::{debug, info, warn};
use usher_common::{
    id::ServerId,
    runtime::{clock, tasks::Tasks},
    server::{Sample, Server},
};

use crate::{
    core::{
        plan::Plan,
        reconcile::{self, End, Verify},
    },
    ops::{
        alarms::{Alarm, Alarms},
        metrics::Metrics,
    },
    ports::{BbbServers, Ended, Verdict},
    tasks::{fleet_handle::FleetHandle, leadership::Leadership, writer::Writer},
};

/// Plans of one server that are committed at the same time.
const COMMITS: usize = 64;
/// Calls to one server that are made at the same time.
const CALLS: usize = 4;

/// What acting needs; clones share everything.
#[derive(Clone)]
pub struct Reaper {
    servers: Arc<dyn BbbServers>,
    writer: Writer,
    leadership: Leadership,
    alarms: Alarms,
    metrics: Metrics,
    tasks: Tasks,
    call_timeout: Duration,
    /// Time in which one job starts calls; what is left then waits for the next poll.
    budget: Duration,
    busy: Arc<Mutex<BTreeSet<ServerId>>>,
    inconsistent: Arc<Mutex<BTreeSet<ServerId>>>,
}

/// What one poll of one server saw.
pub(super) struct Seen {
    pub(super) server: Server,
    pub(super) sample: Sample,
    pub(super) sent_at: Instant,
}

/// Frees the server for its next job, however this one ends.
struct Busy {
    set: Arc<Mutex<BTreeSet<ServerId>>>,
    id: ServerId,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Reaper {
    /// Acts by `writer` and `servers`, as long as `leadership` allows.
    pub fn new(
        servers: Arc<dyn BbbServers>,
        writer: Writer,
        leadership: Leadership,
        alarms: Alarms,
        metrics: Metrics,
        tasks: Tasks,
        (call_timeout, budget): (Duration, Duration),
    ) -> Self {
        let (busy, inconsistent) = Default::default();
        Self { servers, writer, leadership, alarms, metrics, tasks, call_timeout, budget, busy, inconsistent }
    }

    /// Starts a job, unless the server's last one is still under way: then the next poll decides
    /// again.
    pub(super) fn reap(&self, seen: Seen) {
        let id = seen.server.id.clone();
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            debug!(server = %id, "still acting on an earlier poll");
            return;
        }
        let (reaper, busy) = (self.clone(), Busy { set: self.busy.clone(), id });
        self.tasks.spawn_short("reap", async move {
            reaper.act(&seen).await;
            drop(busy);
        });
    }

    /// Commits what a look at a server tells before the look itself is written. Of a first one, so
    /// that whoever sees the sample knows every meeting in it (F7); of one at a server that returns,
    /// while its meetings are still detached, where the policy is to end those.
    pub(super) async fn act_first(&self, server: &Server, sample: &Sample, sent_at: Instant) {
        let work = self
            .fleet()
            .read(|fleet| reconcile::on_sample(fleet, &server.id, sample, sent_at, self.writer.now()));
        self.commit_all(work.plans).await;
    }

    async fn commit_all(&self, plans: Vec<Plan>) {
        let plans = stream::iter(plans);
        let plans = plans.for_each_concurrent(COMMITS, async |plan| {
            self.commit(&plan).await;
        });
        plans.await;
    }

    fn fleet(&self) -> &FleetHandle {
        self.writer.fleet()
    }

    async fn act(&self, seen: &Seen) {
        let (id, until) = (&seen.server.id, clock::now() + self.budget);
        let work = self
            .fleet()
            .read(|fleet| reconcile::on_sample(fleet, id, &seen.sample, seen.sent_at, self.writer.now()));
        if work.left_over > 0 {
            info!(server = %id, left_over = work.left_over, "more to do than one poll allows");
        }
        self.commit_all(work.plans).await;
        // Side by side: a server that answers the one kind of call too late still gets the other.
        tokio::join!(
            self.verify_all(&seen.server, work.verify, until),
            self.end_all(&seen.server, work.ends, until)
        );
    }

    async fn verify_all(&self, server: &Server, verify: Vec<Verify>, until: Instant) {
        let verified = stream::iter(verify)
            .map(|verify| async move { self.verify(server, &verify, until).await })
            .buffer_unordered(CALLS)
            .collect::<Vec<bool>>()
            .await;
        self.note_consistency(&server.id, !verified.contains(&false));
    }

    async fn end_all(&self, server: &Server, ends: Vec<End>, until: Instant) {
        let ends = stream::iter(ends);
        ends.for_each_concurrent(CALLS, async |end| self.end(server, &end, until).await).await;
    }

    /// Commits a leader's plan; one that is refused or lost is decided anew by the next poll.
    async fn commit(&self, plan: &Plan) -> bool {
        let Some(token) = self.leadership.token(clock::now()) else { return false };
        match self.writer.commit_once(plan, &token).await {
            Ok(Verdict::Committed(_)) => true,
            Ok(Verdict::Refused(_)) => false,
            Err(error) => {
                warn!(%error, "a reconciling write failed");
                false
            }
        }
    }

    /// Asks for a meeting that the list lacks. Returns whether the list told the truth.
    async fn verify(&self, server: &Server, verify: &Verify, until: Instant) -> bool {
        if clock::now() >= until || self.leadership.token(clock::now()).is_none() {
            return true;
        }
        match self.servers.exists(server, verify.internal_id.as_str()).await {
            Ok(true) => {
                warn!(server = %server.id, meeting = %verify.key, "the list lacks a meeting that runs");
                false
            }
            Ok(false) => {
                self.commit(&verify.if_gone).await;
                true
            }
            Err(error) => {
                debug!(server = %server.id, %error, "could not ask for a meeting");
                true
            }
        }
    }

    fn note_consistency(&self, id: &ServerId, consistent: bool) {
        let mut inconsistent = self.inconsistent.lock().unwrap_or_else(PoisonError::into_inner);
        if consistent {
            inconsistent.remove(id);
        } else {
            inconsistent.insert(id.clone());
        }
        let names: Vec<&str> = inconsistent.iter().map(ServerId::as_str).collect();
        let wrong = (!names.is_empty())
            .then(|| format!("{}: getMeetings lacks meetings that getMeetingInfo knows", names.join(", ")));
        self.alarms.set(Alarm::SnapshotInconsistent, wrong);
    }

    /// Ends an instance: the mark first, the call only while no other replica can lead, and the
    /// zombie goes only when the server says that it is gone (C6).
    async fn end(&self, server: &Server, end: &End, until: Instant) {
        if clock::now() >= until || (!end.mark.is_empty() && !self.commit(&end.mark).await) {
            return;
        }
        let Some((_, timeout)) = self.leadership.end_timeout(self.call_timeout, clock::now()) else {
            return;
        };
        let call = self.servers.end(server, &end.internal_id, end.moderator_password.as_ref());
        let outcome = match tokio::time::timeout(timeout, call).await {
            Ok(Ok(Ended::Requested)) => "requested",
            Ok(Ok(Ended::NotFound)) => {
                let gone = |fleet: &_| reconcile::on_end_not_found(fleet, &end.zombie, &end.internal_id);
                let plan = self.fleet().read(gone);
                if !plan.is_empty() {
                    self.commit(&plan).await;
                }
                "not_found"
            }
            Ok(Err(error)) => {
                warn!(server = %server.id, meeting = %end.zombie.meeting, %error, "end failed; it stays due");
                "failed"
            }
            Err(_) => "timeout",
        };
        info!(server = %server.id, meeting = %end.zombie.meeting, outcome, "zombie ended");
        self.metrics.ended(&server.id, outcome);
    }
}
