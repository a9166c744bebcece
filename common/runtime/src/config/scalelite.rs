//! Reads the environment variables of Scalelite for settings without an `USHER_` variable, so that a `.env` file of
//! Scalelite keeps working. A warning names the variables that Usher does not use.

use std::time::Duration;

use usher_model::voice::VoiceRange;

use super::{
    fault::{ConfigFault, ConfigWarning, SettingOrigin},
    keys,
    kind::{RawValue, ScalarKind},
    loading::Loading,
};

/// The default time between two polls of Scalelite.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// The value of `SERVER_UNHEALTHY_THRESHOLD`: a number of failed polls, with the poll interval of Scalelite. The
/// operator chose a time by both, and Usher waits at least that time, at any poll interval of its own.
#[derive(Debug)]
pub(super) struct ScaleliteThreshold {
    origin: SettingOrigin,
    polls: String,
    interval: Duration,
}

/// The conversion of a value of Scalelite into the form of a setting.
#[derive(Clone, Copy)]
enum As {
    /// The form is the same.
    Same,
    /// The value is a number of seconds, with or without decimals.
    Seconds,
    /// The value is a number of minutes, with or without decimals.
    Minutes,
    /// The value is a colon-separated list.
    Colons,
    /// The value is one entry of a list.
    Single,
    /// The value is the host name of the public URL.
    Host,
    /// The value is a number of polls at the interval of Scalelite.
    Polls,
    /// The value is a number of digits and means all voice bridges of that length.
    Digits,
}

/// The variables and their settings, in order: if two variables are for one setting, the later one wins.
const NAMES: &[(&str, &str, As)] = &[
    ("LOADBALANCER_SECRET", "secrets", As::Single),
    ("LOADBALANCER_SECRETS", "secrets", As::Colons),
    ("URL_HOST", "public_url", As::Host),
    ("POLL_INTERVAL", "health.interval", As::Seconds),
    ("SERVER_HEALTHY_THRESHOLD", "health.healthy_threshold", As::Same),
    ("SERVER_UNHEALTHY_THRESHOLD", "health.unhealthy_after", As::Polls),
    ("CONNECT_TIMEOUT", "health.connect_timeout", As::Seconds),
    ("RESPONSE_TIMEOUT", "meetings.call_timeout", As::Seconds),
    ("LOAD_MIN_USER_COUNT", "placement.min_users", As::Same),
    ("LOAD_JOIN_BUFFER_TIME", "placement.join_buffer", As::Minutes),
    ("MAX_MEETING_DURATION", "meetings.max_duration", As::Minutes),
    ("CREATE_EXCLUDE_PARAMS", "meetings.create_exclude", As::Same),
    ("JOIN_EXCLUDE_PARAMS", "meetings.join_exclude", As::Same),
    ("GET_MEETINGS_API_DISABLED", "meetings.get_meetings_disabled", As::Same),
    ("VOICE_BRIDGE_LEN", "voice.bridges", As::Digits),
    ("VOICE_BRIDGE_MIN", "voice.pin_min", As::Same),
    ("VOICE_BRIDGE_MAX", "voice.pin_max", As::Same),
    ("FSAPI_PASSWORD", "voice.fsapi_password", As::Same),
    // Without another value, Scalelite limits calls as it limits meetings.
    ("MAX_MEETING_DURATION", "voice.max_call", As::Minutes),
    ("FSAPI_MAX_DURATION", "voice.max_call", As::Minutes),
];

