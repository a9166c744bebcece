//! Values as people read them.

use std::time::Duration;

/// Makes text from elsewhere harmless on a terminal: control characters are shown, not obeyed.
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Returns a length of time in its two largest units: `800ms`, `4.2s`, `3m 20s`, `2d 4h`.
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

/// As [`span`], of the wire's type; `-` where it is absent.
pub fn ago(time: Option<&prost_types::Duration>) -> String {
    time.and_then(|time| Duration::try_from(*time).ok()).map_or_else(|| "-".into(), span)
}
