//! The table of all settings. A new setting needs one line here and a field in `usher_model::settings`.

use usher_model::settings::Settings;

use super::kind::{RawValue, SettingKind, ValueProblem};

/// One setting: its name, and the functions that read and print it.
pub(super) struct SettingKey {
    /// Dotted path in the file, such as `health.interval`.
    pub(super) name: &'static str,
    /// Whether the value is a secret that must never be shown (I14).
    pub(super) secret: bool,
    /// Reads a value into the settings.
    pub(super) set: fn(&mut Settings, &RawValue<'_>) -> Result<(), ValueProblem>,
    /// Returns the value in the form of the file, with secrets masked; `None` if it is not set.
    pub(super) show: fn(&Settings) -> Option<toml::Value>,
}

impl SettingKey {
    /// Returns the environment variable of the setting, such as `USHER_HEALTH__INTERVAL`.
    pub(super) fn env_name(&self) -> String {
        format!("USHER_{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

/// Returns the setting with a name.
pub(super) fn find(name: &str) -> Option<&'static SettingKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Tells whether a name is a section with settings.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

macro_rules! keys {
    ($($name:literal $($field:ident).+ $(($secret:ident))?;)*) => {
        /// The table, in the order of printing: top level first, then section by section.
        pub(super) const KEYS: &[SettingKey] = &[$(SettingKey {
            name: $name,
            secret: keys!(@secret $($secret)?),
            set: |settings, raw| {
                settings.$($field).+ = SettingKind::read(raw)?;
                Ok(())
            },
            show: |settings| settings.$($field).+.show(),
        },)*];
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

keys! {
    "listen" addresses.listen;
    "control" addresses.control;
    "ops" addresses.ops;
    "data" data;
    "secrets" secrets (secret);
    "public_url" public_url;
    "store.kind" store.kind;
    "store.endpoints" store.endpoints;
    "store.prefix" store.prefix;
    "store.user" store.user;
    "store.password" store.password (secret);
    "store.ca" store.ca;
    "store.cert" store.cert;
    "store.key" store.key;
    "store.timeout" store.timeout;
    "store.compact_every" store.compact_every;
    "store.quota" store.quota;
    "leader.ttl" leader.ttl;
    "leader.replica" leader.replica;
    "health.interval" health.interval;
    "health.deadline" health.deadline;
    "health.connect_timeout" health.connect_timeout;
    "health.healthy_threshold" health.healthy_threshold;
    "health.unhealthy_after" health.unhealthy_after;
    "health.mass_failure_guard" health.mass_failure_guard;
    "health.mass_hold" health.mass_hold;
    "placement.min_users" placement.min_users;
    "placement.join_buffer" placement.join_buffer;
    "placement.slow_start" placement.slow_start;
    "placement.max_inflight_creates" placement.max_inflight_creates;
    "placement.panic_threshold" placement.panic_threshold;
    "meetings.create_timeout" meetings.create_timeout;
    "meetings.upload_timeout" meetings.upload_timeout;
    "meetings.call_timeout" meetings.call_timeout;
    "meetings.share_lists_for" meetings.share_lists_for;
    "meetings.recordings_timeout" meetings.recordings_timeout;
    "meetings.adopt" meetings.adopt;
    "meetings.max_duration" meetings.max_duration;
    "meetings.zombie_policy" meetings.zombie_policy;
    "meetings.zombie_ttl" meetings.zombie_ttl;
    "meetings.create_exclude" meetings.create_exclude;
    "meetings.join_exclude" meetings.join_exclude;
    "meetings.get_meetings_disabled" meetings.get_meetings_disabled;
    "edge.id" edge.id;
    "edge.control_plane" edge.control_plane;
    "edge.cells" edge.cells (secret);
    "edge.last_good" edge.last_good;
    "edge.max_body" edge.max_body;
    "edge.max_head" edge.max_head;
    "edge.client_timeout" edge.client_timeout;
    "edge.idle_timeout" edge.idle_timeout;
    "edge.max_connections" edge.max_connections;
    "edge.max_address_connections" edge.max_address_connections;
    "edge.max_address_requests" edge.max_address_requests;
    "edge.max_cost" edge.max_cost;
    "edge.max_server_reads" edge.max_server_reads;
    "edge.max_server_writes" edge.max_server_writes;
    "edge.memory_budget" edge.memory_budget;
    "edge.tls_cert" edge.tls_cert;
    "edge.tls_key" edge.tls_key;
    "edge.proxy_protocol_from" edge.proxy_protocol_from;
    "edge.shutdown_wait" edge.shutdown_wait;
    "edge.shutdown_grace" edge.shutdown_grace;
    "callbacks.allow" callbacks.allow;
    "callbacks.retry_for" callbacks.retry_for;
    "callbacks.timeout" callbacks.timeout;
    "callbacks.accept_timeout" callbacks.accept_timeout;
    "callbacks.max_body" callbacks.max_body;
    "callbacks.max_waiting" callbacks.max_waiting;
    "callbacks.address_ttl" callbacks.address_ttl;
    "callbacks.max_hooks" callbacks.max_hooks;
    "callbacks.hook_checksum" callbacks.hook_checksum;
    "voice.bridges" voice.bridges;
    "voice.keep" voice.keep;
    "voice.fsapi_password" voice.fsapi_password (secret);
    "voice.max_call" voice.max_call;
    "voice.pin_min" voice.pin_min;
    "voice.pin_max" voice.pin_max;
    "recordings.library" recordings.library;
    "recordings.listen" recordings.listen;
    "recordings.address" recordings.address;
    "recordings.database" recordings.database;
    "recordings.storage" recordings.storage;
    "recordings.url" recordings.url;
    "recordings.player" recordings.player;
    "recordings.publish" recordings.publish;
    "recordings.keep_free" recordings.keep_free;
    "admin.token" admin.token (secret);
    "admin.insecure" admin.insecure;
    "telemetry.otlp_endpoint" telemetry.otlp_endpoint;
    "telemetry.log" telemetry.log;
    "telemetry.log_format" telemetry.log_format;
}
