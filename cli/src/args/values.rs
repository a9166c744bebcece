//! Parsers of single values on the command line.

use std::time::Duration;

use usher_bbb::secret::Secret;

/// Reads a secret. An empty one is refused, because any caller could sign with it.
pub(super) fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.trim().is_empty() { Err("is empty") } else { Ok(Secret::new(text)) }
}

/// Reads a duration with its unit, such as `15s` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    usher_runtime::config::parse_duration(text)
}
