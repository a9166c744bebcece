//! Parsers of single values on the command line.

use std::time::Duration;

use usher_bbb::secret::Secret;
use usher_bbb_sim::BbbVersion;

/// Reads a secret. An empty one is refused, because any caller could sign with it.
pub(super) fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.trim().is_empty() { Err("is empty") } else { Ok(Secret::new(text)) }
}

/// Reads a version of BBB that the simulated server knows.
pub(super) fn bbb_version(text: &str) -> Result<BbbVersion, &'static str> {
    BbbVersion::parse(text).ok_or("is none of 2.4, 2.5, 2.6, 2.7, 3.0")
}

/// Reads a duration with its unit, such as `15s` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    usher_runtime::config::parse_duration(text)
}
