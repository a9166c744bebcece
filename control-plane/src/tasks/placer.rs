//! The requests of edges about meetings: place, confirm, abandon, resolve, report. Every replica
//! serves all of them (ADR 3).

mod rebuild;
mod resolve;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::warn;
use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord},
    routing::ServerRoute,
};
use usher_runtime::clock;

use self::rebuild::RebuildProgress;
pub use self::resolve::{MeetingResolver, ResolvedRecord};
use super::writer::{PlanWriter, WriteError, WriteReceipt};
use crate::{
    core::{
        fleet::Fleet,
        health::{self, FailureReport, FailureWeight, PassiveFailureGate},
        lifecycle::{
            self, CreateAnswer, CreateCertainty, CreateRequest, EndReport, EndReportOutcome, NoRoomServer,
            PlacementOutcome, PlannedStep,
        },
        load,
        now::Now,
        placement::{InflightPlacements, NoServer, WhenFull, has_all_its_meetings},
    },
    ops::metrics::ControlPlaneMetrics,
};

/// Longest wait for a server that can take one more create (F5).
const SATURATED_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the best server while another one could take the create.
const BEST_WAIT: Duration = Duration::from_secs(4);
/// Pause after which a choice is repeated although the fleet did not change, because the rules
/// depend on time.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Longest wait until this replica has applied its own write.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// The reason why a meeting was not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlacementRefusal {
    /// No server can take the meeting.
    #[error("no server takes the meeting: {0}")]
    NoServer(NoServer),
    /// The meeting is a breakout room that cannot be created on its parent's server.
    #[error("no breakout room: {0}")]
    NoRoom(NoRoomServer),
    /// The tenant has reached its limit of meetings.
    #[error("the tenant has reached its limit of meetings")]
    TenantFull,
    /// The store is new, and some servers have not been polled yet (design 11).
    #[error("records are being rebuilt from polls of the servers")]
    Rebuilding,
}

/// The result of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPlacement {
    /// The record of the meeting.
    pub record: MeetingRecord,
    /// The server that the edge calls.
    pub server: ServerRoute,
    /// Whether the record existed before this request.
    pub existing: bool,
    /// Whether the meeting's number is outside its tenant's range, because the range is exhausted.
    pub spared: bool,
}

/// Creates and changes records on behalf of edges; clones share one state.
#[derive(Clone)]
pub struct MeetingPlacer {
    writer: PlanWriter,
    inflight: Arc<Mutex<InflightPlacements>>,
    gate: Arc<Mutex<PassiveFailureGate>>,
    looks: Arc<Mutex<PassiveFailureGate>>,
    rebuild: Arc<RebuildProgress>,
    metrics: ControlPlaneMetrics,
}

/// Removes a choice from the inflight ones when the request ends in any way.
struct InflightChoice<'a> {
    inflight: &'a Mutex<InflightPlacements>,
    token: &'a str,
}

impl Drop for InflightChoice<'_> {
    fn drop(&mut self) {
        self.inflight.lock().unwrap_or_else(PoisonError::into_inner).end(self.token);
    }
}

impl MeetingPlacer {
    /// Returns a placer that writes by `writer`. `first_poll` is the time in which a new server
    /// must answer its first poll during a rebuild.
    pub fn new(writer: PlanWriter, first_poll: Duration, metrics: ControlPlaneMetrics) -> Self {
        Self {
            writer,
            inflight: Arc::default(),
            gate: Arc::default(),
            looks: Arc::default(),
            rebuild: Arc::new(RebuildProgress::new(first_poll)),
            metrics,
        }
    }

    /// Places a meeting, or returns its existing record. Waits while all online servers are busy;
    /// only then, and if too few servers are online, uses an unhealthy server (E5).
    ///
    /// # Errors
    /// No server can take the meeting, or the store did not take the record.
    pub async fn place(
        &self,
        mut request: CreateRequest,
        deadline: Instant,
    ) -> Result<WriteReceipt<ChosenPlacement>, WriteError<PlacementRefusal>> {
        let begun = clock::now();
        let give_up = deadline.min(begun + SATURATED_WAIT);
        let mut changes = self.writer.fleet().revisions();
        loop {
            changes.mark_unchanged();
            if request.placement.when_full == WhenFull::Wait
                && clock::now().saturating_duration_since(begun) > BEST_WAIT
            {
                request.placement.when_full = WhenFull::PassOver;
            }
            let placed = self.try_place(&request, deadline).await;
            match &placed {
                Err(WriteError::Decision(PlacementRefusal::NoServer(NoServer::Saturated)))
                    if clock::now() < give_up =>
                {
                    // A create that is confirmed or abandoned frees a slot and changes the fleet.
                    let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
                }
                // Every online server was full during the whole wait (E5).
                Err(WriteError::Decision(PlacementRefusal::NoServer(NoServer::Saturated)))
                    if clock::now() < deadline && request.placement.when_full != WhenFull::LastResort =>
                {
                    request.placement.when_full = WhenFull::LastResort;
                }
                placed_or_not => {
                    self.metrics.placed(outcome(placed_or_not));
                    return placed;
                }
            }
        }
    }

