//! The calls of the API, one file for each group: from parameters to an answer.

mod chat;
mod create;
mod documents;
mod end;
mod info;
mod join;
mod modules;
mod recordings;

pub(crate) use info::meetings;
use usher_bbb::{
    call::{ApiCall, CallStrategy, ChecksumProblem},
    reply::{self, Refusal},
    text_length::utf16_length,
};

use crate::{
    answer::ApiAnswer,
    hooks::{self, HookRegistry},
    memory::ServerMemory,
    options::SimOptions,
    request::{ApiParams, ApiRequest, RequestRejection},
};

/// The state and the options that the handler of a call uses.
pub(crate) struct CallContext<'c> {
    pub(crate) memory: &'c mut ServerMemory,
    pub(crate) hooks: &'c mut HookRegistry,
    pub(crate) options: &'c SimOptions,
    /// `http://host:port`, the address of this server for browsers.
    pub(crate) base: &'c str,
    pub(crate) now_ms: u64,
}

/// Carries out a request and returns its answer.
pub(crate) fn answer(context: &mut CallContext<'_>, request: &ApiRequest) -> ApiAnswer {
    let is_method = request.call.accepts_method(&request.method);
    match request.call.strategy() {
        // bbb-webhooks is a separate program and answers 404 to a wrong method, not 405.
        CallStrategy::Hooks(_) if is_method => {
            return hooks::answer(context.hooks, context.options, request);
        }
        CallStrategy::Hooks(_) => return ApiAnswer::NotFound,
        _ if !is_method => return ApiAnswer::MethodNotAllowed,
        _ => {}
    }
    context.memory.expire(context.now_ms);
    let checked = request.check(context.options);
    let late = matches!(checked, Ok(_) | Err(RequestRejection::Checksum(ChecksumProblem::Mismatch)));
    if late && let Some(refusal) = recordings::incomplete(request.call, &request.params()) {
        return refusal;
    }
    match checked {
        Ok(params) => dispatch(context, request, &params),
        Err(rejected) => {
            let refusal = match rejected {
                RequestRejection::ContentType => Refusal::UNSUPPORTED_CONTENT_TYPE,
                RequestRejection::Checksum(problem) => request.call.checksum_refusal(problem),
            };
            match request.call {
                ApiCall::Join => join::redirect_with_error(context.base, None, &refusal),
                ApiCall::PutRecordingTextTrack if refusal == Refusal::CHECKSUM_OF_RECORDING => refusal.into(),
                call if call.answers_json() => ApiAnswer::Json(refusal.to_json()),
                _ => refusal.into(),
            }
        }
    }
}

fn dispatch(context: &mut CallContext<'_>, request: &ApiRequest, params: &ApiParams) -> ApiAnswer {
    match request.call {
        ApiCall::Root => ApiAnswer::Xml(reply::root()),
        ApiCall::Create => create::answer(context, request, params),
        ApiCall::Join => join::answer(context, params),
        ApiCall::IsMeetingRunning => info::running(context, params),
        ApiCall::GetMeetingInfo => info::meeting(context, params),
        ApiCall::GetMeetings => ApiAnswer::Xml(info::meetings(context.memory)),
        ApiCall::GetSessions => info::sessions(context),
        ApiCall::End => end::answer(context, params),
        ApiCall::InsertDocument => documents::answer(context, request, params),
        ApiCall::SendChatMessage => chat::answer(context, params),
        ApiCall::GetRecordings => recordings::list(context, params),
        ApiCall::PublishRecordings => recordings::publish(context, params),
        ApiCall::UpdateRecordings => recordings::update(context, params),
        ApiCall::DeleteRecordings => recordings::delete(context, params),
        ApiCall::GetRecordingTextTracks => recordings::get_tracks(context, params),
        ApiCall::PutRecordingTextTrack => recordings::put_track(context, request, params),
        ApiCall::HooksPing => ApiAnswer::Text("bbb-webhooks API up!"),
        // `answer` passes these on to `hooks`.
        ApiCall::HooksCreate | ApiCall::HooksList | ApiCall::HooksDestroy => ApiAnswer::NotFound,
        // The simulated server has no sessions of browsers.
        ApiCall::GetJoinUrl
        | ApiCall::LearningDashboard
        | ApiCall::Stuns
        | ApiCall::SignOut
        | ApiCall::Enter
        | ApiCall::GuestWait
        | ApiCall::Feedback => ApiAnswer::NotFound,
        // BBB has removed these.
        ApiCall::GetDefaultConfigXml | ApiCall::SetConfigXml | ApiCall::SetPollXml => ApiAnswer::NotFound,
    }
}

/// Returns the `meetingID` of a call that requires one, without white space around it.
fn meeting_id(params: &ApiParams) -> Result<&str, Refusal> {
    params
        .get("meetingID")
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .ok_or(Refusal::MISSING_MEETING_ID)
        .and_then(|id| match utf16_length(id) {
            2..=256 if id.contains(',') => Err(Refusal::MEETING_ID_COMMA),
            2..=256 => Ok(id),
            _ => Err(Refusal::MEETING_ID_LENGTH),
        })
}
