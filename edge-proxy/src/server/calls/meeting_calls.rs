//! Calls that the meeting's own server answers: `isMeetingRunning`, `getMeetingInfo`, `end`,
//! `insertDocument`, `sendChatMessage`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{
    call::{ApiCall, MissingMeeting, OwnerAction},
    parse::{CreateReply, ServerReply as Answered, create_reply, strip_usher_metadata},
    query::encode,
    reply::{self, Refusal, xml::XmlDocument},
};
use usher_model::{id::InternalMeetingId, routing::ServerRoute};

use crate::server::{
    calls::create::confirmation,
    fleet::locate::{Located, Owner, locate},
    reply::Reply,
    request::{Ask, faulty},
    router::Gateway,
};
use crate::{
    core::{evidence::FailureKind, resign::outgoing},
    metrics::Outcome,
    upstream::{ServerAnswer, ServerCallError, UploadBody, is_our_fault},
};

/// Longest time an `end` waits for this edge's own table to forget the meeting.
const FORGET_PATIENCE: Duration = Duration::from_secs(2);

/// Passes a call to the meeting's server.
pub(in crate::server) async fn ask_owner(gateway: &Arc<Gateway>, mut ask: Ask, action: OwnerAction) -> Reply {
    match locate(gateway, &ask).await {
        Located::Unreachable => Reply::unavailable(),
        Located::Missing => missing(&ask),
        Located::EndLater(owner) => end_later(gateway, &owner).await,
        Located::At(owner) => {
            ask.name_for_server(&owner);
            match action {
                OwnerAction::Read => read(gateway, &ask, owner.server).await,
                OwnerAction::End => {
                    // On its own: a client that goes away must not leave an ended meeting routed.
                    let (gateway, tasks) = (Arc::clone(gateway), gateway.tasks.clone());
                    let ended = tasks.spawn_short("end", async move { end(&gateway, &ask, &owner).await });
                    ended.await.unwrap_or_else(|_| Reply::unavailable())
                }
                OwnerAction::Write => {
                    let upload = match ask.document.upload() {
                        Some(UploadBody::None) if ask.call == ApiCall::InsertDocument => {
                            UploadBody::xml(bytes::Bytes::new())
                        }
                        upload => upload.unwrap_or(UploadBody::None),
                    };
                    write(gateway, &ask, &owner.server, upload).await
                }
            }
        }
    }
}

/// The answer about a meeting that does not exist, as each call words it.
fn missing(ask: &Ask) -> Reply {
    match ask.call.missing_meeting() {
        MissingMeeting::NotRunning => Reply::success(reply::running(false)),
        MissingMeeting::Refused(refusal) => Reply::refused(refusal),
        MissingMeeting::RefusedWithoutKey => {
            let id = ask.meeting.as_ref().map_or("", |id| id.as_str());
            let mut xml = XmlDocument::new();
            xml.element("response", |xml| {
                xml.leaf("returncode", "FAILED")
                    .leaf("message", format!("Meeting with id [{id}] not found."));
            });
            Reply::xml(xml.finish(), Outcome::refused)
        }
        MissingMeeting::Placed | MissingMeeting::Inapplicable => Reply::refused(&Refusal::NOT_FOUND),
    }
}

async fn read(gateway: &Arc<Gateway>, ask: &Ask, server: ServerRoute) -> Reply {
    let (call, id) = (ask.call, server.id.clone());
    let (upstream, parameters) = (gateway.upstream.clone(), ask.parameters.clone());
    let deadline = Instant::now() + gateway.limits.call;
    let caller = ask.caller();
    let fetch = move || async move {
        let outgoing = outgoing(&server, call, &parameters, &[]);
        upstream.call(&server, call, outgoing, UploadBody::None, &caller, deadline).await.map(Arc::new)
    };
    match gateway.reads.read(&id, call, &ask.parameters, fetch).await {
        Ok(answer) if is_our_fault(&answer) => {
            gateway.upstream.report(&id, FailureKind::BadAnswer, call, &ask.caller());
            Reply::unavailable()
        }
        Ok(answer) => {
            let xml = strip_usher_metadata(&answer.text);
            Reply::passed_on(&answer, gateway.own_addresses(&ask.tenant, ask.own_ids(&xml).into_owned()))
        }
        Err(_) => Reply::unavailable(),
    }
}

