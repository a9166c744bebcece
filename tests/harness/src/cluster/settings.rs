//! Settings of the programs of a cluster, as their environment holds them.

use crate::process::Environment;

/// Returns the environment name of a setting: `health.interval` is `USHER_HEALTH__INTERVAL`.
pub fn environment_name(key: &str) -> String {
    format!("USHER_{}", key.replace('.', "__").to_uppercase())
}

/// Timings that keep every cross-check and let a test see a server turn red within seconds.
pub fn quick_settings() -> Environment {
    let settings = [
        ("health.interval", "500ms"),
        ("health.deadline", "400ms"),
        ("health.connect_timeout", "300ms"),
        ("health.unhealthy_after", "3s"),
        ("leader.ttl", "2s"),
        ("meetings.create_timeout", "2s"),
        ("meetings.call_timeout", "2s"),
        ("edge.shutdown_wait", "300ms"),
        ("telemetry.log", "info"),
    ];
    settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect()
}
