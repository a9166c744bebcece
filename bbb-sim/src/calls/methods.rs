//! The methods of HTTP that the calls of each version accept.

use http::Method;
use usher_bbb::{
    call::{ApiCall, CallStrategy},
    reply,
};

use crate::{answer::ApiAnswer, options::BbbVersion};

/// Returns the answer to a request whose method is wrong or whose call the version does not have;
/// `None` if the call is to be carried out.
pub(super) fn instead_of_call(version: BbbVersion, call: ApiCall, method: &Method) -> Option<ApiAnswer> {
    let is_get = matches!(*method, Method::GET | Method::HEAD);
    let is_accepted = call.accepts_method(method) || (is_get && call.accepts_method(&Method::GET));
    match call {
        // bbb-webhooks is a separate program and answers 404 to a wrong method, not 405.
        _ if matches!(call.strategy(), CallStrategy::Hooks(_)) => {
            (!is_accepted).then_some(ApiAnswer::NotFound)
        }
        ApiCall::SendChatMessage if version < BbbVersion::V3_0 => Some(ApiAnswer::NotFound),
        ApiCall::InsertDocument if version < BbbVersion::V2_5 => Some(ApiAnswer::NotFound),
        _ if is_accepted => None,
        _ if version >= BbbVersion::V3_0 => Some(ApiAnswer::MethodNotAllowed),
        ApiCall::GetMeetings => Some(ApiAnswer::Xml(reply::root())),
        // Reading the file of a request without one is an exception, after the session was made.
        ApiCall::PutRecordingTextTrack => Some(ApiAnswer::ServerError.with_session()),
        _ if matches!(call.strategy(), CallStrategy::Recordings(_)) => Some(ApiAnswer::ServerError),
        _ => None,
    }
}
