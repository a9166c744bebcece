//! Settings of the programs of a cluster, in the form of environment variables.

use crate::process::ProgramEnvironment;

/// Returns the environment variable of a setting: `USHER_HEALTH__INTERVAL` for `health.interval`.
pub fn environment_name(key: &str) -> String {
    format!("USHER_{}", key.replace('.', "__").to_uppercase())
}

/// Returns short intervals that satisfy every cross-check and make a server offline within seconds.
pub fn quick_settings() -> ProgramEnvironment {
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
