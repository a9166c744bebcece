//! The `meetingID` of a call, its checks in each version, and the faults of parameters.

use usher_bbb::{call::ApiCall, reply::Refusal, text_length::utf16_length};

use crate::{answer::ApiAnswer, options::BbbVersion, request::ApiParams};

/// The reason why the parameters of a call are not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParamFault {
    Refused(Refusal),
    /// The version fails with an exception.
    Exception,
}

impl From<Refusal> for ParamFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ParamFault> for ApiAnswer {
    fn from(fault: ParamFault) -> Self {
        match fault {
            ParamFault::Refused(refusal) => refusal.into(),
            ParamFault::Exception => Self::ServerError,
        }
    }
}

/// Returns the `meetingID` of a call that requires one, without white space around it.
pub(super) fn meeting_id(params: &ApiParams, version: BbbVersion, call: ApiCall) -> Result<&str, ParamFault> {
    let given = params.get("meetingID");
    if version == BbbVersion::V2_5 {
        return given.map_or_else(|| Err(without_id(call)), |id| sized_id(id, call));
    }
    let id = given.map(str::trim).filter(|id| !id.is_empty()).ok_or(Refusal::MISSING_MEETING_ID)?;
    match utf16_length(id) {
        2..=256 if id.contains(',') => Err(Refusal::MEETING_ID_COMMA.into()),
        // Only `create` refuses white space around the id (wire-contract 4).
        2..=256 if call == ApiCall::Create && given != Some(id) => Err(Refusal::MEETING_ID_INVALID.into()),
        2..=256 => Ok(id),
        _ => Err(Refusal::MEETING_ID_LENGTH.into()),
    }
}

/// Returns the answer of 2.5 to a call without an id: the validators of some calls let it pass.
fn without_id(call: ApiCall) -> ParamFault {
    match call {
        ApiCall::GetMeetingInfo | ApiCall::End => Refusal::NOT_FOUND.into(),
        ApiCall::Join => Refusal::FORCIBLY_ENDED.into(),
        _ => ParamFault::Exception,
    }
}

/// Checks an id as 2.5 does: `create` accepts white space around it, and other calls fail with an
/// exception.
fn sized_id(id: &str, call: ApiCall) -> Result<&str, ParamFault> {
    match utf16_length(id) {
        2..=256 if id.contains(',') => Err(Refusal::MEETING_ID_COMMA.into()),
        2..=256 if call != ApiCall::Create && id.trim() != id => Err(ParamFault::Exception),
        2..=256 => Ok(id),
        _ => Err(Refusal::new("sizeError", Refusal::MEETING_ID_LENGTH.message).into()),
    }
}
