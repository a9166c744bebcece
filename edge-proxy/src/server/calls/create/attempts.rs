//! The tries of a create, until a server has answered or none is left.

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};
use usher_bbb::{
    call::ApiCall,
    parse::{CreateReply, ServerReply as Parsed, create_reply},
    query::{EditedParameters, QueryEdit},
    reply::Refusal,
};
use usher_model::{
    id::ServerId,
    routing::{RouteState, ServerRoute},
    scope::looks_internal,
    voice::VoiceBridge,
};

use super::{destination::CreateDestination, meeting_creation::MeetingCreation};
use crate::{
    control::placement::AbandonCertainty,
    core::{evidence::FailureKind, rules::numbered},
    server::{
        calls::confirmation::{confirm_placed, confirmation},
        fleet::meeting_owner::MeetingOwner,
        reply::CallReply,
    },
    upstream::{ServerAnswer, ServerCallError, is_our_fault},
};

/// Limit of the numbers that are tried for one meeting, of the servers that answer and refuse one create, and
/// of the times that it is sent to a server which has just failed it.
const TRIES: usize = 3;
/// Times that a create waits for another create of the same id to change the record.
const WAITS: u32 = 5;
/// The first of these pauses; it is doubled before each further one.
const PAUSE: Duration = Duration::from_millis(100);

/// The outcome of one try.
enum TryOutcome {
    /// The create has its answer.
    Answered(CallReply),
    /// The server did not act: another server may be tried.
    NotSent(ServerId),
    /// The server has answered and did not act: perhaps no server accepts this request. The refusal is the caller's
    /// if all servers refuse.
    Refused(ServerId, Option<Refusal>),
    /// The server did not act, and the record is that of another create in progress, which alone can
    /// change it.
    NotOurs(ServerId),
    /// The server did not act because another meeting there has the number: another number may be tried.
    NumberTaken(VoiceBridge),
}

/// The refusals of the servers that were tried.
#[derive(Debug, Default)]
struct TriesRefused {
    /// The last refusal that another try does not change.
    last: Option<Refusal>,
    /// Whether some server did not act for another reason.
    may_be_over: bool,
}

impl TriesRefused {
    fn note(&mut self, tried: &TryOutcome) {
        match tried {
            TryOutcome::Refused(_, Some(refusal)) => self.last = Some(refusal.clone()),
            TryOutcome::Refused(_, None) | TryOutcome::NotSent(_) | TryOutcome::NotOurs(_) => {
                self.may_be_over = true;
            }
            TryOutcome::Answered(_) | TryOutcome::NumberTaken(_) => {}
        }
    }

    /// Returns the answer to a create for which no server is left: the retryable one if another try may succeed.
    fn reply(self) -> CallReply {
        match self.last.filter(|_| !self.may_be_over) {
            Some(refusal) => CallReply::refused(&refusal),
            None => CallReply::unavailable(),
        }
    }
}

impl MeetingCreation {
    /// Tries servers until one has answered.
    pub(super) async fn run(mut self) -> CallReply {
        let (mut excluded, mut tries, mut waits) = (Vec::new(), 0, 0);
        let mut refusals = TriesRefused::default();
        // Servers are tried until the control plane has no other one, or until the deadline.
        while tries < TRIES && self.request.document.can_be_sent() && Instant::now() < self.deadline {
            let tried = match self.destination(&excluded).await {
                Ok(CreateDestination::Existing(owner)) => self.forward(&owner).await,
                // A request of this create has arrived late and has placed the meeting there again.
                Ok(CreateDestination::Placed(server, _)) if excluded.contains(&server.id) => {
                    self.abandon(&server, AbandonCertainty::Definite).await;
                    TryOutcome::Refused(server.id, None)
                }
                Ok(CreateDestination::Placed(server, bridge)) => self.attempt(&server, bridge).await,
                Err(refusal) if refusal == Refusal::SERVER_UNAVAILABLE => return refusals.reply(),
                Err(refusal) => return CallReply::refused(&refusal),
            };
            refusals.note(&tried);
            let server = match tried {
                TryOutcome::Answered(reply) => return reply,
                // No other server has the parent.
                TryOutcome::NotSent(_) | TryOutcome::Refused(..) if self.is_room() => {
                    return refusals.reply();
                }
                TryOutcome::NotSent(ref server) | TryOutcome::Refused(ref server, _) => {
                    tries += usize::from(matches!(tried, TryOutcome::Refused(..)));
                    if let Some(held_back) = self.ports.warnings.admit("second try", server) {
                        info!(%server, held_back, "another server is tried for a create");
                    }
                    self.ports.second_tries.inc();
                    server.clone()
                }
                TryOutcome::NumberTaken(bridge) => {
                    tries += 1;
                    self.wishes.refused_bridges.push(bridge);
                    continue;
                }
                TryOutcome::NotOurs(server) => {
                    if waits == WAITS {
                        return CallReply::unavailable();
                    }
                    let next = Instant::now() + PAUSE * 2_u32.pow(waits);
                    tokio::time::sleep_until(next.min(self.deadline)).await;
                    waits += 1;
                    server
                }
            };
            if !excluded.contains(&server) && !self.is_room() {
                excluded.push(server);
            }
        }
        refusals.reply()
    }

