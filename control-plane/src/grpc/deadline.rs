//! The deadline of a call, from the caller's `grpc-timeout` and Usher's own bounds.

use std::time::{Duration, Instant};

use tonic::metadata::MetadataMap;
use usher_runtime::clock;

/// Timeout of callers that set none.
const DEFAULT: Duration = Duration::from_secs(10);
/// Longest timeout of a caller.
const LONGEST: Duration = Duration::from_mins(1);

/// Returns the time at which the caller stops waiting.
pub(crate) fn of(metadata: &MetadataMap) -> Instant {
    let given = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
    clock::now() + given.unwrap_or(DEFAULT).min(LONGEST)
}

/// Reads a timeout such as `1S` or `250m`.
fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|_| number.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        for text in ["", "S", "5", "-1S", "123456789S", "1x", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