    async fn try_place(
        &self,
        request: &CreateRequest,
        deadline: Instant,
    ) -> Result<WriteReceipt<ChosenPlacement>, WriteError<PlacementRefusal>> {
        let _choice = InflightChoice { inflight: &self.inflight, token: &request.token };
        let written =
            self.writer.write(deadline, None, |fleet, now| self.decide(fleet, request, now)).await?;
        if written.outcome.spared {
            self.metrics.spared();
            warn!(tenant = %request.placement.key.tenant, "voice bridge range exhausted, spare number used");
        }
        // The applied record replaces the inflight choice in the count of this replica's next
        // requests.
        let _ = self.writer.fleet().reach(written.revision, SEE_WITHIN).await;
        Ok(written)
    }

    /// Returns the epoch, and whether unknown meetings may run because the store lost its state and
    /// some servers have not been polled since.
    pub fn rebuilding(&self) -> (u64, bool) {
        self.writer.fleet().read(|fleet| (fleet.epoch().number, self.rebuilds(fleet, clock::now())))
    }

    fn rebuilds(&self, fleet: &Fleet, now: Instant) -> bool {
        self.rebuild.goes_on(fleet, now) || self.writer.fleet().awaits_more(fleet, now)
    }

    /// Decides and notes the choice under one lock, so that no request chooses unaware of another
    /// one.
    fn decide(
        &self,
        fleet: &Fleet,
        request: &CreateRequest,
        now: Now,
    ) -> Result<PlannedStep<ChosenPlacement>, PlacementRefusal> {
        let key = &request.placement.key;
        // A record of an earlier epoch may be outdated: the id may run on another server by now. A
        // record whose server is missing is as uncertain, because a store that is filled again gets
        // the server a moment later.
        let is_settled = |key: &MeetingKey| {
            fleet.record(key).is_some_and(|stored| {
                stored.modified > fleet.epoch().begun && fleet.server(&stored.value.server).is_some()
            })
        };
        let parent = request.parent.as_ref().map(|id| MeetingKey::new(key.tenant.clone(), id.clone()));
        let settled = is_settled(key) && parent.as_ref().is_none_or(is_settled);
        if !settled && self.rebuilds(fleet, now.instant) {
            return Err(PlacementRefusal::Rebuilding);
        }
        let mut inflight = self.inflight.lock().unwrap_or_else(PoisonError::into_inner);
        inflight.end(&request.token);
        inflight.see(fleet);
        let PlannedStep { plan, outcome } = match &request.parent {
            // A breakout room is part of its parent: it counts neither as a meeting nor as load of
            // its own.
            Some(parent) => {
                lifecycle::place_room(fleet, request, parent, now).map_err(PlacementRefusal::NoRoom)?
            }
            None if has_all_its_meetings(fleet, &inflight, key) => return Err(PlacementRefusal::TenantFull),
            None => lifecycle::place(fleet, &inflight, request, now).map_err(PlacementRefusal::NoServer)?,
        };
        let (record, existing) = match outcome {
            PlacementOutcome::New { record, .. } if record.breakout => (record, false),
            PlacementOutcome::New { record, .. } => {
                let settings = &fleet.policy().placement;
                let users = load::floor(request.placement.max_users, request.placement.size_hint, settings);
                inflight.begin(&request.token, key.clone(), record.server.clone(), users);
                (record, false)
            }
            // This is another attempt of a request whose answer was lost.
            PlacementOutcome::Existing(record) if record.token == request.token => (record, false),
            PlacementOutcome::Existing(record) => (record, true),
        };
        let server = fleet.routing().server(&record.server).cloned();
        let server = server.ok_or(PlacementRefusal::NoServer(NoServer::NoneHealthy))?;
        let range = fleet.voice_range(&key.tenant);
        let spared = !plan.is_empty()
            && record.voice_bridge.is_some_and(|bridge| !range.is_some_and(|range| range.contains(bridge)));
        Ok(PlannedStep { plan, outcome: ChosenPlacement { record, server, existing, spared } })
    }

