//! What can be configured, as plain values with the defaults of requirements E6. How they are read
//! from file, environment and flags is in `runtime::config`; the loader fills these and checks them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::voice::VoiceRange;
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// Every setting of every program; each program uses its part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Addresses to listen on.
    pub addresses: ListenAddresses,
    /// Directory of the embedded store; none means in memory.
    pub data: Option<PathBuf>,
    /// Secrets of tenant `default`, set at start where given.
    pub secrets: Vec<Secret>,
    /// Where applications and BBB servers reach the edges, for callbacks.
    pub public_url: Option<String>,
    /// `[store]`
    pub store: StoreSettings,
    /// `[leader]`
    pub leader: LeaderSettings,
    /// `[health]`
    pub health: HealthSettings,
    /// `[placement]`
    pub placement: PlacementSettings,
    /// `[meetings]`
    pub meetings: MeetingSettings,
    /// `[edge]`
    pub edge: EdgeSettings,
    /// `[callbacks]`
    pub callbacks: CallbackSettings,
    /// `[voice]`
    pub voice: VoiceSettings,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[telemetry]`
    pub telemetry: TelemetrySettings,
}

/// Where the listeners are; port 0 means any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddresses {
    /// BBB API.
    pub listen: SocketAddr,
    /// gRPC.
    pub control: SocketAddr,
    /// `/live /ready /metrics`.
    pub ops: SocketAddr,
}

impl Default for ListenAddresses {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { listen: local(8080), control: local(9090), ops: local(9091) }
    }
}

/// Which store, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which implementation.
    pub kind: StoreKind,
    /// etcd endpoints, `http://` or `https://`.
    pub endpoints: Vec<String>,
    /// Prefix of every key, ending in `/`.
    pub prefix: String,
    /// etcd user, with `password`.
    pub user: Option<String>,
    /// etcd password.
    pub password: Option<Secret>,
    /// PEM file of the CA that signed etcd's certificates.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate, with `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the client key.
    pub key: Option<PathBuf>,
    /// Longest time one call to the store may take.
    pub timeout: Duration,
    /// How long etcd's history is kept at least; 0 leaves it to whoever else compacts it.
    pub compact_every: Duration,
    /// Bytes from which on the store refuses writes; 0 means as the store says.
    pub quota: u64,
}

/// The two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A cluster of etcd 3.4 or newer.
    Etcd,
    /// A file, or memory, in this process.
    Embedded,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            kind: StoreKind::Etcd,
            endpoints: vec!["http://127.0.0.1:2379".into()],
            prefix: "/usher/".into(),
            user: None,
            password: None,
            ca: None,
            cert: None,
            key: None,
            timeout: Duration::from_secs(5),
            compact_every: Duration::from_mins(5),
            quota: 0,
        }
    }
}

/// The leader's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderSettings {
    /// Time after which a silent leader is replaced; whole seconds, at least 2 s.
    pub ttl: Duration,
    /// Name of this replica in the election; none means host name and process id.
    pub replica: Option<String>,
}

impl Default for LeaderSettings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(5), replica: None }
    }
}

/// Polling and the health state machine (requirements A1).
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// Time between two polls of one server.
    pub interval: Duration,
    /// Longest time one poll may take; below `interval`.
    pub deadline: Duration,
    /// Longest time to connect; below `deadline`.
    pub connect_timeout: Duration,
    /// Successful polls in a row to green; at least 1.
    pub healthy_threshold: u32,
    /// Time without success to red; never fewer than three failed polls.
    pub unhealthy_after: Duration,
    /// Share of failing servers above which nothing turns red; 0 to 1.
    pub mass_failure_guard: f64,
    /// Time after which the guard lets servers turn red all the same.
    pub mass_hold: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            healthy_threshold: 3,
            unhealthy_after: Duration::from_mins(1),
            mass_failure_guard: 0.5,
            mass_hold: Duration::from_mins(5),
        }
    }
}

impl HealthSettings {
    /// Fewest failed polls from green to red, whatever the interval: one that was late says little, and red
    /// gives the ids of running meetings away.
    pub const FAILED_POLLS_LEAST: u32 = 3;

    /// Failed polls from green to red: `unhealthy_after / interval`, rounded up, at least three (H16).
    pub fn unhealthy_threshold(&self) -> u32 {
        let interval = self.interval.as_millis().max(1);
        let polls = u32::try_from(self.unhealthy_after.as_millis().div_ceil(interval)).unwrap_or(u32::MAX);
        polls.max(Self::FAILED_POLLS_LEAST)
    }

    /// Time from the last good poll to red.
    pub fn time_to_offline(&self) -> Duration {
        self.interval.saturating_mul(self.unhealthy_threshold())
    }
}

/// How servers are chosen (requirements E).
#[derive(Debug, Clone, PartialEq)]
pub struct PlacementSettings {
    /// Users a young meeting counts at least.
    pub min_users: u32,
    /// How long a meeting is young.
    pub join_buffer: Duration,
    /// Time over which a server that just became green takes its full share; 0 means at once.
    pub slow_start: Duration,
    /// Placements that may be pending on one server.
    pub max_inflight_creates: u32,
    /// Share of enabled servers that must be candidates; below it unhealthy ones are used too.
    pub panic_threshold: f64,
}

impl Default for PlacementSettings {
    fn default() -> Self {
        Self {
            min_users: 15,
            join_buffer: Duration::from_mins(15),
            slow_start: Duration::from_mins(1),
            max_inflight_creates: 8,
            panic_threshold: 0.5,
        }
    }
}

