//! The rules within and between settings, checked when all settings are read (style P13).

mod cells;
mod url;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::HeaderValue;
use tracing_subscriber::EnvFilter;
use usher_model::{
    id::EdgeId,
    settings::{HealthSettings, Settings, StoreKind},
};

use super::{
    fault::{ConfigFault, ConfigWarning, SettingOrigin},
    keys,
    kind::ScalarKind,
    loading::Loading,
};
use url::is_http;

/// A rule with the settings that it reads. The fault names the first one as the setting to change.
struct Rule {
    keys: &'static [&'static str],
    holds: fn(&Settings) -> bool,
    problem: &'static str,
    remedy: &'static str,
}

macro_rules! rules {
    ($([$($key:literal),+] $holds:expr, $problem:literal, $remedy:literal;)*) => {
        &[$(Rule { keys: &[$($key),+], holds: $holds, problem: $problem, remedy: $remedy },)*]
    };
}

const RULES: &[Rule] = rules! {
    ["listen", "control"] |s| apart(s.addresses.listen, s.addresses.control),
        "must not be the same address as control", "choose another port";
    ["listen", "ops"] |s| apart(s.addresses.listen, s.addresses.ops),
        "must not be the same address as ops", "choose another port";
    ["control", "ops"] |s| apart(s.addresses.control, s.addresses.ops),
        "must not be the same address as ops", "choose another port";
    ["public_url"] |s| s.public_url.as_deref().is_none_or(is_http),
        "is not a URL", "write it as https://bbb.example.org";
    ["recordings.library", "public_url"] |s| !s.recordings.library || s.recordings.url.is_some() || s.public_url.is_some(),
        "needs an address of playback", "set public_url, or recordings.url";
    ["recordings.url"] |s| s.recordings.url.as_deref().is_none_or(is_http),
        "is not a URL", "write it as https://play.example.org";
    ["recordings.address"] |s| s.recordings.address.as_deref().is_none_or(is_http),
        "is not a URL", "write it as http://HOST:9092";
    ["store.endpoints"] |s| s.store.kind != StoreKind::Etcd || !s.store.endpoints.is_empty(),
        "is empty", "name at least one etcd endpoint, or choose store.kind = \"embedded\"";
    ["store.endpoints"] |s| s.store.endpoints.iter().all(|url| is_http(url)),
        "has an entry that is not a URL", "write each as http://HOST:2379, user and password in store.user and store.password";
    ["store.prefix"] |s| s.store.prefix.ends_with('/'), "does not end in `/`", "write it as /usher/";
    ["store.user", "store.password"] |s| s.store.user.is_some() == s.store.password.is_some(),
        "and store.password go together", "set both or none";
    ["store.cert", "store.key"] |s| s.store.cert.is_some() == s.store.key.is_some(),
        "and store.key go together", "set both or none";
    ["store.timeout"] |s| !s.store.timeout.is_zero(), "must be above 0", "the default is 5s";
    ["leader.ttl"] |s| s.leader.ttl >= Duration::from_secs(2) && s.leader.ttl.subsec_nanos() == 0,
        "must be whole seconds, at least 2s", "the default is 5s";
    ["health.interval"] |s| !s.health.interval.is_zero(), "must be above 0", "the default is 10s";
    ["health.deadline", "health.interval"] |s| s.health.deadline < s.health.interval,
        "must be below health.interval", "lower it, or poll less often";
    ["health.deadline"] |s| !s.health.deadline.is_zero(), "must be above 0", "the default is 5s";
    ["health.connect_timeout", "health.deadline"] |s| s.health.connect_timeout < s.health.deadline,
        "must be below health.deadline", "lower it";
    ["health.connect_timeout"] |s| !s.health.connect_timeout.is_zero(), "must be above 0", "the default is 2s";
    ["health.healthy_threshold"] |s| s.health.healthy_threshold >= 1, "must be at least 1", "the default is 3";
    ["health.unhealthy_after"] |s| !s.health.unhealthy_after.is_zero(), "must be above 0", "the default is 60s";
    ["health.mass_failure_guard"] |s| (0.0..=1.0).contains(&s.health.mass_failure_guard),
        "must be from 0 to 1", "0.5 means half of the servers";
    ["placement.panic_threshold"] |s| (0.0..=1.0).contains(&s.placement.panic_threshold),
        "must be from 0 to 1", "0.5 means half of the servers";
    ["placement.max_inflight_creates"] |s| s.placement.max_inflight_creates >= 1,
        "must be at least 1", "the default is 8";
    ["meetings.create_timeout", "health.unhealthy_after", "health.interval"]
        |s| s.meetings.create_timeout < s.health.time_to_offline(),
        "must be below health.unhealthy_after, or below three times health.interval where that is longer",
        "a create begun on a healthy server must end before its ids become free";
    ["meetings.create_timeout"] |s| !s.meetings.create_timeout.is_zero(), "must be above 0", "the default is 30s";
    ["meetings.upload_timeout", "meetings.create_timeout"] |s| s.meetings.upload_timeout >= s.meetings.create_timeout,
        "must not be below meetings.create_timeout", "the default is 5m: a create with documents waits at least as long as one without";
    ["meetings.upload_timeout", "meetings.call_timeout"] |s| s.meetings.upload_timeout >= s.meetings.call_timeout,
        "must not be below meetings.call_timeout", "the default is 5m: a call with documents waits at least as long as one without";
    ["meetings.call_timeout"] |s| !s.meetings.call_timeout.is_zero(), "must be above 0", "the default is 10s";
    ["meetings.recordings_timeout", "meetings.call_timeout"] |s| s.meetings.recordings_timeout >= s.meetings.call_timeout,
        "must not be below meetings.call_timeout", "the default is 60s: servers with many recordings are slow to list them";
    ["meetings.share_lists_for"] |s| s.meetings.share_lists_for <= Duration::from_secs(10),
        "must not be above 10s", "the default is 1s: a change through another edge appears in lists after this time";
    ["meetings.zombie_ttl"] |s| !s.meetings.zombie_ttl.is_zero(), "must be above 0", "the default is 24h";
    ["edge.id"] |s| s.edge.id.as_deref().is_none_or(|id| EdgeId::parse(id).is_ok()),
        "is not a name", "use 1 to 64 of A-Z a-z 0-9 - _ .";
    ["leader.replica"] |s| s.leader.replica.as_deref().is_none_or(|id| EdgeId::parse(id).is_ok()),
        "is not a name", "use 1 to 64 of A-Z a-z 0-9 - _ .";
    ["edge.control_plane"] |s| !s.edge.control_plane.is_empty(), "is empty", "name at least one control plane";
    ["edge.control_plane"] |s| s.edge.control_plane.iter().all(|url| is_http(url)),
        "has an entry that is not a URL", "write each as http://HOST:9090";
    ["edge.max_body"] |s| s.edge.max_body >= 1024, "must be at least 1KiB", "the default is 64MiB";
    ["edge.max_head"] |s| s.edge.max_head >= 8192, "must be at least 8KiB", "the default is 64KiB";
    ["edge.client_timeout"] |s| !s.edge.client_timeout.is_zero(), "must be above 0", "the default is 15s";
    ["edge.tls_cert", "edge.tls_key"] |s| s.edge.tls_cert.is_some() == s.edge.tls_key.is_some(),
        "and edge.tls_key go together", "set both or none";
    ["edge.proxy_protocol_from"] |s| s.edge.proxy_protocol_from.iter().all(|net| is_network(net)),
        "has an entry that is not a network", "write each as 10.0.0.0/8 or fd00::/8";
    ["callbacks.allow"] |s| s.callbacks.allow.iter().all(|net| is_network(net)),
        "has an entry that is not a network", "write each as 10.0.0.0/8 or fd00::/8";
    ["callbacks.retry_for"] |s| !s.callbacks.retry_for.is_zero(), "must be above 0", "the default is 24h";
    ["callbacks.timeout"] |s| !s.callbacks.timeout.is_zero(), "must be above 0", "the default is 10s";
    ["callbacks.accept_timeout"] |s| !s.callbacks.accept_timeout.is_zero(), "must be above 0", "the default is 25s";
    ["callbacks.max_body"] |s| (1024..=1 << 20).contains(&s.callbacks.max_body),
        "must be from 1KiB to 1MiB", "etcd takes no larger values; the default is 1MiB";
    ["callbacks.address_ttl"] |s| !s.callbacks.address_ttl.is_zero(), "must be above 0", "the default is 30d";
    ["voice.keep"] |s| !s.voice.keep.is_zero(), "must be above 0", "the default is 60d";
    ["voice.pin_min", "voice.pin_max"] |s| s.voice.pin_min <= s.voice.pin_max && s.voice.pin_min >= 1,
        "must be at least 1 and not above voice.pin_max", "5 and 11 are ordinary";
    ["voice.pin_max"] |s| s.voice.pin_max <= 30, "must be at most 30", "the default is 11";
    ["voice.max_call"] |s| s.voice.max_call.subsec_nanos() == 0, "must be whole seconds", "for example 4h";
    ["admin.token"] |s| s.admin.token.as_ref().is_none_or(|token| HeaderValue::from_str(token.expose()).is_ok_and(|v| v.to_str().is_ok())),
        "holds characters that a header cannot carry", "use visible ASCII characters";
    ["control", "admin.token", "admin.insecure"] |s| s.addresses.control.ip().is_loopback() || s.admin.token.is_some() || s.admin.insecure,
        "is reachable from other machines and nothing guards it", "set admin.token, or admin.insecure = true where the network does";
    ["telemetry.otlp_endpoint"] |s| s.telemetry.otlp_endpoint.as_deref().is_none_or(is_http),
        "is not a URL", "write it as http://HOST:4317";
    ["telemetry.log"] |s| EnvFilter::try_new(&s.telemetry.log).is_ok(),
        "is not a log filter", "write it as info or info,usher_edge_proxy=debug";
};

