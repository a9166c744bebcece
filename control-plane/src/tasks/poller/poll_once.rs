//! One poll of one server, and its consequences.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tracing::{Instrument, debug, info_span, warn};
use usher_model::{
    id::ServerId,
    revision::{FencingToken, Revision},
    server::{Server, ServerSample},
};
use usher_runtime::clock;

use super::sample_reconciler::{PollObservation, SampleReconciler};
use crate::{
    core::{
        epoch::Epoch,
        fleet::{Fleet, FleetServer},
        health::{self, FailureSuspicion, MassFailureGuard},
        lifecycle::PlannedStep,
        now::Now,
        plan::{Plan, PlanWrite},
        policy::Policy,
        reconcile,
    },
    ops::metrics::ControlPlaneMetrics,
    ports::{BbbCallError, BbbServers, StoreError},
    tasks::{
        leadership::Leadership,
        poll_duties::PollDuties,
        writer::{PlanWriter, WriteError},
    },
};

/// Longest wait until this replica has applied its own write.
const SEE_WITHIN: Duration = Duration::from_millis(500);

/// The effect of a poll on the health counters. The counters have a time base, so that a poll
/// between two scheduled ones only brings a fresh sample: otherwise frequent requests would make a
/// server offline or online too early. A requested poll that fails counts like a failed call: it
/// takes the server out of placement, and brings it no nearer to offline (A3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollKind {
    /// A scheduled poll, which moves the counters.
    Check,
    /// A requested poll, which moves no counter.
    Look,
}

/// Polls servers and writes the results.
pub struct PollOnce {
    servers: Arc<dyn BbbServers>,
    writer: PlanWriter,
    leadership: Leadership,
    reconciler: SampleReconciler,
    guard: Mutex<MassFailureGuard>,
    policy: Policy,
    metrics: ControlPlaneMetrics,
    duties: PollDuties,
    write_within: Duration,
}

/// A server at the time when it is polled.
struct PollTarget {
    server: Server,
    modified: u64,
    /// The epoch to which the watermark belongs. In another epoch the sample proves nothing.
    epoch: Epoch,
    watermark: u64,
    /// Whether the consequences of the sample are committed before the sample itself.
    act_first: bool,
}

/// The result is not written: the server's entry or the epoch changed during the poll, so that the
/// answer may belong to another server.
#[derive(Debug, thiserror::Error)]
#[error("the server changed meanwhile")]
struct ServerChanged;

impl PollOnce {
    /// Returns a poll that calls `servers` and writes by `writer`.
    pub fn new(
        servers: Arc<dyn BbbServers>,
        writer: PlanWriter,
        leadership: Leadership,
        reconciler: SampleReconciler,
        metrics: ControlPlaneMetrics,
        duties: PollDuties,
        write_within: Duration,
    ) -> Self {
        let guard = Mutex::default();
        let policy = writer.fleet().read(|fleet| fleet.policy().clone());
        Self { servers, writer, leadership, reconciler, guard, policy, metrics, duties, write_within }
    }

    /// Counts a scheduled poll that found the previous one still under way (C4).
    pub(super) fn skipped(&self, id: &ServerId) {
        warn!(server = %id, "poll skipped, previous one under way");
        self.metrics.skipped(id);
    }

    /// Polls the server and writes the consequences.
    pub(super) async fn poll(&self, id: &ServerId, count: PollKind) {
        let Some(asked) = self.writer.fleet().read(|fleet| asked(fleet, id)) else { return };
        let started = clock::now();
        let span = info_span!("poll", server = %id);
        let mut answer = self.servers.poll(&asked.server, asked.watermark).instrument(span).await;
        self.metrics.polled(id, outcome(&answer), clock::now().saturating_duration_since(started));
        let suspicion = self.judge(id, answer.is_ok(), count);
        let Some(token) = self.leadership.token(clock::now()) else {
            debug!(server = %id, "poll not written, not leading");
            return;
        };
        if let Ok(sample) = &mut answer {
            sample.term = token.create_revision;
            if asked.act_first {
                self.reconciler.act_first(&asked.server, sample, asked.epoch, started).await;
            }
        }
        let comparison = self.comparison(id, asked.epoch).await;
        let deadline = clock::now() + self.write_within;
        let decide = |fleet: &Fleet, now: Now| {
            let as_asked = |server: &FleetServer| server.stored.modified == asked.modified;
            if fleet.epoch() != asked.epoch || !fleet.server(id).is_some_and(as_asked) {
                return Err(ServerChanged);
            }
            let plan = match (&answer, count) {
                (Ok(sample), PollKind::Check) if comparison == SampleComparison::Uncertain => {
                    health::poll_ok_in_full(fleet, id, sample.clone(), now)
                }
                (Ok(sample), PollKind::Check) => health::poll_ok(fleet, id, sample.clone(), now),
                (Ok(sample), PollKind::Look) => health::look_ok(fleet, id, sample.clone()),
                (Err(error), PollKind::Check) => {
                    health::poll_failed(fleet, id, suspicion, &error.to_string(), now.wall_ms)
                }
                (Err(error), PollKind::Look) => {
                    health::report_failure(fleet, id, &error.to_string(), now.wall_ms)
                }
            };
            let outcome = PollWrites::of(&plan);
            Ok(PlannedStep { plan, outcome })
        };
        match self.writer.write(deadline, Some(&token), decide).await {
            // A task that requested the poll reads its result from this replica's fleet. The write
            // is done, applied in time or not.
            Ok(written) => {
                let (writes, revision) = (written.outcome, written.revision);
                self.duties.settle(id, (writes != PollWrites::None).then_some(revision.seq), clock::now());
                if answer.is_ok() && writes != PollWrites::Sample {
                    self.writer.fleet().confirm_sample(id, asked.epoch, started);
                }
                let _ = self.writer.fleet().reach(revision, SEE_WITHIN).await;
            }
            Err(WriteError::Decision(ServerChanged)) => {
                debug!(server = %id, "poll not written, server changed meanwhile");
                self.duties.settle(id, None, clock::now());
                return;
            }
            Err(error) => {
                warn!(server = %id, %error, "poll not written");
                self.duties.lose(id, clock::now());
                if matches!(&error, WriteError::Store(error) if matches!(**error, StoreError::Rejected(_))) {
                    self.rejected(id, &token).await;
                }
            }
        }
        // Reconciliation does not depend on the counters (A7-6), and never uses a failed poll (I8).
        match answer {
            Ok(sample) => {
                let (server, epoch) = (asked.server, asked.epoch);
                self.reconciler.start(PollObservation { server, sample, epoch, sent_at: started });
            }
            Err(error) => debug!(server = %id, %error, "poll failed"),
        }
    }

