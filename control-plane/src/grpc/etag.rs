//! Etags: the revision that last changed a stored value.

use super::status::RpcRefusal;

/// Returns the etag of a value that was last changed at this revision.
pub(super) fn of(modified: u64) -> String {
    format!("{modified:x}")
}

/// Reads an etag; `None` if it is empty.
///
/// # Errors
/// The etag was not issued by this service.
pub(super) fn parse(field: &str, etag: &str) -> Result<Option<u64>, RpcRefusal> {
    match etag {
        "" => Ok(None),
        etag => u64::from_str_radix(etag, 16).map(Some).map_err(|_| {
            RpcRefusal::field(field, "is not an etag this service gave; leave it empty to overwrite")
        }),
    }
}
