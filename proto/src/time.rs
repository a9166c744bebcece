//! Times and durations of the API: the only place where they are converted. The ranges are those of
//! `google.protobuf.Timestamp` and `google.protobuf.Duration`.

use std::time::Duration;

use prost_types::{Duration as WireDuration, Timestamp};

/// First and last second of a timestamp: the years 1 to 9999.
const TIMES: (i64, i64) = (-62_135_596_800, 253_402_300_799);
/// Longest duration, seconds: 10,000 years.
const LONGEST: u64 = 315_576_000_000;

/// A message that holds no duration of this API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is negative.
    #[error("is a negative duration")]
    Negative,
    /// Its seconds or nanoseconds are beyond the range of `google.protobuf.Duration`.
    #[error("is no duration: it has at most 10,000 years, and less than a second of nanoseconds")]
    OutOfRange,
}

/// Converts milliseconds since 1970. A time outside of the years 1 to 9999 becomes the first or the
/// last of them, because a reader may refuse the whole answer because of one impossible time.
pub fn timestamp(millis: i64) -> Timestamp {
    let seconds = millis.div_euclid(1000);
    if seconds < TIMES.0 {
        return Timestamp { seconds: TIMES.0, nanos: 0 };
    }
    if seconds > TIMES.1 {
        return Timestamp { seconds: TIMES.1, nanos: 999_999_999 };
    }
    Timestamp { seconds, nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0) }
}

/// Converts a duration. One that is too long becomes the longest possible one.
pub fn duration(duration: Duration) -> WireDuration {
    let within = duration.min(Duration::from_secs(LONGEST));
    WireDuration {
        seconds: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(within.subsec_nanos()).unwrap_or(0),
    }
}

/// Reads a duration from a request or an answer.
///
/// # Errors
/// It is negative or out of range.
pub fn parse_duration(wire: &WireDuration) -> Result<Duration, DurationError> {
    let nanos = wire.nanos.unsigned_abs();
    let mixed = wire.seconds != 0 && wire.nanos != 0 && (wire.seconds < 0) != (wire.nanos < 0);
    if nanos > 999_999_999 || wire.seconds.unsigned_abs() > LONGEST || mixed {
        return Err(DurationError::OutOfRange);
    }
    let seconds = u64::try_from(wire.seconds).map_err(|_| DurationError::Negative)?;
    if wire.nanos < 0 { Err(DurationError::Negative) } else { Ok(Duration::new(seconds, nanos)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(seconds: i64, nanos: i32) -> WireDuration {
        WireDuration { seconds, nanos }
    }

    #[test]
    fn a_duration_outside_of_its_range_is_refused() {
        for (seconds, nanos, error) in [
            (-1, 0, DurationError::Negative),
            (0, -1, DurationError::Negative),
            (-1, -1, DurationError::Negative),
            (1, -1, DurationError::OutOfRange),
            (-1, 1, DurationError::OutOfRange),
            (0, 1_000_000_000, DurationError::OutOfRange),
            (0, i32::MIN, DurationError::OutOfRange),
            (315_576_000_001, 0, DurationError::OutOfRange),
            (i64::MAX, 0, DurationError::OutOfRange),
            (i64::MIN, i32::MIN, DurationError::OutOfRange),
        ] {
            assert_eq!(parse_duration(&wire(seconds, nanos)), Err(error), "{seconds} s {nanos} ns");
        }
        assert_eq!(duration(Duration::MAX), wire(315_576_000_000, 0));
    }

    #[test]
    fn an_impossible_time_becomes_the_nearest_possible_one() {
        assert_eq!(timestamp(i64::MIN).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn durations_read_back(seconds in 0..315_576_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let given = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&duration(given)), Ok(given));
        }

        #[test]
        fn any_time_is_a_valid_timestamp(millis: i64) {
            let time = timestamp(millis);
            prop_assert!((TIMES.0..=TIMES.1).contains(&time.seconds));
            prop_assert!((0..1_000_000_000).contains(&time.nanos));
        }
    }
}
