//! Reconciles the fleet with the sample of a poll: confirms records, removes ended ones, ends
//! zombies. It runs beside the polls, one job per server, and never delays the next poll (C7).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tracing::{debug, info, warn};
use usher_model::{
    id::ServerId,
    revision::Revision,
    server::{Server, ServerSample},
};
use usher_runtime::{clock, tasks::TaskGroup};

use crate::{
    core::{
        epoch::Epoch,
        plan::Plan,
        reconcile::{self, CheckReason, InstanceCheck, InstanceEnd, ReconcilePlan},
    },
    ops::{
        alarms::{Alarm, RaisedAlarms},
        metrics::ControlPlaneMetrics,
    },
    ports::{BbbServers, TxnVerdict},
    tasks::{
        fleet_handle::FleetHandle,
        leadership::Leadership,
        poller::zombie_end::{ZombieEndOutcome, call_within},
        writer::PlanWriter,
    },
};

/// Largest number of plans of one server that are committed at the same time.
const COMMITS: usize = 64;
/// Number of times that the first sample of a server is judged again because of concurrent writes.
const ADOPTIONS: usize = 3;
/// Longest wait for the change that refused a plan.
const SEE_WITHIN: Duration = Duration::from_millis(500);
/// Largest number of calls to one server at the same time.
const CALLS: usize = 4;

/// Reconciles servers with their samples; clones share one state.
#[derive(Clone)]
pub struct SampleReconciler {
    servers: Arc<dyn BbbServers>,
    writer: PlanWriter,
    leadership: Leadership,
    alarms: RaisedAlarms,
    metrics: ControlPlaneMetrics,
    tasks: TaskGroup,
    call_timeout: Duration,
    /// Time in which one job starts calls. Calls that do not fit wait for the next poll.
    budget: Duration,
    busy: Arc<Mutex<BTreeSet<ServerId>>>,
    inconsistent: Arc<Mutex<BTreeSet<ServerId>>>,
}

/// The result of one poll of one server.
pub(super) struct PollObservation {
    pub(super) server: Server,
    pub(super) sample: ServerSample,
    /// The epoch to which the sample's watermark belongs.
    pub(super) epoch: Epoch,
    pub(super) sent_at: Instant,
}

/// Frees the server for its next job when the current one ends in any way.
struct BusyGuard {
    set: Arc<Mutex<BTreeSet<ServerId>>>,
    id: ServerId,
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl SampleReconciler {
    /// Returns a reconciler that acts by `writer` and `servers` while `leadership` allows it.
    pub fn new(
        servers: Arc<dyn BbbServers>,
        writer: PlanWriter,
        leadership: Leadership,
        alarms: RaisedAlarms,
        metrics: ControlPlaneMetrics,
        tasks: TaskGroup,
        (call_timeout, budget): (Duration, Duration),
    ) -> Self {
        let (busy, inconsistent) = Default::default();
        Self { servers, writer, leadership, alarms, metrics, tasks, call_timeout, budget, busy, inconsistent }
    }

    /// Starts a job, unless the server's previous one is still under way: then the next poll
    /// decides again.
    pub(super) fn start(&self, seen: PollObservation) {
        let id = seen.server.id.clone();
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            debug!(server = %id, "poll not reconciled, an earlier one is under way");
            return;
        }
        let (reconciler, busy) = (self.clone(), BusyGuard { set: self.busy.clone(), id });
        self.tasks.spawn_short("reap", async move {
            reconciler.act(&seen).await;
            drop(busy);
        });
    }

    /// Commits the consequences of a sample before the sample itself is written. For the first
    /// sample of a server this means that a reader of the sample knows every meeting in it (F7).
    /// For a server that returns, its meetings are still detached at this moment, and a policy that
    /// ends those needs to see them so.
    pub(super) async fn act_first(
        &self,
        server: &Server,
        sample: &ServerSample,
        epoch: Epoch,
        sent_at: Instant,
    ) {
        for _ in 0..ADOPTIONS {
            let plans = self.judge(&server.id, sample, epoch, sent_at).plans;
            if self.commit_all(plans, epoch).await {
                return;
            }
        }
    }

    /// Decides the consequences of a sample; a sample of another epoch has none.
    fn judge(&self, id: &ServerId, sample: &ServerSample, epoch: Epoch, sent_at: Instant) -> ReconcilePlan {
        self.fleet().read(|fleet| {
            if fleet.epoch() == epoch {
                reconcile::on_sample(fleet, id, sample, sent_at, self.writer.now())
            } else {
                ReconcilePlan::default()
            }
        })
    }

    /// Commits plans side by side and returns whether all were written. The fleet then shows the
    /// change that refused a plan.
    async fn commit_all(&self, plans: Vec<Plan>, epoch: Epoch) -> bool {
        let plans = stream::iter(plans).map(|plan| async move { self.commit(&plan, epoch).await });
        plans.buffer_unordered(COMMITS).fold(true, async |all, committed| all && committed).await
    }

