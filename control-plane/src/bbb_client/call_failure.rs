//! The descriptions of failed calls, which never contain an address or a query.

use std::error::Error;

use hyper_util::client::legacy;
use tokio::time::error::Elapsed;
use usher_bbb::parse::UnreadableReply;

use crate::ports::BbbCallError;

/// Describes a failure of the HTTP client. A failed connection ensures that no request was sent.
pub(super) fn of_client(error: &legacy::Error) -> BbbCallError {
    let text = cause(error);
    if error.is_connect() { BbbCallError::Connect(text) } else { BbbCallError::Broken(text) }
}

/// Returns the innermost cause of an error. The outer ones may contain an address.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<Elapsed>() { "timed out".to_owned() } else { cause.to_string() }
}

/// Describes an answer that cannot be read.
pub(super) fn unreadable(error: &UnreadableReply) -> BbbCallError {
    BbbCallError::Unreadable(error.to_string())
}
