//! The calls about recordings. Unlike the other calls, they check their parameters before the
//! checksum.

mod changes;
mod list;
mod selection;
mod tracks;

pub(super) use changes::{delete, publish, update};
pub(super) use list::list;
pub(super) use tracks::{get as get_tracks, put as put_track};
use usher_bbb::{call::ApiCall, reply::Refusal};

use crate::{answer::ApiAnswer, request::ApiParams};

/// Returns the refusal of a request that lacks a required parameter.
pub(super) fn incomplete(call: ApiCall, params: &ApiParams) -> Option<ApiAnswer> {
    let lacks = |name: &str| params.given(name).is_none();
    match call {
        ApiCall::PublishRecordings if !lacks("recordID") && lacks("publish") => {
            Some(Refusal::MISSING_PUBLISH.into())
        }
        ApiCall::PublishRecordings
        | ApiCall::DeleteRecordings
        | ApiCall::UpdateRecordings
        | ApiCall::GetRecordingTextTracks
            if lacks("recordID") =>
        {
            Some(Refusal::MISSING_RECORD_ID.into())
        }
        ApiCall::PutRecordingTextTrack => tracks::incomplete(params).map(|refusal| tracks::not_put(&refusal)),
        _ => None,
    }
}