    /// Returns whether the fleet shows what the store holds of a server, so that a poll that equals it
    /// needs no write.
    async fn comparison(&self, id: &ServerId, epoch: Epoch) -> SampleComparison {
        let Some(revision) = self.duties.comparable_from(id) else { return SampleComparison::Uncertain };
        match self.writer.fleet().reach(Revision::new(epoch.number, revision), SEE_WITHIN).await {
            Ok(()) => SampleComparison::Certain,
            Err(_) => SampleComparison::Uncertain,
        }
    }

    /// Notes that the store takes no sample of a server, one that is too large for instance: the other
    /// replicas would take the last one as fresh, so the server counts as one whose calls fail. A
    /// store that takes no write at all takes no placement either, and its result is no reason for
    /// another leader.
    async fn rejected(&self, id: &ServerId, token: &FencingToken) {
        let decide = |fleet: &Fleet, now: Now| {
            let plan = health::report_failure(fleet, id, "the store rejects its sample", now.wall_ms);
            Ok::<_, Infallible>(PlannedStep { plan, outcome: () })
        };
        let written = self.writer.write(clock::now() + self.write_within, Some(token), decide).await;
        let is_rejected = |error: &StoreError| matches!(error, StoreError::Rejected(_));
        if written.is_ok() || matches!(&written, Err(WriteError::Store(error)) if is_rejected(error)) {
            self.duties.note_rejected(id, clock::now());
        }
    }

    /// Judges whether the failures may be the fault of this side (H10).
    fn judge(&self, id: &ServerId, ok: bool, count: PollKind) -> FailureSuspicion {
        if count == PollKind::Look {
            return FailureSuspicion::None; // it moves no counter
        }
        let most_fail = self.writer.fleet().read(|fleet| health::most_fail(fleet, Some((id, ok))));
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.judge(most_fail, clock::now(), self.policy.mass_hold)
    }
}

/// Whether the fleet shows the last write of a poll of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SampleComparison {
    Certain,
    /// The store may hold a sample that the fleet does not show.
    Uncertain,
}

/// The values that the plan of a poll writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollWrites {
    None,
    Counters,
    Sample,
}

impl PollWrites {
    fn of(plan: &Plan) -> Self {
        let is_sample = |write: &PlanWrite| matches!(write, PlanWrite::Sample(..));
        match plan.writes.iter().any(is_sample) {
            true => Self::Sample,
            false if plan.is_empty() => Self::None,
            false => Self::Counters,
        }
    }
}

fn asked(fleet: &Fleet, id: &ServerId) -> Option<PollTarget> {
    let server = fleet.server(id).filter(|_| fleet.is_polled(id))?;
    Some(PollTarget {
        server: server.stored.value.clone(),
        modified: server.stored.modified,
        epoch: fleet.epoch(),
        watermark: fleet.revision().seq,
        act_first: !fleet.knows(server) || reconcile::ends_on_return(fleet, server),
    })
}

/// Returns the label by which a poll is counted.
fn outcome(answer: &Result<ServerSample, BbbCallError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(BbbCallError::Connect(_)) => "connect",
        Err(BbbCallError::Timeout(_)) => "timeout",
        Err(BbbCallError::Broken(_)) => "broken",
        Err(BbbCallError::Status(_)) => "status",
        Err(BbbCallError::Unreadable(_)) => "unreadable",
        Err(BbbCallError::Failed(_)) => "failed",
    }
}