    /// Confirms a create that a server answered with SUCCESS. Returns whether the edge may pass the
    /// success on.
    ///
    /// # Errors
    /// The store did not take the write.
    pub async fn confirm(
        &self,
        key: &MeetingKey,
        answer: &CreateAnswer,
        deadline: Instant,
    ) -> Result<WriteReceipt<bool>, WriteError<Infallible>> {
        self.certain(deadline, |fleet, now| lifecycle::confirm(fleet, key, answer, now.wall_ms)).await
    }

    /// Abandons a create that is certainly or perhaps not done.
    ///
    /// # Errors
    /// The store did not take the write.
    pub async fn abandon(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        certainty: CreateCertainty,
        deadline: Instant,
    ) -> Result<WriteReceipt<bool>, WriteError<Infallible>> {
        let decide =
            |fleet: &Fleet, now: Now| lifecycle::abandon(fleet, key, server, token, certainty, now.wall_ms);
        let written = self.certain(deadline, decide).await?;
        // The caller places the id again at once, and an older fleet would still show the abandoned
        // record.
        let _ = self.writer.fleet().reach(written.revision, SEE_WITHIN).await;
        Ok(written)
    }

    /// Notes the result of an `end` call.
    ///
    /// # Errors
    /// The store did not take the write.
    pub async fn report_end(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        ended: EndReport<'_>,
        deadline: Instant,
    ) -> Result<WriteReceipt<EndReportOutcome>, WriteError<Infallible>> {
        let decide = |fleet: &Fleet, now: Now| lifecycle::report_end(fleet, key, server, ended, now.wall_ms);
        self.certain(deadline, decide).await
    }

    /// Reports a failed call of a user to a server whose polls succeed. At most one report an
    /// interval counts (A3). Returns whether the server is to be polled instead, at most once an
    /// interval too.
    ///
    /// # Errors
    /// The store did not take the write.
    pub async fn report_failure(
        &self,
        server: &ServerId,
        report: &FailureReport,
        reason: &str,
        deadline: Instant,
    ) -> Result<bool, WriteError<Infallible>> {
        let (interval, weight, is_known) = self.writer.fleet().read(|fleet| {
            (fleet.policy().interval, health::weigh(report, fleet), fleet.server(server).is_some())
        });
        let gate = match weight {
            FailureWeight::Counts => &self.gate,
            FailureWeight::Look => &self.looks,
        };
        let admitted = is_known
            && gate.lock().unwrap_or_else(PoisonError::into_inner).admit(server, clock::now(), interval);
        if admitted && weight == FailureWeight::Counts {
            let decide = |fleet: &Fleet, now: Now| {
                let plan = health::report_failure(fleet, server, reason, now.wall_ms);
                PlannedStep { plan, outcome: () }
            };
            self.certain(deadline, decide).await?;
        }
        Ok(admitted && weight == FailureWeight::Look)
    }

    async fn certain<T>(
        &self,
        deadline: Instant,
        decide: impl Fn(&Fleet, Now) -> PlannedStep<T>,
    ) -> Result<WriteReceipt<T>, WriteError<Infallible>> {
        self.writer.write(deadline, None, |fleet, now| Ok(decide(fleet, now))).await
    }
}

/// Returns the label by which a placement is counted.
fn outcome(placed: &Result<WriteReceipt<ChosenPlacement>, WriteError<PlacementRefusal>>) -> &'static str {
    match placed {
        Ok(written) if written.outcome.existing => "existing",
        Ok(_) => "placed",
        Err(WriteError::Decision(PlacementRefusal::Rebuilding)) => "rebuilding",
        Err(WriteError::Decision(PlacementRefusal::TenantFull)) => "tenant_full",
        Err(WriteError::Decision(PlacementRefusal::NoRoom(reason))) => match reason {
            NoRoomServer::NoParent => "no_parent",
            NoRoomServer::Taken => "id_taken",
            NoRoomServer::ServerAway => "parent_away",
            NoRoomServer::Leftover => "leftover",
        },
        Err(WriteError::Decision(PlacementRefusal::NoServer(reason))) => match reason {
            NoServer::NoneHealthy => "no_server_healthy",
            NoServer::PoolEmpty => "pool_empty",
            NoServer::TagUnavailable => "tag_unavailable",
            NoServer::LoadUnknown => "load_unknown",
            NoServer::Saturated => "saturated",
        },
        Err(WriteError::Store(_)) => "store",
        Err(WriteError::Deadline) => "deadline",
    }
}
