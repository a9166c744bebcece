//! `create`: place, call the server, report (design 4). It runs in a task of its own, so that a
//! client that goes away leaves neither a create nor its record half done (C10).

mod destination;
mod parent;
mod patience;
mod reports;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::{info, warn};
use usher_bbb::{
    call::ApiCall,
    parse::{CreateReply, ServerReply as Parsed, create_reply},
    query::{QueryEdit, RawQuery, rewrite},
    reply::Refusal,
};
use usher_model::{
    id::ServerId,
    meeting::MeetingKey,
    routing::{RouteState, ServerRoute},
    scope::looks_internal,
    voice::VoiceBridge,
};

pub(in crate::server) use self::reports::confirmation;

use self::destination::Destination;
use crate::server::{
    admission::body::Document,
    fleet::locate::Owner,
    reply::Reply,
    request::{Ask, faulty},
    router::Gateway,
};
use crate::{
    control::placement::AbandonCertainty,
    core::{
        evidence::FailureKind,
        presentation::modules,
        resign::{in_url, outgoing},
        rules::{PlacementWishes, numbered, wishes},
    },
    upstream::{ServerAnswer, ServerCallError, UploadBody, is_our_fault},
};

/// Numbers that are tried for one room, servers that answer and refuse one create, and times that it is sent
/// to a server which has just failed it.
const TRIES: usize = 3;
/// Times that a create waits for another one of its id to move on, and the pause before the first;
/// doubled before each further one.
const WAITS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a create to its end, whether the client waits or not.
pub(in crate::server) async fn create(gateway: Arc<Gateway>, mut ask: Ask) -> Reply {
    let Some(key) = ask.key() else { return Reply::unavailable() };
    let route = Arc::clone(&ask.route);
    let ruled = gateway.rules.ruled(&ask.parameters, &route.policy);
    let mut wishes = wishes(&ruled);
    let brings_nothing = ask.document.is_empty() && !brings_presentation(&ruled);
    let parameters = gateway.rules.create(&ruled, &key, ask.meetings.scope(), &route.policy);
    if let Some(shown) = &route.policy.presentation
        && (shown.forced || brings_nothing)
    {
        ask.document = Document::Held(modules(shown).into());
    }
    let brings_documents = !ask.document.is_empty() || brings_presentation(&ruled);
    let parameters = match parent::room(&gateway, &ask, &key, &parameters).await {
        Ok(Some(room)) => {
            wishes.parent = Some(room.parent);
            room.parameters
        }
        Ok(None) => parameters,
        Err(reply) => return reply,
    };
    let creation = Creation {
        deadline: Instant::now() + gateway.limits.create,
        wishes,
        digest: Sha256::digest(&ask.parameters).into(),
        token: format!("{:032x}", rand::random::<u128>()),
        parameters,
        brings_documents,
        gateway: Arc::clone(&gateway),
        key,
        ask,
    };
    let done = gateway.tasks.spawn_short("create", creation.run());
    done.await.unwrap_or_else(|_| Reply::unavailable())
}

/// Tells whether a create names a presentation in its parameters.
fn brings_presentation(parameters: &str) -> bool {
    RawQuery::new(parameters).first("preUploadedPresentation").is_some_and(|url| !url.trim().is_empty())
}

/// Refuses a create; where another try may help, in the way that says so.
fn refused(refusal: &Refusal) -> Reply {
    if *refusal == Refusal::SERVER_UNAVAILABLE { Reply::unavailable() } else { Reply::refused(refusal) }
}

struct Creation {
    gateway: Arc<Gateway>,
    ask: Ask,
    key: MeetingKey,
    /// As the server gets them.
    parameters: String,
    wishes: PlacementWishes,
    digest: [u8; 32],
    /// Names this create towards the control planes.
    token: String,
    /// The server fetches documents before it answers.
    brings_documents: bool,
    deadline: Instant,
}

/// What came of one try.
enum Tried {
    Answered(Reply),
    /// Certainly nothing: another server may be tried.
    Nothing(ServerId),
    /// The same, and the server did answer: perhaps it is the request that no server takes.
    Refused(ServerId),
    /// Certainly nothing, and the record is of another create under way, which alone can move it on.
    NotOurs(ServerId),
    /// Certainly nothing: a meeting on the server has the room's number, and another may be tried.
    NumberTaken(VoiceBridge),
}