/// Meetings and calls about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingSettings {
    /// Longest time a create at a server may take; below the time to offline.
    pub create_timeout: Duration,
    /// Longest time a call with documents may take; a create only as far as polls list its meeting.
    pub upload_timeout: Duration,
    /// Longest time any other call may take; also the deadline of lists.
    pub call_timeout: Duration,
    /// Which unknown meetings are taken over.
    pub adopt: AdoptPolicy,
    /// Longest duration of a meeting; 0 means no limit.
    pub max_duration: Duration,
    /// What happens to never-superseded meetings of a server that returns.
    pub zombie_policy: ZombiePolicy,
    /// Time after which a zombie, or a record of an offline server, is given up.
    pub zombie_ttl: Duration,
    /// Parameters taken out of every create.
    pub create_exclude: Vec<String>,
    /// Parameters taken out of every join.
    pub join_exclude: Vec<String>,
    /// Answer `getMeetings` with an empty list, asking nobody.
    pub get_meetings_disabled: bool,
}

/// Which meetings that a poll lists, and no record knows, become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdoptPolicy {
    /// Those that carry our mark.
    Tagged,
    /// None.
    None,
    /// All: the switch from another balancer.
    All,
}

/// What happens to never-superseded meetings of a server that returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZombiePolicy {
    /// They route again.
    Restore,
    /// They are ended.
    End,
}

impl Default for MeetingSettings {
    fn default() -> Self {
        Self {
            create_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_mins(5),
            call_timeout: Duration::from_secs(10),
            adopt: AdoptPolicy::Tagged,
            max_duration: Duration::ZERO,
            zombie_policy: ZombiePolicy::Restore,
            zombie_ttl: Duration::from_hours(24),
            create_exclude: Vec::new(),
            join_exclude: Vec::new(),
            get_meetings_disabled: false,
        }
    }
}

/// The edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Name of this edge; none means host name and process id.
    pub id: Option<String>,
    /// gRPC addresses of control planes, tried in random order.
    pub control_plane: Vec<String>,
    /// File that keeps the last good table.
    pub last_good: Option<PathBuf>,
    /// Largest request body, bytes.
    pub max_body: u64,
    /// Largest request head, bytes.
    pub max_head: u64,
    /// Longest time a client may take to send its request head, and between parts of its body.
    pub client_timeout: Duration,
    /// Longest time a client's connection may be open without a request.
    pub idle_timeout: Duration,
    /// Connections beyond this are refused; 0 means no limit.
    pub max_connections: u32,
    /// PEM file of the certificate chain; none means plain HTTP.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the private key.
    pub tls_key: Option<PathBuf>,
    /// Networks whose PROXY protocol headers are believed; empty means the protocol is off.
    pub proxy_protocol_from: Vec<String>,
    /// Time between "not ready" and the listener's end at shutdown; until then requests are served.
    pub shutdown_wait: Duration,
    /// Time that requests under way have to finish at shutdown.
    pub shutdown_grace: Duration,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            id: None,
            control_plane: vec!["http://127.0.0.1:9090".into()],
            last_good: None,
            max_body: 64 << 20,
            max_head: 64 << 10,
            client_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            max_connections: 0,
            tls_cert: None,
            tls_key: None,
            proxy_protocol_from: Vec::new(),
            shutdown_wait: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

/// Callbacks of servers to applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// Networks that applications may be in although they are private, `10.0.0.0/8`.
    pub allow: Vec<String>,
    /// How long a callback is tried.
    pub retry_for: Duration,
    /// Longest time of one try.
    pub timeout: Duration,
    /// How long a server that calls is kept waiting for a control plane that takes what it says.
    pub accept_timeout: Duration,
    /// Largest callback, bytes.
    pub max_body: u64,
    /// All callbacks that wait, together, bytes.
    pub max_waiting: u64,
    /// How long a server may use the address it was given at the create.
    pub address_ttl: Duration,
    /// Webhooks that one tenant may register.
    pub max_hooks: u32,
    /// Hash by which webhooks are signed, as bbb-webhooks' `hookChecksumAlgorithm`.
    pub hook_checksum: ChecksumAlgorithm,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            retry_for: Duration::from_hours(24),
            timeout: Duration::from_secs(10),
            accept_timeout: Duration::from_secs(25),
            max_body: 1 << 20,
            max_waiting: 64 << 20,
            address_ttl: Duration::from_hours(30 * 24),
            max_hooks: 1000,
            hook_checksum: ChecksumAlgorithm::Sha1,
        }
    }
}

/// Numbers by which callers reach meetings, and the telephone system that connects them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceSettings {
    /// What rooms get numbers from whose tenant has no range of its own; none means that they get none.
    pub bridges: Option<VoiceRange>,
    /// How long a room keeps its number without being created.
    pub keep: Duration,
    /// Password by which `FreeSWITCH` asks where callers go; none means that nobody is told.
    pub fsapi_password: Option<Secret>,
    /// Longest call; 0 means no limit.
    pub max_call: Duration,
    /// Fewest digits a caller has to type.
    pub pin_min: u32,
    /// Most digits a caller may type.
    pub pin_max: u32,
}

impl Default for VoiceSettings {
    fn default() -> Self {
        Self {
            bridges: None,
            keep: Duration::from_hours(60 * 24),
            fsapi_password: None,
            max_call: Duration::ZERO,
            pin_min: 5,
            pin_max: 11,
        }
    }
}

/// Who may use the control port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Bearer token that every caller must send.
    pub token: Option<Secret>,
    /// Serve without a token on addresses that are not loopback.
    pub insecure: bool,
}

/// Logs and traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Where traces go, OTLP over gRPC; none means nowhere.
    pub otlp_endpoint: Option<String>,
    /// Filter, as in `info` or `info,usher_edge_proxy=debug`.
    pub log: String,
    /// Form of the log lines.
    pub log_format: LogFormat,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { otlp_endpoint: None, log: "info".into(), log_format: LogFormat::Text }
    }
}
