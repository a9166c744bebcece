//! What edges ask for while they serve requests: place, confirm, abandon, resolve, report. Any
//! replica does all of it.

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

use self::rebuild::Rebuild;
pub use self::resolve::Resolver;
use super::writer::{WriteError, Writer, Written};
use crate::{
    core::{
        fleet::Fleet,
        health::{self, FailureReport, PassiveGate, Weight},
        lifecycle::{self, Answer, Certainty, EndOutcome, Ended, NoRoom, PlaceRequest, Placed, Step},
        load,
        now::Now,
        placement::{Inflight, NoServer, WhenFull, has_all_its_meetings},
    },
    ops::metrics::ControlPlaneMetrics,
};

/// Longest wait for a server that takes one more create (F5).
const SATURATED_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the best server while another could take the create.
const BEST_WAIT: Duration = Duration::from_secs(4);
/// Pause after which a choice is made anew although nothing changed: time itself may have.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Longest wait until this replica sees what it has written itself.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// Why a meeting was not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// No server can take it.
    #[error("no server takes the meeting: {0}")]
    NoServer(NoServer),
    /// It is a breakout room, and cannot be made beside its parent.
    #[error("no breakout room: {0}")]
    NoRoom(NoRoom),
    /// Its tenant has as many meetings as it may.
    #[error("the tenant has as many meetings as it may have at a time")]
    TenantFull,
    /// The store is new and the servers have not all been asked what runs on them.
    #[error("records are being rebuilt from what runs on the servers")]
    Rebuilding,
}

/// Where a create goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The record.
    pub record: MeetingRecord,
    /// The server to call.
    pub server: ServerRoute,
    /// The record stood already.
    pub existing: bool,
    /// Its number is none of its tenant's range, which has none left.
    pub spared: bool,
}

/// Makes and changes records on behalf of edges; clones share everything.
#[derive(Clone)]
pub struct Placer {
    writer: Writer,
    inflight: Arc<Mutex<Inflight>>,
    gate: Arc<Mutex<PassiveGate>>,
    looks: Arc<Mutex<PassiveGate>>,
    rebuild: Arc<Rebuild>,
    metrics: ControlPlaneMetrics,
}

/// Forgets a choice when the request ends, however it ends.
struct Choice<'a> {
    inflight: &'a Mutex<Inflight>,
    token: &'a str,
}

impl Drop for Choice<'_> {
    fn drop(&mut self) {
        self.inflight.lock().unwrap_or_else(PoisonError::into_inner).end(self.token);
    }
}

impl Placer {
    /// Writes by `writer`; `first_poll` is the time a server that was never asked has to answer.
    pub fn new(writer: Writer, first_poll: Duration, metrics: ControlPlaneMetrics) -> Self {
        Self {
            writer,
            inflight: Arc::default(),
            gate: Arc::default(),
            looks: Arc::default(),
            rebuild: Arc::new(Rebuild::new(first_poll)),
            metrics,
        }
    }