    /// Calls the server, with the number `bridge` if the control plane has chosen one, and with `id` if the
    /// server knows the meeting by another one than servers do in general.
    async fn call(
        &mut self,
        server: &ServerRoute,
        bridge: Option<VoiceBridge>,
        id: Option<&str>,
    ) -> Result<ServerAnswer, ServerCallError> {
        let Some(upload) = self.request.document.upload() else {
            return Err(ServerCallError::NotSendable);
        };
        let mut sent = EditedParameters::resumed(&self.request.parameters, &self.edits);
        sent.apply(id.map(|id| QueryEdit::Set("meetingID", id)));
        sent.apply(bridge.map(numbered));
        if let Some(addresses) = &self.ports.addresses {
            addresses.replace(&mut sent, &self.request.table, &self.key, &server.id).await;
        }
        let parameters = sent.to_text();
        let answer = self.answered(server, &parameters, upload).await;
        self.ports.servers.changed(server, &self.key.tenant);
        answer
    }

    /// Sends the create to the server that has the id. Its answer is final (H4): another server could make a
    /// second meeting. Only the record of another create in progress may move to another server.
    async fn forward(&mut self, owner: &MeetingOwner) -> TryOutcome {
        let is_pending = owner.state == RouteState::Pending;
        let id = if self.is_room() {
            // Only the create in progress knows the id that it has given the room on the server.
            let Some(instance) = owner.instance() else {
                return TryOutcome::NotOurs(owner.server.id.clone());
            };
            Some(instance.as_str())
        } else {
            owner.is_unscoped(self.request.meetings.scope()).then_some(owner.on_server.as_str())
        };
        let answer = match self.call(&owner.server, owner.voice_bridge, id).await {
            Ok(answer) => answer,
            Err(ServerCallError::Refused(refusal)) if refusal.is_of_request() || !is_pending => {
                return TryOutcome::Answered(self.unanswered(&ServerCallError::Refused(refusal)));
            }
            Err(error) if error.is_definite() && is_pending => {
                return TryOutcome::NotOurs(owner.server.id.clone());
            }
            Err(error) => {
                self.warn("a create of a known meeting has no answer", &owner.server.id, &error);
                return TryOutcome::Answered(self.unanswered(&error));
            }
        };
        if is_our_fault(&answer) {
            self.ports.servers.report(&owner.server, FailureKind::BadAnswer, ApiCall::Create, &self.caller());
            return if is_pending {
                TryOutcome::NotOurs(owner.server.id.clone())
            } else {
                TryOutcome::Answered(CallReply::unavailable())
            };
        }
        TryOutcome::Answered(match create_reply(&answer.text) {
            Ok(Parsed::Success(created)) => {
                let same =
                    matches!(&owner.state, RouteState::Active(id) if id.as_str() == created.internal_id);
                // The record of another instance is replaced before the caller gets its answer.
                if same || self.confirm_forwarded(&owner.server.id, &created).await {
                    self.passed_on(&answer)
                } else {
                    CallReply::unavailable()
                }
            }
            // The create that has made the record tries another number, and this one waits for it.
            Ok(Parsed::Failed(failure))
                if is_pending
                    && owner.voice_bridge.is_some()
                    && failure.key == Refusal::VOICE_BRIDGE_TAKEN.key =>
            {
                return TryOutcome::NotOurs(owner.server.id.clone());
            }
            Ok(Parsed::Failed(_)) => self.passed_on(&answer),
            Err(_) => CallReply::unavailable(),
        })
    }

    /// Returns the answer to a create that the server has not answered. Another try may help, unless the
    /// request is at fault.
    fn unanswered(&self, error: &ServerCallError) -> CallReply {
        CallReply::undelivered(ApiCall::Create, error, &self.request.document)
    }

    fn passed_on(&self, answer: &ServerAnswer) -> CallReply {
        CallReply::passed_on(answer, self.request.own_ids(&answer.text).into_owned())
    }

