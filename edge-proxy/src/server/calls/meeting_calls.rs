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
use usher_runtime::{repeated_warnings::RequestWarnings, tasks::TaskGroup};

use super::confirmation::confirmation;
use crate::{
    control::{
        current_table::CurrentTable,
        placement::{EndNotice, PlacementClient},
    },
    core::evidence::FailureKind,
    metrics::RequestOutcome,
    server::{
        admission::CallTimeouts,
        callback_sealer::{CallbackSealer, with_own_addresses},
        fleet::{
            meeting_locator::{MeetingLocation, MeetingLocator},
            meeting_owner::MeetingOwner,
            server_calls::ServerCalls,
        },
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::{ServerAnswer, ServerCallError, UploadBody, is_our_fault},
};

/// Longest time for which an `end` waits until this edge's own table no longer has the meeting, so that the
/// next call of the same application does not find it.
const FORGET_PATIENCE: Duration = Duration::from_secs(2);

/// Answers the calls that the meeting's own server answers.
#[derive(Debug)]
pub(in crate::server) struct MeetingCalls {
    pub(in crate::server) locator: MeetingLocator,
    pub(in crate::server) servers: ServerCalls,
    pub(in crate::server) placement: PlacementClient,
    pub(in crate::server) current: Arc<CurrentTable>,
    pub(in crate::server) addresses: Option<Arc<CallbackSealer>>,
    pub(in crate::server) timeouts: CallTimeouts,
    pub(in crate::server) tasks: TaskGroup,
    pub(in crate::server) warnings: RequestWarnings,
}

impl MeetingCalls {
    /// Passes a call to the meeting's server.
    pub(in crate::server) async fn answer(
        self: &Arc<Self>,
        mut request: VerifiedRequest,
        action: OwnerAction,
    ) -> CallReply {
        let owner = match self.locator.locate(&request).await {
            MeetingLocation::Unreachable => return CallReply::unavailable(),
            MeetingLocation::Missing => return missing(&request),
            MeetingLocation::EndLater(owner) => return self.end_later(&owner).await,
            MeetingLocation::At(owner) => owner,
        };
        let given = request.meeting.as_ref().map_or("", |id| id.as_str());
        let mut sent = request.parameters.edited();
        sent.apply(owner.edit(given));
        let parameters = sent.to_text();
        match action {
            OwnerAction::Read => self.read(&request, &parameters, owner.server).await,
            OwnerAction::End => {
                // In a task of its own: if the client closes its connection, the meeting must not stay in
                // the table although it has ended.
                let calls = Arc::clone(self);
                let ended = self
                    .tasks
                    .spawn_short("end", async move { calls.end(&request, &parameters, &owner).await });
                ended.await.unwrap_or_else(|_| CallReply::unavailable())
            }
            OwnerAction::Write => {
                let upload = match request.document.upload() {
                    Some(UploadBody::None) if request.call == ApiCall::InsertDocument => {
                        UploadBody::HeldXml(bytes::Bytes::new())
                    }
                    upload => upload.unwrap_or(UploadBody::None),
                };
                self.write(&request, &parameters, &owner.server, upload).await
            }
        }
    }

    async fn read(&self, request: &VerifiedRequest, parameters: &str, server: ServerRoute) -> CallReply {
        let (call, server) = (request.call, Arc::new(server));
        let deadline = Instant::now() + self.timeouts.call;
        match self.servers.read(&server, call, parameters, &request.caller(), deadline).await {
            Ok(answer) if is_our_fault(&answer) => {
                self.servers.report(&server, FailureKind::BadAnswer, call, &request.caller());
                CallReply::unavailable()
            }
            Ok(answer) => {
                let (ids, addresses) = (request.ids(), self.addresses.clone());
                let (tenant, shown) = (request.tenant.clone(), Arc::clone(&answer));
                let own = move || {
                    let xml = strip_usher_metadata(&shown.text);
                    let xml = ids.own(&xml).into_owned();
                    with_own_addresses(addresses.as_deref(), &tenant, xml)
                };
                match self.servers.compute().run(Some(&request.tenant), answer.text.len(), own).await {
                    Ok(xml) => CallReply::passed_on(&answer, xml),
                    Err(_) => CallReply::unavailable(),
                }
            }
            Err(error) => CallReply::unanswered(call, &error, None),
        }
    }

    /// Makes a call that changes something.
    async fn change(
        &self,
        request: &VerifiedRequest,
        parameters: &str,
        server: &ServerRoute,
        upload: UploadBody,
    ) -> Result<ServerAnswer, ServerCallError> {
        let CallTimeouts { call, upload: long, .. } = self.timeouts;
        let timeout = if request.call == ApiCall::InsertDocument { long.max(call) } else { call };
        let deadline = Instant::now() + timeout;
        let caller = request.caller();
        self.servers.call(server, request.call, parameters, upload, &caller, deadline).await
    }

    async fn write(
        &self,
        request: &VerifiedRequest,
        parameters: &str,
        server: &ServerRoute,
        upload: UploadBody,
    ) -> CallReply {
        match self.change(request, parameters, server, upload).await {
            Ok(answer) => CallReply::passed_on(&answer, request.own_ids(&answer.text).into_owned()),
            // A broken document is the client's fault, and another try would fail the same way.
            Err(error) => CallReply::undelivered(request.call, &error, &request.document),
        }
    }

    async fn end(&self, request: &VerifiedRequest, parameters: &str, owner: &MeetingOwner) -> CallReply {
        let confirmed = match owner.instance() {
            Some(_) => None,
            None => match self.confirm_first(request, owner).await {
                Ok(instance) => instance,
                Err(reply) => return reply,
            },
        };
        // The caller may have named an older instance of a meeting that was not confirmed yet.
        let given = request.meeting.as_ref().map_or("", |id| id.as_str());
        let instance = owner.instance().or(confirmed.as_ref());
        if given != owner.key.meeting.as_str() && instance.is_some_and(|own| own.as_str() != given) {
            return missing(request);
        }
        match self.change(request, parameters, &owner.server, UploadBody::None).await {
            Ok(answer) => {
                if answer.outcome.success {
                    self.report_end(owner, instance).await;
                }
                CallReply::passed_on(&answer, request.own_ids(&answer.text).into_owned())
            }
            Err(error) => CallReply::unanswered(request.call, &error, None),
        }
    }

    /// Confirms a meeting that is still unconfirmed, if it runs, and returns its instance. If it were ended
    /// unconfirmed and the report of the end were lost, the create would count as one that had no effect,
    /// and an older instance that it has superseded would get the id back.
    ///
    /// # Errors
    /// Returns the retryable answer if the control plane does not confirm that it is the id's meeting.
    async fn confirm_first(
        &self,
        request: &VerifiedRequest,
        owner: &MeetingOwner,
    ) -> Result<Option<InternalMeetingId>, CallReply> {
        let Some(running) = self.running(request, owner).await else { return Ok(None) };
        let created = confirmation(&owner.key, &owner.server.id, &owner.token, &running);
        match self.placement.confirm(&created).await {
            Ok(true) => Ok(InternalMeetingId::parse(&running.internal_id).ok()),
            Ok(false) => Err(CallReply::unavailable()),
            Err(error) => {
                let server = &owner.server.id;
                if let Some(held_back) = self.warnings.admit("end unconfirmed", server) {
                    warn!(%server, %error, held_back, "a meeting to be ended was not confirmed");
                }
                Err(CallReply::unavailable())
            }
        }
    }

    /// Returns the instance of an unconfirmed meeting that runs on its server.
    async fn running(&self, request: &VerifiedRequest, owner: &MeetingOwner) -> Option<CreateReply> {
        let query = format!("meetingID={}", encode(owner.address()));
        let (call, deadline) = (ApiCall::GetMeetingInfo, Instant::now() + self.timeouts.call);
        let caller = request.caller();
        let answer =
            self.servers.send(&owner.server, call, &query, UploadBody::None, &caller, deadline).await.ok()?;
        // The answer has all elements of a create's answer.
        match create_reply(&answer.text) {
            Ok(Answered::Success(running)) => Some(running),
            Ok(Answered::Failed(_)) | Err(_) => None,
        }
    }

    /// Reports that the server has ended the meeting. The client's answer does not depend on it: if no
    /// control plane answers, polls notice the end.
    async fn report_end(&self, owner: &MeetingOwner, instance: Option<&InternalMeetingId>) {
        match self.placement.report_end(owner.end_notice(instance)).await {
            Ok(Some(revision)) => {
                self.current.reach(revision, FORGET_PATIENCE).await;
            }
            Ok(None) => {}
            Err(error) => {
                let server = &owner.server.id;
                if let Some(held_back) = self.warnings.admit("end unreported", server) {
                    warn!(%server, %error, held_back, "an end was not reported");
                }
            }
        }
    }

    /// Ends a meeting whose server is offline: its record is removed now, and the meeting itself is ended
    /// when the server returns.
    async fn end_later(&self, owner: &MeetingOwner) -> CallReply {
        let unsent = EndNotice { unsent: true, ..owner.end_notice(owner.instance()) };
        match self.placement.report_end(unsent).await {
            Ok(revision) => {
                if let Some(revision) = revision {
                    self.current.reach(revision, FORGET_PATIENCE).await;
                }
                CallReply::success(reply::ended())
            }
            Err(_) => CallReply::unavailable(),
        }
    }
}

/// Returns the answer about a meeting that does not exist, in the words of each call.
fn missing(request: &VerifiedRequest) -> CallReply {
    match request.call.missing_meeting() {
        MissingMeeting::NotRunning => CallReply::success(reply::running(false)),
        MissingMeeting::Refused(refusal) => CallReply::refused(refusal),
        MissingMeeting::RefusedWithoutKey => {
            let id = request.meeting.as_ref().map_or("", |id| id.as_str());
            let mut xml = XmlDocument::new();
            xml.element("response", |xml| {
                xml.leaf("returncode", "FAILED")
                    .leaf("message", format!("Meeting with id [{id}] not found."));
            });
            CallReply::xml(xml.finish(), RequestOutcome::refused)
        }
        MissingMeeting::Placed | MissingMeeting::Inapplicable => CallReply::refused(&Refusal::NOT_FOUND),
    }
}
