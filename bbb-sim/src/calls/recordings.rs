//! The calls about recordings. Unlike the other calls, they check their parameters before the
//! checksum.

mod changes;
mod list;
mod tracks;

pub(super) use changes::{delete, publish, update};
pub(super) use list::list;
pub(super) use tracks::{get as get_tracks, put as put_track};
use usher_bbb::{call::ApiCall, reply::Refusal};

use super::ApiAnswer;
use crate::request::ApiParams;

/// Returns the refusal of a request that lacks a required parameter.
pub(super) fn incomplete(call: ApiCall, params: &ApiParams) -> Option<ApiAnswer> {
    let lacks = |name: &str| params.given(name).is_none();
    match call {
        ApiCall::PublishRecordings if !lacks("recordID") && lacks("publish") => {
            Some(Refusal::MISSING_PUBLISH.into())
        }
        ApiCall::PublishRecordings | ApiCall::DeleteRecordings | ApiCall::UpdateRecordings
            if lacks("recordID") =>
        {
            Some(Refusal::MISSING_RECORD_ID.into())
        }
        ApiCall::GetRecordingTextTracks if lacks("recordID") => {
            Some(ApiAnswer::Json(Refusal::MISSING_RECORD_ID.to_json()))
        }
        ApiCall::PutRecordingTextTrack => tracks::incomplete(params).map(|refusal| tracks::refused(&refusal)),
        _ => None,
    }
}

/// Returns the entries of a comma-separated list, trimmed, without empty ones.
fn entries(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

/// Returns the metadata parameters with lower-case keys. BBB ignores keys that are not
/// `[a-zA-Z][a-zA-Z0-9-]*`.
fn metadata(params: &ApiParams) -> impl Iterator<Item = (String, &str)> {
    params
        .with_prefix("meta_")
        .filter(|(key, _)| {
            key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
}