impl Creation {
    async fn run(mut self) -> Reply {
        let (mut excluded, mut tries, mut waits) = (Vec::new(), 0, 0);
        // Servers are tried until none is left, which the control plane says, or until the time is over.
        while tries < TRIES && self.ask.document.can_be_sent() && Instant::now() < self.deadline {
            let tried = match self.destination(&excluded).await {
                Ok(Destination::Standing(owner)) => self.forward(&owner).await,
                // A request of ours that came late has placed it there again.
                Ok(Destination::Placed(server, _)) if excluded.contains(&server.id) => {
                    self.abandon(&server, AbandonCertainty::Definite).await;
                    Tried::Refused(server.id)
                }
                Ok(Destination::Placed(server, bridge)) => self.attempt(&server, bridge).await,
                Err(refusal) => return refused(&refusal),
            };
            let server = match tried {
                Tried::Answered(reply) => return reply,
                // No other server can make it.
                Tried::Nothing(_) | Tried::Refused(_) if self.is_room() => return Reply::unavailable(),
                Tried::Nothing(ref server) | Tried::Refused(ref server) => {
                    tries += usize::from(matches!(tried, Tried::Refused(_)));
                    info!(%server, "another server is tried for a create");
                    self.gateway.metrics.second_tries.inc();
                    server.clone()
                }
                Tried::NumberTaken(bridge) => {
                    tries += 1;
                    self.wishes.refused_bridges.push(bridge);
                    continue;
                }
                Tried::NotOurs(server) => {
                    if waits == WAITS {
                        return Reply::unavailable();
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
        Reply::unavailable()
    }

    /// Tells whether it is a breakout room's, whose server is its parent's.
    fn is_room(&self) -> bool {
        self.wishes.parent.is_some()
    }

    async fn call(
        &mut self,
        server: &ServerRoute,
        bridge: Option<VoiceBridge>,
    ) -> Result<ServerAnswer, ServerCallError> {
        let Some(upload) = self.ask.document.upload() else {
            return Err(ServerCallError::NotSendable);
        };
        let parameters =
            bridge.map_or_else(|| self.parameters.clone(), |bridge| numbered(&self.parameters, bridge));
        let parameters = match &self.gateway.callbacks {
            Some(callbacks) => callbacks.rewritten(&parameters, &self.ask.table, &self.key, &server.id).await,
            None => parameters,
        };
        let url = match upload {
            UploadBody::None => outgoing(server, ApiCall::Create, &parameters, &[]),
            UploadBody::Xml(_) | UploadBody::Multipart(..) => {
                in_url(server, ApiCall::Create, &parameters, &[])
            }
        };
        let answer = self.patiently(server, url, upload).await;
        self.gateway.reads.changed(&server.id);
        answer
    }

    /// The id has a server: its answer is the answer, and there is no other try (H4). Only a record
    /// that another create has just made may move on when its server did nothing.
    async fn forward(&mut self, owner: &Owner) -> Tried {
        let in_the_making = owner.state == RouteState::Pending;
        if self.is_room() {
            // What the create that is under way calls it there nobody else knows.
            let Some(instance) = owner.instance() else { return Tried::NotOurs(owner.server.id.clone()) };
            self.parameters = rewrite(&self.parameters, &[QueryEdit::Set("meetingID", instance.as_str())]);
        } else if owner.is_bare(self.ask.meetings.scope()) {
            self.parameters = rewrite(&self.parameters, &[QueryEdit::Set("meetingID", &owner.on_server)]);
        }
        let answer = match self.call(&owner.server, owner.voice_bridge).await {
            Ok(answer) => answer,
            Err(error) if error.is_definite() && in_the_making => {
                return Tried::NotOurs(owner.server.id.clone());
            }
            Err(error) => {
                warn!(server = %owner.server.id, %error, "a create of a known meeting has no answer");
                return Tried::Answered(self.unanswered());
            }
        };
        if is_our_fault(&answer) {
            self.gateway.upstream.report(
                &owner.server.id,
                FailureKind::BadAnswer,
                ApiCall::Create,
                &self.caller(),
            );
            return if in_the_making {
                Tried::NotOurs(owner.server.id.clone())
            } else {
                Tried::Answered(Reply::unavailable())
            };
        }
        Tried::Answered(match create_reply(&answer.text) {
            Ok(Parsed::Success(created)) => {
                let same =
                    matches!(&owner.state, RouteState::Active(id) if id.as_str() == created.internal_id);
                // Another instance than the record's: written down before the caller hears of it.
                if same || self.confirm_forwarded(&owner.server.id, &created).await {
                    self.passed_on(&answer)
                } else {
                    Reply::unavailable()
                }
            }
            // The create that made the record tries another number.
            Ok(Parsed::Failed(failure))
                if in_the_making
                    && owner.voice_bridge.is_some()
                    && failure.key == Refusal::VOICE_BRIDGE_TAKEN.key =>
            {
                return Tried::NotOurs(owner.server.id.clone());
            }
            Ok(Parsed::Failed(_)) => self.passed_on(&answer),
            Err(_) => Reply::unavailable(),
        })
    }

    /// The answer where the server gave none: trying again helps, unless the body is to blame.
    fn unanswered(&self) -> Reply {
        let fault = self.ask.document.fault();
        fault.map_or_else(Reply::unavailable, |fault| Reply::refused(&faulty(fault)))
    }

    fn passed_on(&self, answer: &ServerAnswer) -> Reply {
        Reply::passed_on(answer, self.ask.own_ids(&answer.text).into_owned())
    }

    async fn confirm_forwarded(&self, server: &ServerId, created: &CreateReply) -> bool {
        let created = reports::confirmation(&self.key, server, "", created);
        match self.gateway.placement.confirm(&created).await {
            Ok(routed) => {
                if !routed {
                    info!(%server, "a meeting was created that is routed elsewhere by now");
                }
                routed
            }
            Err(error) => {
                warn!(%server, %error, "a create was not confirmed");
                false
            }
        }
    }

    /// The id was placed on `server` for this create.
    async fn attempt(&mut self, server: &ServerRoute, bridge: Option<VoiceBridge>) -> Tried {
        match self.call(server, bridge).await {
            Ok(answer) if is_our_fault(&answer) => {
                self.gateway.upstream.report(
                    &server.id,
                    FailureKind::BadAnswer,
                    ApiCall::Create,
                    &self.caller(),
                );
                self.abandon(server, AbandonCertainty::Definite).await;
                Tried::Refused(server.id.clone())
            }
            Ok(answer) => match create_reply(&answer.text) {
                Ok(Parsed::Success(created)) => {
                    self.confirm(&server.id, &created).await;
                    Tried::Answered(self.passed_on(&answer))
                }
                Ok(Parsed::Failed(failure)) => {
                    self.abandon(server, AbandonCertainty::Definite).await;
                    let taken = failure.key == Refusal::VOICE_BRIDGE_TAKEN.key;
                    match bridge.filter(|_| taken && self.ask.document.can_be_sent()) {
                        Some(bridge) => Tried::NumberTaken(bridge),
                        None => Tried::Answered(self.passed_on(&answer)),
                    }
                }
                Err(_) => {
                    self.abandon(server, AbandonCertainty::Unknown).await;
                    Tried::Answered(Reply::unavailable())
                }
            },
            // No other server would get it either.
            Err(error @ ServerCallError::NotSendable) => {
                warn!(%error, "a create is given up");
                self.abandon(server, AbandonCertainty::Definite).await;
                Tried::Answered(Reply::unavailable())
            }
            Err(ServerCallError::Refused(_)) => {
                self.abandon(server, AbandonCertainty::Definite).await;
                Tried::Refused(server.id.clone())
            }
            Err(ServerCallError::NotSent(_)) => {
                self.abandon(server, AbandonCertainty::Definite).await;
                Tried::Nothing(server.id.clone())
            }
            Err(error) if self.brings_documents && self.is_listed(server) => {
                warn!(server = %server.id, %error, "a create has no answer, and its meeting runs");
                Tried::Answered(Reply::unavailable())
            }
            Err(error) => {
                warn!(server = %server.id, %error, "nobody knows what came of a create");
                self.abandon(server, AbandonCertainty::Unknown).await;
                Tried::Answered(self.unanswered())
            }
        }
    }

    async fn abandon(&self, server: &ServerRoute, certainty: AbandonCertainty) {
        let placement = &self.gateway.placement;
        // Unreported, the pending record is resolved by polls.
        if let Err(error) = placement.abandon(&self.key, &server.id, &self.token, certainty).await {
            warn!(server = %server.id, %error, "a create was not abandoned");
        }
    }

    /// The caller's answer does not wait for it (design 4), but where a join that follows needs the
    /// internal id.
    async fn confirm(&self, server: &ServerId, created: &CreateReply) {
        let created = reports::confirmation(&self.key, server, &self.token, created);
        let confirm = reports::confirm(self.gateway.placement.clone(), created);
        let confirmed = self.gateway.tasks.spawn_short("confirm", confirm);
        let scope = self.ask.meetings.scope();
        if looks_internal(&scope.scoped(self.key.meeting.as_str()).to_string()) {
            // Unconfirmed, a join is told to try again.
            let _ = confirmed.await;
        }
    }
}