    /// Reports an instance that is not the record's; returns whether the meeting is routed to it now.
    async fn confirm_forwarded(&self, server: &ServerId, created: &CreateReply) -> bool {
        let created = confirmation(&self.key, server, "", created);
        match self.ports.placement.confirm(&created).await {
            Ok(routed) => {
                if !routed && let Some(held_back) = self.ports.warnings.admit("routed elsewhere", server) {
                    info!(%server, held_back, "the meeting of a create is routed to another server by now");
                }
                routed
            }
            Err(error) => {
                self.warn("a create was not confirmed", server, &error);
                false
            }
        }
    }

    /// Sends the create to `server`, on which the meeting was placed for it.
    async fn attempt(&mut self, server: &ServerRoute, bridge: Option<VoiceBridge>) -> TryOutcome {
        match self.call(server, bridge, None).await {
            Ok(answer) if is_our_fault(&answer) => {
                self.ports.servers.report(server, FailureKind::BadAnswer, ApiCall::Create, &self.caller());
                self.abandon(server, AbandonCertainty::Definite).await;
                TryOutcome::Refused(server.id.clone(), None)
            }
            Ok(answer) => match create_reply(&answer.text) {
                Ok(Parsed::Success(created)) => {
                    self.confirm(&server.id, &created).await;
                    TryOutcome::Answered(self.passed_on(&answer))
                }
                Ok(Parsed::Failed(failure)) => {
                    self.abandon(server, AbandonCertainty::Definite).await;
                    let taken = failure.key == Refusal::VOICE_BRIDGE_TAKEN.key;
                    match bridge.filter(|_| taken && self.request.document.can_be_sent()) {
                        Some(bridge) => TryOutcome::NumberTaken(bridge),
                        None => TryOutcome::Answered(self.passed_on(&answer)),
                    }
                }
                Err(_) => {
                    self.abandon(server, AbandonCertainty::Unknown).await;
                    TryOutcome::Answered(CallReply::unavailable())
                }
            },
            // The request cannot be sent to any other server either.
            Err(error @ ServerCallError::NotSendable) => {
                self.warn("a create is abandoned", &server.id, &error);
                self.abandon(server, AbandonCertainty::Definite).await;
                TryOutcome::Answered(CallReply::unavailable())
            }
            Err(error @ ServerCallError::Refused(refusal)) => {
                self.abandon(server, AbandonCertainty::Definite).await;
                if refusal.is_of_request() {
                    TryOutcome::Answered(self.unanswered(&error))
                } else {
                    TryOutcome::Refused(server.id.clone(), error.refusal(None))
                }
            }
            Err(ServerCallError::NotSent(_) | ServerCallError::ServerBusy) => {
                self.abandon(server, AbandonCertainty::Definite).await;
                TryOutcome::NotSent(server.id.clone())
            }
            Err(error) if self.brings_documents && self.is_listed(server) => {
                self.warn("a create has no answer, and its meeting runs", &server.id, &error);
                TryOutcome::Answered(CallReply::unavailable())
            }
            Err(error) => {
                self.warn("the outcome of a create is unknown", &server.id, &error);
                self.abandon(server, AbandonCertainty::Unknown).await;
                TryOutcome::Answered(self.unanswered(&error))
            }
        }
    }

    /// Reports that the create had no effect, as surely as `certainty` says.
    async fn abandon(&self, server: &ServerRoute, certainty: AbandonCertainty) {
        let placement = &self.ports.placement;
        // If the report fails, polls resolve the pending record.
        if let Err(error) = placement.abandon(&self.key, &server.id, &self.token, certainty).await {
            self.warn("a create was not abandoned", &server.id, &error);
        }
    }

    /// Logs a fault at a server, with pauses: one application can repeat its create without end.
    fn warn(&self, fault: &'static str, server: &ServerId, error: impl Display) {
        if let Some(held_back) = self.ports.warnings.admit(fault, server) {
            warn!(%server, %error, held_back, "{fault}");
        }
    }

    /// Reports the success. The caller's answer does not wait for the report (design 4), unless a join that
    /// follows needs the internal id.
    async fn confirm(&self, server: &ServerId, created: &CreateReply) {
        let created = confirmation(&self.key, server, &self.token, created);
        let confirm = confirm_placed(self.ports.placement.clone(), self.ports.warnings.clone(), created);
        let confirmed = self.ports.tasks.spawn_short("confirm", confirm);
        let scope = self.request.meetings.scope();
        if looks_internal(&scope.scoped(self.key.meeting.as_str()).to_string()) {
            // A join of such an id is refused as retryable until the meeting is confirmed.
            let _ = confirmed.await;
        }
    }
}
