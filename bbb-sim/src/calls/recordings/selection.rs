//! The parameters that select recordings or change their metadata.

use crate::request::ApiParams;

/// Returns the entries of a comma-separated list, trimmed, without empty ones.
pub(super) fn entries(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

/// Returns the metadata parameters with lower-case keys. BBB ignores keys that are not
/// `[a-zA-Z][a-zA-Z0-9-]*`.
pub(super) fn metadata(params: &ApiParams) -> impl Iterator<Item = (String, &str)> {
    params
        .with_prefix("meta_")
        .filter(|(key, _)| {
            key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
}
