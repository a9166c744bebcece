//! Texts of values for people: durations, and text from other programs made safe for a terminal.

use std::time::Duration;

use usher_proto::time::parse_duration;

/// Returns text with its control characters escaped, so that text from other programs cannot control the terminal.
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Returns a duration in its two largest units: `800ms`, `4.2s`, `3m 20s`, `2d 4h`.
pub fn span(time: Duration) -> String {
    let (seconds, ms) = (time.as_secs(), time.as_millis());
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Returns a protobuf duration as [`span`] does, or `-` if it is absent, negative or out of range.
pub fn ago(time: Option<&prost_types::Duration>) -> String {
    time.and_then(|time| parse_duration(time).ok()).map_or_else(|| "-".into(), span)
}