    fn fleet(&self) -> &FleetHandle {
        self.writer.fleet()
    }

    async fn act(&self, seen: &PollObservation) {
        let (id, until) = (&seen.server.id, clock::now() + self.budget);
        let work = self.judge(id, &seen.sample, seen.epoch, seen.sent_at);
        if work.left_over > 0 {
            info!(server = %id, left_over = work.left_over, "reconciliation continues at the next poll");
        }
        self.commit_all(work.plans, seen.epoch).await;
        // The two kinds of calls run side by side, so that a server that answers one kind too late
        // still gets the other.
        tokio::join!(self.verify_all(seen, work.verify, until), self.end_all(seen, work.ends, until));
    }

    async fn verify_all(&self, seen: &PollObservation, verify: Vec<InstanceCheck>, until: Instant) {
        let verified = stream::iter(verify)
            .map(|verify| async move { self.verify(seen, &verify, until).await })
            .buffer_unordered(CALLS)
            .collect::<Vec<bool>>()
            .await;
        self.note_consistency(&seen.server.id, !verified.contains(&false));
    }

    async fn end_all(&self, seen: &PollObservation, ends: Vec<InstanceEnd>, until: Instant) {
        let ends = stream::iter(ends);
        ends.for_each_concurrent(CALLS, async |end| self.end(seen, &end, until).await).await;
    }

    /// Commits a leader's plan once. The next poll decides a refused or lost plan again.
    async fn commit(&self, plan: &Plan, epoch: Epoch) -> bool {
        let Some(token) = self.leadership.token(clock::now()) else { return false };
        match self.writer.commit_once(plan, &token, epoch).await {
            Ok(TxnVerdict::Committed(_)) => true,
            Ok(TxnVerdict::Refused(at)) => {
                // A later decision uses the newest fleet there is, whether or not the change
                // arrived in time.
                let _ = self.fleet().reach(Revision::new(epoch.number, at), SEE_WITHIN).await;
                false
            }
            Err(error) => {
                warn!(%error, "reconciling write failed");
                false
            }
        }
    }

    /// Requests an instance that is in doubt. Returns whether the server's list agrees with the
    /// server's answer.
    async fn verify(&self, seen: &PollObservation, verify: &InstanceCheck, until: Instant) -> bool {
        if clock::now() >= until || self.leadership.token(clock::now()).is_none() {
            return true;
        }
        let asked = self.fleet().read(|fleet| Some(fleet.server(&verify.server)?.stored.value.clone()));
        let Some(asked) = asked else { return true };
        match (self.servers.exists(&asked, verify.internal_id.as_str()).await, verify.doubt) {
            (Ok(true), CheckReason::Missing) => {
                warn!(server = %asked.id, meeting = %verify.key, "list lacks a running meeting");
                false
            }
            (Ok(true), CheckReason::OneServerTwice) => {
                warn!(
                    server = %seen.server.id, meeting = %verify.key,
                    "`{}` is the same server: the meeting is one", asked.id
                );
                true
            }
            (Ok(false), _) => {
                self.commit(&verify.if_gone, seen.epoch).await;
                true
            }
            (Err(error), _) => {
                debug!(server = %asked.id, %error, "meeting not verified");
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

    /// Ends an instance. The mark is written first, the call is sent only while no other replica
    /// can lead (X3), and the zombie is removed only if the server says that the meeting is gone
    /// (C6).
    async fn end(&self, seen: &PollObservation, end: &InstanceEnd, until: Instant) {
        let server = &seen.server;
        if clock::now() >= until || (!end.mark.is_empty() && !self.commit(&end.mark, seen.epoch).await) {
            return;
        }
        let Some((_, timeout)) = self.leadership.end_timeout(self.call_timeout, clock::now()) else {
            return;
        };
        let call = self.servers.end(server, &end.internal_id, end.moderator_password.as_ref());
        let outcome = ZombieEndOutcome::of(call_within(timeout, call).await);
        if matches!(outcome, ZombieEndOutcome::Gone) {
            let gone = |fleet: &_| reconcile::on_end_not_found(fleet, &end.zombie, &end.internal_id);
            let (plan, epoch) = self.fleet().read(|fleet| (gone(fleet), fleet.epoch()));
            if !plan.is_empty() {
                self.commit(&plan, epoch).await;
            }
        }
        let (server, meeting) = (&server.id, &end.zombie.meeting);
        match outcome.error() {
            Some(error) => warn!(%server, %meeting, error, "{}", outcome.message()),
            None => info!(%server, %meeting, "{}", outcome.message()),
        }
        self.metrics.ended(server, outcome.label());
    }
}