    /// Gives a meeting a server, or finds the one it has. While all servers that are well are busy it waits,
    /// and takes one that is unhealthy only then, if so few are well (E5).
    ///
    /// # Errors
    /// No server takes it, or the store did not take the record.
    pub async fn place(
        &self,
        mut request: PlaceRequest,
        deadline: Instant,
    ) -> Result<Written<Placement>, WriteError<NoPlace>> {
        let begun = clock::now();
        let give_up = deadline.min(begun + SATURATED_WAIT);
        let mut changes = self.writer.fleet().revisions();
        loop {
            changes.mark_unchanged();
            if request.ask.when_full == WhenFull::Wait
                && clock::now().saturating_duration_since(begun) > BEST_WAIT
            {
                request.ask.when_full = WhenFull::PassOver;
            }
            let placed = self.try_place(&request, deadline).await;
            match &placed {
                Err(WriteError::Decision(NoPlace::NoServer(NoServer::Saturated)))
                    if clock::now() < give_up =>
                {
                    // A create that was confirmed or abandoned makes room.
                    let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
                }
                // Every online server was full all the while (E5).
                Err(WriteError::Decision(NoPlace::NoServer(NoServer::Saturated)))
                    if clock::now() < deadline && request.ask.when_full != WhenFull::LastResort =>
                {
                    request.ask.when_full = WhenFull::LastResort;
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
        request: &PlaceRequest,
        deadline: Instant,
    ) -> Result<Written<Placement>, WriteError<NoPlace>> {
        let _choice = Choice { inflight: &self.inflight, token: &request.token };
        let written =
            self.writer.write(deadline, None, |fleet, now| self.decide(fleet, request, now)).await?;
        if written.outcome.spared {
            self.metrics.spared();
            warn!(tenant = %request.ask.key.tenant, "every number of the range is in use; a room got a spare one");
        }
        // From then on the fleet itself counts the choice, for this replica's next ones too.
        let _ = self.writer.fleet().reach(written.revision, SEE_WITHIN).await;
        Ok(written)
    }

    /// Tells whether meetings may run that no record tells of, because the store lost what it held and
    /// not all servers have been asked since; and of which epoch that is said.
    pub fn rebuilding(&self) -> (u64, bool) {
        self.writer.fleet().read(|fleet| (fleet.epoch().number, self.rebuilds(fleet, clock::now())))
    }

    fn rebuilds(&self, fleet: &Fleet, now: Instant) -> bool {
        self.rebuild.goes_on(fleet, now) || self.writer.fleet().awaits_more(fleet, now)
    }

    /// Decides and notes the choice in one step, so that no two requests choose unaware of another.
    fn decide(&self, fleet: &Fleet, request: &PlaceRequest, now: Now) -> Result<Step<Placement>, NoPlace> {
        let key = &request.ask.key;
        // What an earlier epoch wrote down may be long past: the id may run elsewhere by now.
        // So may one whose server is not there: a store that is filled again has it a moment later.
        let is_settled = |key: &MeetingKey| {
            fleet.record(key).is_some_and(|stored| {
                stored.modified > fleet.epoch().begun && fleet.server(&stored.value.server).is_some()
            })
        };
        let parent = request.parent.as_ref().map(|id| MeetingKey::new(key.tenant.clone(), id.clone()));
        let settled = is_settled(key) && parent.as_ref().is_none_or(is_settled);
        if !settled && self.rebuilds(fleet, now.instant) {
            return Err(NoPlace::Rebuilding);
        }
        let mut inflight = self.inflight.lock().unwrap_or_else(PoisonError::into_inner);
        inflight.end(&request.token);
        let Step { plan, outcome } = match &request.parent {
            // Part of its parent: no meeting more, and no load that was not there.
            Some(parent) => lifecycle::place_room(fleet, request, parent, now).map_err(NoPlace::NoRoom)?,
            None if has_all_its_meetings(fleet, &inflight, key) => return Err(NoPlace::TenantFull),
            None => lifecycle::place(fleet, &inflight, request, now).map_err(NoPlace::NoServer)?,
        };
        let (record, existing) = match outcome {
            Placed::New { record, .. } if record.breakout => (record, false),
            Placed::New { record, .. } => {
                let settings = &fleet.policy().placement;
                let users = load::floor(request.ask.max_users, request.ask.size_hint, settings);
                inflight.begin(&request.token, key.clone(), record.server.clone(), users);
                (record, false)
            }
            // A try of this very request whose answer was lost.
            Placed::Existing(record) if record.token == request.token => (record, false),
            Placed::Existing(record) => (record, true),
        };
        let server = fleet.routing().server(&record.server).cloned();
        let server = server.ok_or(NoPlace::NoServer(NoServer::NoneHealthy))?;
        let range = fleet.voice_range(&key.tenant);
        let spared = !plan.is_empty()
            && record.voice_bridge.is_some_and(|bridge| !range.is_some_and(|range| range.contains(bridge)));
        Ok(Step { plan, outcome: Placement { record, server, existing, spared } })
    }

    /// A server answered SUCCESS to a create. Tells whether the caller may be told so.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn confirm(
        &self,
        key: &MeetingKey,
        answer: &Answer,
        deadline: Instant,
    ) -> Result<Written<bool>, WriteError<Infallible>> {
        self.certain(deadline, |fleet, now| lifecycle::confirm(fleet, key, answer, now.wall_ms)).await
    }

    /// A create came to nothing, certainly or perhaps.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn abandon(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        certainty: Certainty,
        deadline: Instant,
    ) -> Result<Written<bool>, WriteError<Infallible>> {
        let decide =
            |fleet: &Fleet, now: Now| lifecycle::abandon(fleet, key, server, token, certainty, now.wall_ms);
        let written = self.certain(deadline, decide).await?;
        // Whoever gives an id up asks for it again at once, and is not to be told of what is gone.
        let _ = self.writer.fleet().reach(written.revision, SEE_WITHIN).await;
        Ok(written)
    }

    /// A meeting was asked to end.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn report_end(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        ended: Ended<'_>,
        deadline: Instant,
    ) -> Result<Written<EndOutcome>, WriteError<Infallible>> {
        let decide = |fleet: &Fleet, now: Now| lifecycle::report_end(fleet, key, server, ended, now.wall_ms);
        self.certain(deadline, decide).await
    }

    /// A call to a server failed although polls succeed. At most one an interval counts (A3). Tells whether
    /// the server is to be looked at instead, which is worth it as often.
    ///
    /// # Errors
    /// The store did not take it.
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
            Weight::Counts => &self.gate,
            Weight::Look => &self.looks,
        };
        let admitted = is_known
            && gate.lock().unwrap_or_else(PoisonError::into_inner).admit(server, clock::now(), interval);
        if admitted && weight == Weight::Counts {
            let decide = |fleet: &Fleet, now: Now| {
                let plan = health::report_failure(fleet, server, reason, now.wall_ms);
                Step { plan, outcome: () }
            };
            self.certain(deadline, decide).await?;
        }
        Ok(admitted && weight == Weight::Look)
    }

    async fn certain<T>(
        &self,
        deadline: Instant,
        decide: impl Fn(&Fleet, Now) -> Step<T>,
    ) -> Result<Written<T>, WriteError<Infallible>> {
        self.writer.write(deadline, None, |fleet, now| Ok(decide(fleet, now))).await
    }
}

/// Returns the label by which placements are counted.
fn outcome(placed: &Result<Written<Placement>, WriteError<NoPlace>>) -> &'static str {
    match placed {
        Ok(written) if written.outcome.existing => "existing",
        Ok(_) => "placed",
        Err(WriteError::Decision(NoPlace::Rebuilding)) => "rebuilding",
        Err(WriteError::Decision(NoPlace::TenantFull)) => "tenant_full",
        Err(WriteError::Decision(NoPlace::NoRoom(reason))) => match reason {
            NoRoom::NoParent => "no_parent",
            NoRoom::Taken => "id_taken",
            NoRoom::ServerAway => "parent_away",
            NoRoom::Leftover => "leftover",
        },
        Err(WriteError::Decision(NoPlace::NoServer(reason))) => match reason {
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