/// Calls that change something are made once, for this caller alone.
async fn once(
    gateway: &Gateway,
    ask: &Ask,
    server: &ServerRoute,
    upload: UploadBody,
) -> Result<ServerAnswer, ServerCallError> {
    let limits = &gateway.limits;
    let limit =
        if ask.call == ApiCall::InsertDocument { limits.upload.max(limits.call) } else { limits.call };
    let deadline = Instant::now() + limit;
    let url = match upload {
        UploadBody::None => outgoing(server, ask.call, &ask.parameters, &[]),
        UploadBody::Xml(_) | UploadBody::Multipart(..) => {
            crate::core::resign::in_url(server, ask.call, &ask.parameters, &[])
        }
    };
    let caller = ask.caller();
    let answer = gateway.upstream.call(server, ask.call, url, upload, &caller, deadline).await;
    gateway.reads.changed(&server.id);
    match answer {
        Ok(answer) if is_our_fault(&answer) => {
            gateway.upstream.report(&server.id, FailureKind::BadAnswer, ask.call, &caller);
            Err(ServerCallError::Unknown(FailureKind::BadAnswer))
        }
        other => other,
    }
}

async fn write(gateway: &Gateway, ask: &Ask, server: &ServerRoute, upload: UploadBody) -> Reply {
    match once(gateway, ask, server, upload).await {
        Ok(answer) => {
            let xml = ask.own_ids(&answer.text).into_owned();
            Reply::passed_on(&answer, xml)
        }
        Err(_) => match ask.document.fault() {
            Some(fault) => Reply::refused(&faulty(fault)),
            None => Reply::unavailable(),
        },
    }
}

async fn end(gateway: &Gateway, ask: &Ask, owner: &Owner) -> Reply {
    let confirmed = match owner.instance() {
        Some(_) => None,
        None => match confirm_first(gateway, ask, owner).await {
            Ok(instance) => instance,
            Err(reply) => return reply,
        },
    };
    match once(gateway, ask, &owner.server, UploadBody::None).await {
        Ok(answer) => {
            if answer.outcome.success {
                forget(gateway, owner, owner.instance().or(confirmed.as_ref())).await;
            }
            let xml = ask.own_ids(&answer.text).into_owned();
            Reply::passed_on(&answer, xml)
        }
        Err(_) => Reply::unavailable(),
    }
}

/// Confirms a meeting that nobody has confirmed yet, if it runs, and returns its instance. Were it ended
/// unconfirmed, and the report of that lost, the create would pass for one that came to nothing, and an
/// older instance that it had superseded would have the id again.
///
/// # Errors
/// It is not known to be the id's meeting: the caller may try again.
async fn confirm_first(
    gateway: &Gateway,
    ask: &Ask,
    owner: &Owner,
) -> Result<Option<InternalMeetingId>, Reply> {
    let Some(running) = running(gateway, ask, owner).await else { return Ok(None) };
    let created = confirmation(&owner.key, &owner.server.id, &owner.token, &running);
    match gateway.placement.confirm(&created).await {
        Ok(true) => Ok(InternalMeetingId::parse(&running.internal_id).ok()),
        Ok(false) => Err(Reply::unavailable()),
        Err(error) => {
            warn!(server = %owner.server.id, %error, "a meeting to be ended was not confirmed");
            Err(Reply::unavailable())
        }
    }
}

/// Asks the server of a meeting that nobody has confirmed yet which instance runs there.
async fn running(gateway: &Gateway, ask: &Ask, owner: &Owner) -> Option<CreateReply> {
    let call = ApiCall::GetMeetingInfo;
    let url = outgoing(&owner.server, call, &format!("meetingID={}", encode(owner.address())), &[]);
    let deadline = Instant::now() + gateway.limits.call;
    let caller = ask.caller();
    let answer =
        gateway.upstream.call(&owner.server, call, url, UploadBody::None, &caller, deadline).await.ok()?;
    // It says what the answer of a create says, and more.
    match create_reply(&answer.text) {
        Ok(Answered::Success(running)) => Some(running),
        Ok(Answered::Failed(_)) | Err(_) => None,
    }
}

/// The server did end the meeting: that is the answer, whoever can be told of it. Where no control
/// plane can, polls find out.
async fn forget(gateway: &Gateway, owner: &Owner, instance: Option<&InternalMeetingId>) {
    match gateway.placement.report_end(&owner.key, &owner.server.id, instance, &owner.token).await {
        Ok(Some(revision)) => {
            gateway.cell.reach(revision, FORGET_PATIENCE).await;
        }
        Ok(None) => {}
        Err(error) => warn!(server = %owner.server.id, %error, "an end was not reported"),
    }
}

/// The meeting's server is offline: the record goes, and the meeting will be ended there.
async fn end_later(gateway: &Gateway, owner: &Owner) -> Reply {
    let ended = gateway.placement.report_end(&owner.key, &owner.server.id, owner.instance(), &owner.token);
    match ended.await {
        Ok(revision) => {
            if let Some(revision) = revision {
                gateway.cell.reach(revision, FORGET_PATIENCE).await;
            }
            Reply::success(reply::ended())
        }
        Err(_) => Reply::unavailable(),
    }
}