/// The variables that only Scalelite uses and Usher does not.
const MEANINGLESS: &str = "LOADBALANCER_CHECKSUM_ALGORITHM BUILD_NUMBER DEFAULT_MEETING_TTL POLLER_THREADS \
    POLLER_WAIT_TIMEOUT SERVER_ID_IS_HOSTNAME DEFAULT_CREATE_PARAMS OVERRIDE_CREATE_PARAMS DEFAULT_JOIN_PARAMS \
    OVERRIDE_JOIN_PARAMS GET_RECORDINGS_API_FILTERED RECORDING_DISABLED RECORDING_IMPORT_UNPUBLISHED \
    RECORDING_SPOOL_DIR RECORDING_WORK_DIR RECORDING_PUBLISH_DIR RECORDING_UNPUBLISH_DIR \
    RECORDING_PLAYBACK_FORMATS RECORDING_IMPORT_POLL RECORDING_IMPORT_POLL_INTERVAL PROTECTED_RECORDINGS_ENABLED \
    PROTECTED_RECORDINGS_TOKEN_TIMEOUT PROTECTED_RECORDINGS_TIMEOUT S3_RECORDING MULTITENANCY_ENABLED \
    USE_EXTERNAL_VOICE_BRIDGE SCALELITE_API_PORT SCALELITE_TAG SCALELITE_RECORDING_DIR SCALELITE_API_EXTRA_OPTS \
    SCALELITE_NGINX_EXTRA_OPTS NGINX_SSL NGINX_BEHIND_PROXY NGINX_RECORDINGS_ONLY BEHIND_PROXY REDIS_POOL \
    REDIS_NAMESPACE DB_CONNECTION_RETRY_COUNT DB_DISABLED";

/// The variables that many programs use. The warning names them only together with a variable that only
/// Scalelite uses.
const MEANINGLESS_COMMON: &str = "SECRET_KEY_BASE DATABASE_URL PREPARED_STATEMENT REDIS_URL S3_BUCKET_NAME \
    CLOUDFRONT_URL CF_KEY_PAIR_ID CF_PRIVATE_KEY_B64 DEFAULT_LOCALE PORT BIND WEB_CONCURRENCY RAILS_MAX_THREADS \
    RAILS_MIN_THREADS RAILS_ENV RAILS_LOG_TO_STDOUT RAILS_LOG_LEVEL RAILS_SERVE_STATIC_FILES PIDFILE INTERVAL";

/// Reads the variables that Usher uses and warns of the others. Returns the value of
/// `SERVER_UNHEALTHY_THRESHOLD`, for [`fit`] as soon as the settings that override it are known.
pub(super) fn apply(loading: &mut Loading, env: &[(String, String)]) -> Option<ScaleliteThreshold> {
    let value =
        |name: &str| env.iter().find(|(n, v)| n == name && !v.trim().is_empty()).map(|(_, v)| v.as_str());
    let ours =
        |key: &str| keys::find(key).is_some_and(|key| env.iter().any(|(name, _)| *name == key.env_name()));
    let (mut secrets, mut polls) = (Vec::new(), None);
    for (name, key, form) in NAMES {
        let Some(text) = value(name).filter(|_| !ours(key)) else { continue };
        let origin = SettingOrigin::Env((*name).into());
        match form {
            As::Same => loading.set(key, &origin, &RawValue::Text(text.trim())),
            As::Seconds => timed(loading, key, &origin, text, 1.0),
            As::Minutes => timed(loading, key, &origin, text, 60.0),
            As::Host => loading.set(key, &origin, &RawValue::Text(&format!("https://{}", text.trim()))),
            As::Single => secrets.push(text.to_owned()),
            As::Colons => {
                secrets.extend(text.split(':').filter(|secret| !secret.is_empty()).map(str::to_owned));
            }
            As::Digits => digits(loading, key, &origin, text),
            As::Polls => {
                let interval = value("POLL_INTERVAL").and_then(seconds).unwrap_or(POLL_INTERVAL);
                polls = Some(ScaleliteThreshold { origin: origin.clone(), polls: text.to_owned(), interval });
            }
        }
        if matches!(form, As::Single | As::Colons) {
            let mut seen = std::collections::BTreeSet::new();
            secrets.retain(|secret| seen.insert(secret.clone()));
            loading.set(key, &origin, &RawValue::Many(&secrets));
        }
    }
    let certain = value("LOADBALANCER_SECRET").or(value("LOADBALANCER_SECRETS")).is_some();
    let common = MEANINGLESS_COMMON.split_whitespace().filter(|_| certain);
    for name in MEANINGLESS.split_whitespace().chain(common).filter(|name| value(name).is_some()) {
        let message = "is a setting of Scalelite's and means nothing here".into();
        loading.warnings.push(ConfigWarning { origin: SettingOrigin::Env(name.into()), message });
    }
    polls
}