/// Returns the faults of all rules whose settings could be read.
pub(super) fn run(loading: &mut Loading) {
    for rule in RULES {
        if rule.keys.iter().any(|key| loading.is_faulty(key)) || (rule.holds)(&loading.settings) {
            continue;
        }
        // If only one of the conflicting settings was written, its source is the origin of the fault.
        let origin =
            rule.keys.iter().map(|key| loading.origin(key)).find(|origin| *origin != SettingOrigin::Default);
        let values: Vec<String> = rule.keys.iter().map(|key| describe(loading, key)).collect();
        let problem = format!("{} ({})", rule.problem, values.join(", "));
        loading.faults.push(ConfigFault::new(
            origin.unwrap_or(SettingOrigin::Default),
            rule.keys[0],
            problem,
            rule.remedy,
        ));
    }
    cells::check(loading);
    warn_of_few_polls(loading);
}

/// Adds a warning if the time to offline is too short for the number of polls that it needs.
fn warn_of_few_polls(loading: &mut Loading) {
    const KEYS: [&str; 2] = ["health.unhealthy_after", "health.interval"];
    let health = &loading.settings.health;
    let (polls, time) = (HealthSettings::FAILED_POLLS_LEAST, health.time_to_offline());
    if health.unhealthy_after >= health.interval.saturating_mul(polls)
        || KEYS.iter().any(|key| loading.is_faulty(key))
    {
        return;
    }
    let [after, interval] = KEYS.map(|key| describe(loading, key));
    let written =
        KEYS.map(|key| loading.origin(key)).into_iter().find(|origin| *origin != SettingOrigin::Default);
    loading.warnings.push(ConfigWarning {
        origin: written.unwrap_or(SettingOrigin::Default),
        message: format!(
            "{after} is shorter than {polls} polls with {interval}: a server is offline after {polls} failed \
             polls, which is {}",
            time.show()
        ),
    });
}

/// Returns a text such as `health.interval = "3s" from environment POLL_INTERVAL`; a secret is `"***"`.
fn describe(loading: &Loading, name: &str) -> String {
    let value = keys::find(name).and_then(|key| (key.show)(&loading.settings));
    let value = value.map_or_else(|| "not set".into(), |value| value.to_string());
    match loading.origin(name) {
        SettingOrigin::Default => format!("{name} = {value} by default"),
        origin => format!("{name} = {value} from {origin}"),
    }
}

fn apart(a: SocketAddr, b: SocketAddr) -> bool {
    let meet = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == 0 || a.port() != b.port() || !meet
}

fn is_network(text: &str) -> bool {
    let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= longest))
}
