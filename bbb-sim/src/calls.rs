//! The calls of the API, one file for each group: from parameters to an answer.

mod chat;
mod create;
mod documents;
mod end;
mod ids;
mod info;
mod join;
mod methods;
mod modules;
mod recordings;
mod redirect;
mod sessions;

pub(crate) use info::meetings;
use usher_bbb::{
    call::{ApiCall, CallStrategy, ChecksumProblem},
    reply::{self, Refusal},
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
    let (version, call) = (context.options.version, request.call);
    if let Some(instead) = methods::instead_of_call(version, call, &request.method) {
        return instead;
    }
    if matches!(call.strategy(), CallStrategy::Hooks(_)) {
        return hooks::answer(context.hooks, context.options, request);
    }
    context.memory.expire(context.now_ms);
    let checked = request.check(context.options);
    let late = matches!(checked, Ok(_) | Err(RequestRejection::Checksum(ChecksumProblem::Mismatch)));
    if late && let Some(refusal) = recordings::incomplete(call, &request.params()) {
        return refusal;
    }
    match checked {
        Ok(params) => dispatch(context, request, &params),
        Err(rejected) => {
            let refusal = match rejected {
                RequestRejection::ContentType => Refusal::UNSUPPORTED_CONTENT_TYPE,
                RequestRejection::Checksum(problem) => call.checksum_refusal(problem),
            };
            match call {
                ApiCall::Join => redirect::with_error(version, context.base, &request.params(), &refusal),
                // A wrong checksum of a recording call is refused in XML, also where answers are JSON.
                _ if refusal == Refusal::CHECKSUM_OF_RECORDING => refusal.into(),
                _ if call.answers_json() => ApiAnswer::Json(refusal.to_json()),
                _ => refusal.into(),
            }
        }
    }
}

fn dispatch(context: &mut CallContext<'_>, request: &ApiRequest, params: &ApiParams) -> ApiAnswer {
    let CallContext { memory, options, base, now_ms, .. } = context;
    let (version, now_ms) = (options.version, *now_ms);
    match request.call {
        ApiCall::Root => ApiAnswer::Xml(reply::root()),
        ApiCall::Create => create::answer(memory, request, params, now_ms),
        ApiCall::Join => join::answer(memory, base, params, now_ms),
        ApiCall::IsMeetingRunning => info::running(memory, params),
        ApiCall::GetMeetingInfo => info::meeting(memory, params),
        ApiCall::GetMeetings => ApiAnswer::Xml(info::meetings(memory)),
        ApiCall::GetSessions => info::sessions(memory),
        ApiCall::End => end::answer(memory, params, now_ms),
        ApiCall::InsertDocument => documents::answer(memory, request, params),
        ApiCall::SendChatMessage => chat::answer(memory, params),
        ApiCall::GetRecordings => recordings::list(memory, options, base, params),
        ApiCall::PublishRecordings => recordings::publish(memory, params, now_ms),
        ApiCall::UpdateRecordings => recordings::update(memory, params, now_ms),
        ApiCall::DeleteRecordings => recordings::delete(memory, params, now_ms),
        ApiCall::GetRecordingTextTracks => recordings::get_tracks(memory, base, params),
        ApiCall::PutRecordingTextTrack => recordings::put_track(memory, request, params).with_session(),
        ApiCall::HooksPing => ApiAnswer::Text("bbb-webhooks API up!"),
        // `answer` passes these on to `hooks`.
        ApiCall::HooksCreate | ApiCall::HooksList | ApiCall::HooksDestroy => ApiAnswer::NotFound,
        ApiCall::GetJoinUrl
        | ApiCall::LearningDashboard
        | ApiCall::Stuns
        | ApiCall::SignOut
        | ApiCall::Enter
        | ApiCall::GuestWait
        | ApiCall::Feedback => sessions::answer(version, request.call, base, params),
        // BBB has removed these.
        ApiCall::GetDefaultConfigXml | ApiCall::SetConfigXml | ApiCall::SetPollXml => ApiAnswer::NotFound,
    }
}