fn seconds(text: &str) -> Option<Duration> {
    let number = text.trim().parse::<f64>().ok().filter(|number| *number > 0.0)?;
    Duration::try_from_secs_f64(number).ok()
}

fn timed(loading: &mut Loading, key: &str, origin: &SettingOrigin, text: &str, unit_seconds: f64) {
    match text.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => {
            let written = format!("{}ms", (number * unit_seconds * 1000.0).round());
            loading.set(key, origin, &RawValue::Text(&written));
        }
        _ => {
            let unit = if unit_seconds > 1.0 { "minutes" } else { "seconds" };
            let remedy = format!(
                "write a number of {unit}, or use {}",
                keys::find(key).map_or_else(String::new, keys::SettingKey::env_name)
            );
            loading.faults.push(ConfigFault::new(
                origin.clone(),
                key,
                format!("is not a number of {unit}"),
                remedy,
            ));
        }
    }
}

fn digits(loading: &mut Loading, key: &str, origin: &SettingOrigin, text: &str) {
    let range = text.trim().parse().ok().and_then(|digits| VoiceRange::of_digits(digits).ok());
    match range {
        Some(range) => loading.set(key, origin, &RawValue::Text(&range.to_string())),
        None => loading.faults.push(ConfigFault::new(
            origin.clone(),
            key,
            "is not a number of digits from 5 to 9",
            "write one, or use USHER_VOICE__BRIDGES",
        )),
    }
}

/// Turns the number of failed polls into a time as soon as the poll interval is known, and adapts defaults to the
/// values of Scalelite: a setting that the operator did not write gives way to one of Scalelite.
pub(super) fn fit(loading: &mut Loading, threshold: Option<ScaleliteThreshold>) {
    if let Some(ScaleliteThreshold { origin, polls, interval }) = threshold {
        let ours = loading.origin("health.unhealthy_after") != SettingOrigin::Default;
        match u32::parse(&polls) {
            _ if ours => {} // the file or a flag says it in time
            Ok(polls) => {
                let time = interval.saturating_mul(polls);
                loading.set(
                    "health.unhealthy_after",
                    &origin,
                    &RawValue::Text(&format!("{}ms", time.as_millis())),
                );
            }
            Err(problem) => loading.faults.push(ConfigFault::new(
                origin,
                "health.unhealthy_after",
                problem.what,
                problem.remedy,
            )),
        }
    }
    let brought = |loading: &Loading, key| matches!(loading.origin(key), SettingOrigin::Env(name) if !name.starts_with("USHER_"));
    let whole = |time: Duration| Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));

    let interval = loading.settings.health.interval;
    let deadline = loading.settings.health.deadline;
    if brought(loading, "health.connect_timeout") && loading.settings.health.connect_timeout >= deadline {
        loading.settings.health.connect_timeout = whole(deadline / 2);
        note(loading, "health.connect_timeout", "health.connect_timeout");
    }
    let create = loading.settings.meetings.create_timeout;
    if brought(loading, "health.unhealthy_after") && loading.settings.health.time_to_offline() <= create {
        loading.settings.health.unhealthy_after = whole(create + interval);
        note(loading, "health.unhealthy_after", "health.unhealthy_after");
    }
}

fn note(loading: &mut Loading, cause: &str, changed: &str) {
    let value = keys::find(changed).and_then(|key| (key.show)(&loading.settings));
    let message =
        format!("{changed} is taken as {} to fit", value.map_or_else(String::new, |value| value.to_string()));
    loading.warnings.push(ConfigWarning { origin: loading.origin(cause), message });
}
