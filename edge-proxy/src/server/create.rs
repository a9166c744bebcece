//! `create`: place, call the server, report (design 4). It runs in a task of its own, so that a
//! client that goes away leaves neither a create nor its record half done (C10).

mod parent;
mod reports;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::{info, warn};
use usher_common::{
    bbb::{
        call::Call,
        parse::{Answer as Parsed, CreateReply, create_reply},
        query::RawQuery,
        reply::Refusal,
    },
    id::ServerId,
    meeting::MeetingKey,
    proto::v1::FailureKind,
    routing::{RouteState, ServerRoute},
};

use super::{
    body::Document,
    gateway::Gateway,
    locate::{Owner, in_table},
    owner::is_our_fault,
    reply::Reply,
    request::Ask,
};
use crate::{
    control::placement::{Certainty, Placed},
    core::{
        presentation::modules,
        resign::{in_url, outgoing},
        route::Decision,
        rules::{Wishes, wishes},
    },
    upstream::{Answer, CallError, Upload},
};

/// Servers that are tried for one create.
const TRIES: usize = 3;

/// Serves a create to its end, whether the client waits or not.
pub(super) async fn create(gateway: Arc<Gateway>, mut ask: Ask) -> Reply {
    let Some(key) = ask.key() else { return Reply::unavailable() };
    let route = Arc::clone(&ask.route);
    let ruled = gateway.rules.ruled(&ask.parameters, &route.policy);
    let wishes = wishes(&ruled);
    let brings_nothing = ask.document.is_empty() && !brings_presentation(&ruled);
    let parameters = gateway.rules.create(&ruled, &key, ask.meetings.scope(), &route.policy);
    if let Some(shown) = &route.policy.presentation
        && (shown.forced || brings_nothing)
    {
        ask.document = Document::Held(modules(shown).into());
    }
    let parameters = match parent::named_for_server(&gateway, &ask, parameters).await {
        Ok(parameters) => parameters,
        Err(reply) => return reply,
    };
    let creation = Creation {
        deadline: Instant::now() + gateway.limits.create,
        wishes,
        digest: Sha256::digest(&ask.parameters).into(),
        parameters,
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
    wishes: Wishes,
    digest: [u8; 32],
    deadline: Instant,
}

/// Where a create goes.
enum Destination {
    /// To the server of the record that stands, and nowhere else.
    Standing(Owner),
    /// To a server that was just chosen.
    Placed(Box<Placed>, String),
}

/// What came of one try.
enum Tried {
    Answered(Reply),
    /// Certainly nothing: another server may be tried.
    Nothing(ServerId),
}

impl Creation {
    async fn run(mut self) -> Reply {
        let mut excluded = Vec::new();
        while excluded.len() < TRIES && self.ask.document.can_be_sent() && Instant::now() < self.deadline {
            let tried = match self.destination(&excluded).await {
                Ok(Destination::Standing(owner)) => return self.forward(&owner).await,
                Ok(Destination::Placed(placed, token)) => self.attempt(&placed.server, &token).await,
                Err(refusal) => return refused(&refusal),
            };
            match tried {
                Tried::Answered(reply) => return reply,
                Tried::Nothing(server) => {
                    info!(%server, "another server is tried for a create");
                    self.gateway.metrics.second_tries.inc();
                    excluded.push(server);
                }
            }
        }
        Reply::unavailable()
    }

    /// Finds out where to.
    ///
    /// # Errors
    /// Nobody can say, no server takes meetings, or the tenant may have no more.
    async fn destination(&self, excluded: &[ServerId]) -> Result<Destination, Refusal> {
        if excluded.is_empty()
            && !self.wishes.supersede
            && let Some(owner) = in_table(&self.ask)
            && let Some(owner) = self.standing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)?
        {
            return Ok(Destination::Standing(owner));
        }
        let placed = self.place(excluded).await?;
        if let Some(token) = placed.token.clone() {
            return Ok(Destination::Placed(Box::new(placed), token));
        }
        let on_server = self.ask.meetings.scope().scoped(placed.meeting.key.meeting.as_str()).to_string();
        let (key, state) = (placed.meeting.key, placed.meeting.state);
        let owner = Owner { key, on_server, server: placed.server, state };
        if let Some(owner) = self.standing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)? {
            return Ok(Destination::Standing(owner));
        }
        // The record that stood was of an ended meeting, and is gone now.
        let placed = self.place(excluded).await?;
        let token = placed.token.clone().ok_or(Refusal::SERVER_UNAVAILABLE)?;
        Ok(Destination::Placed(Box::new(placed), token))
    }

    async fn place(&self, excluded: &[ServerId]) -> Result<Placed, Refusal> {
        let placing = self.gateway.placement.place(&self.key, self.digest, &self.wishes, excluded);
        match tokio::time::timeout_at(self.deadline, placing).await {
            Ok(Ok(placed)) => Ok(placed),
            Ok(Err(error)) => {
                warn!(%error, "a meeting was not placed");
                Err(error.refusal())
            }
            Err(_) => {
                warn!("a meeting was not placed in time");
                Err(Refusal::SERVER_UNAVAILABLE)
            }
        }
    }

    /// Returns the owner if the create is to go to it, `Some(None)` if it is to be placed anew, and
    /// `None` where nobody can say.
    async fn standing(&self, owner: Owner) -> Option<Option<Owner>> {
        match owner.decision(Call::Create) {
            Decision::Forward => Some(Some(owner)),
            Decision::ForwardIfRunning => match self.still_runs(&owner).await {
                Some(true) => Some(Some(owner)),
                Some(false) => {
                    let ended =
                        self.gateway.placement.report_end(&owner.key, &owner.server.id, &owner.state).await;
                    ended.ok().map(|_| None)
                }
                None => None,
            },
            Decision::Place | Decision::Missing | Decision::EndLater => Some(None),
        }
    }

    /// Asks a cordoned server whether it still runs the meeting.
    async fn still_runs(&self, owner: &Owner) -> Option<bool> {
        let query = format!("meetingID={}", usher_common::bbb::query::encode(&owner.on_server));
        let call = Call::GetMeetingInfo;
        let deadline = self.deadline.min(Instant::now() + self.gateway.limits.call);
        let url = outgoing(&owner.server, call, &query, &[]);
        let answer =
            self.gateway.upstream.call(&owner.server, call, url, Upload::None, deadline).await.ok()?;
        match (answer.outcome.success, answer.outcome.key.as_str()) {
            (true, _) => Some(true),
            (false, "notFound") => Some(false),
            _ => None,
        }
    }

    async fn call(&mut self, server: &ServerRoute) -> Result<Answer, CallError> {
        let Some(upload) = self.ask.document.upload() else {
            return Err(CallError::NotSent(FailureKind::Unspecified));
        };
        let url = match upload {
            Upload::None => outgoing(server, Call::Create, &self.parameters, &[]),
            Upload::Xml(_) => in_url(server, Call::Create, &self.parameters, &[]),
        };
        let answer = self.gateway.upstream.call(server, Call::Create, url, upload, self.deadline).await;
        self.gateway.reads.changed(&server.id);
        answer
    }

    /// The id has a server: its answer is the answer, and there is no other try (H4).
    async fn forward(mut self, owner: &Owner) -> Reply {
        let answer = match self.call(&owner.server).await {
            Ok(answer) => answer,
            Err(error) => {
                warn!(server = %owner.server.id, %error, "a create of a known meeting has no answer");
                return Reply::unavailable();
            }
        };
        if is_our_fault(&answer) {
            self.gateway.upstream.report(&owner.server.id, FailureKind::BadAnswer, Call::Create);
            return Reply::unavailable();
        }
        match create_reply(&answer.xml) {
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
            Ok(Parsed::Failed(_)) => self.passed_on(&answer),
            Err(_) => Reply::unavailable(),
        }
    }

    fn passed_on(&self, answer: &Answer) -> Reply {
        Reply::passed_on(answer, self.ask.own_ids(&answer.xml).into_owned())
    }

    async fn confirm_forwarded(&self, server: &ServerId, created: &CreateReply) -> bool {
        match self.gateway.placement.confirm(reports::confirmation(&self.key, server, "", created)).await {
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
    async fn attempt(&mut self, server: &ServerRoute, token: &str) -> Tried {
        match self.call(server).await {
            Ok(answer) if is_our_fault(&answer) => {
                self.gateway.upstream.report(&server.id, FailureKind::BadAnswer, Call::Create);
                self.abandon(server, token, Certainty::Definite).await;
                Tried::Nothing(server.id.clone())
            }
            Ok(answer) => match create_reply(&answer.xml) {
                Ok(Parsed::Success(created)) => {
                    self.confirm_in_background(&server.id, token, &created);
                    Tried::Answered(self.passed_on(&answer))
                }
                Ok(Parsed::Failed(_)) => {
                    self.abandon(server, token, Certainty::Definite).await;
                    Tried::Answered(self.passed_on(&answer))
                }
                Err(_) => {
                    self.abandon(server, token, Certainty::Unknown).await;
                    Tried::Answered(Reply::unavailable())
                }
            },
            Err(error) if error.is_definite() => {
                self.abandon(server, token, Certainty::Definite).await;
                Tried::Nothing(server.id.clone())
            }
            Err(error) => {
                warn!(server = %server.id, %error, "nobody knows what came of a create");
                self.abandon(server, token, Certainty::Unknown).await;
                Tried::Answered(Reply::unavailable())
            }
        }
    }

    async fn abandon(&self, server: &ServerRoute, token: &str, certainty: Certainty) {
        let placement = &self.gateway.placement;
        // Unreported, the pending record is resolved by polls.
        if let Err(error) = placement.abandon(&self.key, &server.id, token, certainty).await {
            warn!(server = %server.id, %error, "a create was not abandoned");
        }
    }

    /// The caller's answer does not wait for it (design 4).
    fn confirm_in_background(&self, server: &ServerId, token: &str, created: &CreateReply) {
        let request = reports::confirmation(&self.key, server, token, created);
        let (placement, server) = (self.gateway.placement.clone(), server.clone());
        self.gateway.tasks.spawn_short("confirm", reports::confirm(placement, server, request));
    }
}
