//! The types of all settings, with the defaults of requirements E6. The loader in `runtime::config` fills them from
//! file, environment and flags, and checks them (ADR 5).

mod recordings;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use recordings::{PublishPolicy, RecordingSettings};

use crate::voice::VoiceRange;
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// Every setting of every program; each program uses its part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Addresses of the listeners.
    pub addresses: ListenAddresses,
    /// Directory of the embedded store; without it the store is in memory.
    pub data: Option<PathBuf>,
    /// Secrets of tenant `default`, which are set at the start if they are given.
    pub secrets: Vec<Secret>,
    /// URL by which applications and BBB servers reach the edges, for callbacks.
    pub public_url: Option<String>,
    /// The store of the fleet, section `[store]`.
    pub store: StoreSettings,
    /// The lease of the leader, section `[leader]`.
    pub leader: LeaderSettings,
    /// Polls and health, section `[health]`.
    pub health: HealthSettings,
    /// Placement of meetings, section `[placement]`.
    pub placement: PlacementSettings,
    /// Calls and meetings, section `[meetings]`.
    pub meetings: MeetingSettings,
    /// The edge proxy, section `[edge]`.
    pub edge: EdgeSettings,
    /// Callbacks and webhooks, section `[callbacks]`.
    pub callbacks: CallbackSettings,
    /// Voice bridges, section `[voice]`.
    pub voice: VoiceSettings,
    /// The recordings library, section `[recordings]`.
    pub recordings: RecordingSettings,
    /// Access to the control port, section `[admin]`.
    pub admin: AdminSettings,
    /// Logs and traces, section `[telemetry]`.
    pub telemetry: TelemetrySettings,
}

/// The addresses of the listeners; port 0 means any free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddresses {
    /// Address of the BBB API.
    pub listen: SocketAddr,
    /// Address of the gRPC control port.
    pub control: SocketAddr,
    /// Address of `/live`, `/ready` and `/metrics`.
    pub ops: SocketAddr,
}

impl Default for ListenAddresses {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { listen: local(8080), control: local(9090), ops: local(9091) }
    }
}

/// The kind of the store and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Kind of the store.
    pub kind: StoreKind,
    /// Endpoints of etcd, `http://` or `https://`.
    pub endpoints: Vec<String>,
    /// Prefix of every key, ending in `/`.
    pub prefix: String,
    /// User for etcd, with `password`.
    pub user: Option<String>,
    /// Password of the etcd user.
    pub password: Option<Secret>,
    /// PEM file of the CA that signed the certificates of etcd.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate, with `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the key of the client certificate.
    pub key: Option<PathBuf>,
    /// Longest time one call to the store may take.
    pub timeout: Duration,
    /// Least time for which the history of etcd is kept; 0 leaves compaction to another program.
    pub compact_every: Duration,
    /// Size at which the store refuses writes, bytes; 0 means the quota that the store reports.
    pub quota: u64,
}

/// The kinds of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A cluster of etcd 3.4 or newer.
    Etcd,
    /// The embedded store of this process, in a file or in memory.
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

/// The settings of the lease of the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderSettings {
    /// Time after which a silent leader is replaced; whole seconds, at least 2 s.
    pub ttl: Duration,
    /// Name of this replica in the election; the default is host name and process id.
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
    /// Successful polls in a row from which a server is online; at least 1.
    pub healthy_threshold: u32,
    /// Time without a successful poll after which a server is offline; never fewer than three failed polls.
    pub unhealthy_after: Duration,
    /// Share of failing servers above which no server becomes offline (H10); 0 to 1.
    pub mass_failure_guard: f64,
    /// Time after which the guard lets servers become offline nevertheless.
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
    /// The smallest number of failed polls from online to offline, at any interval (ADR 18). One late poll proves
    /// little, and an offline server frees the ids of its running meetings.
    pub const FAILED_POLLS_LEAST: u32 = 3;

    /// Returns the number of failed polls from online to offline: `unhealthy_after / interval`, rounded up, at least three (H16).
    pub fn unhealthy_threshold(&self) -> u32 {
        let interval = self.interval.as_millis().max(1);
        let polls = u32::try_from(self.unhealthy_after.as_millis().div_ceil(interval)).unwrap_or(u32::MAX);
        polls.max(Self::FAILED_POLLS_LEAST)
    }

    /// Returns the time from the last successful poll to offline.
    pub fn time_to_offline(&self) -> Duration {
        self.interval.saturating_mul(self.unhealthy_threshold())
    }
}

/// The choice of servers for new meetings (requirements E5).
#[derive(Debug, Clone, PartialEq)]
pub struct PlacementSettings {
    /// Number of users that a young meeting counts at least.
    pub min_users: u32,
    /// Age up to which a meeting is young.
    pub join_buffer: Duration,
    /// Time in which the share of a server that became online grows to its full size; 0 means at once.
    pub slow_start: Duration,
    /// Largest number of placements that may be pending on one server.
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

/// Timeouts and rules of calls and meetings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingSettings {
    /// Longest time a create at a server may take; below the time to offline.
    pub create_timeout: Duration,
    /// Longest time a call with documents may take. A create takes it only as far as polls list its meeting.
    pub upload_timeout: Duration,
    /// Longest time any other call may take, and time limit of lists of meetings and sessions.
    pub call_timeout: Duration,
    /// Time for which a server's list of meetings or sessions is used for the lists of all tenants, counted from the
    /// beginning of the call; 0 means that only lists at the same time share it.
    pub share_lists_for: Duration,
    /// Time limit of a list of recordings; not below `call_timeout`.
    pub recordings_timeout: Duration,
    /// Rule for meetings that a poll lists and no record names.
    pub adopt: AdoptPolicy,
    /// Longest duration of a meeting; 0 means no limit.
    pub max_duration: Duration,
    /// Rule for meetings of a server that returns, if they were never superseded.
    pub zombie_policy: ZombiePolicy,
    /// Time after which a zombie, or a record of an offline server, is abandoned.
    pub zombie_ttl: Duration,
    /// Parameters that are removed from every create.
    pub create_exclude: Vec<String>,
    /// Parameters that are removed from every join.
    pub join_exclude: Vec<String>,
    /// Whether `getMeetings` is answered with an empty list without a call of a server.
    pub get_meetings_disabled: bool,
}

/// The meetings to adopt: those that a poll lists and no record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdoptPolicy {
    /// Only meetings with the mark of Usher.
    Tagged,
    /// No meeting at all.
    None,
    /// All meetings, for the migration from another balancer.
    All,
}

/// The treatment of meetings of a server that returns, if they were never superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZombiePolicy {
    /// Their records route again.
    Restore,
    /// Usher ends the meetings.
    End,
}

impl Default for MeetingSettings {
    fn default() -> Self {
        Self {
            create_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_mins(5),
            call_timeout: Duration::from_secs(10),
            share_lists_for: Duration::from_secs(1),
            recordings_timeout: Duration::from_mins(1),
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

/// The settings of an edge proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Name of this edge; the default is host name and process id.
    pub id: Option<String>,
    /// Addresses of the control planes (gRPC), which are tried in random order.
    pub control_plane: Vec<String>,
    /// The cells that the edge follows, in the order of their precedence; an empty list means one cell without
    /// a name, at `control_plane`.
    pub cells: Vec<CellSettings>,
    /// File with the last good table. Each cell that has a name has a file of its own beside it.
    pub last_good: Option<PathBuf>,
    /// Largest body of a request, bytes.
    pub max_body: u64,
    /// Largest head of a request, bytes.
    pub max_head: u64,
    /// Longest time a client may take to send its request head, and between parts of its body.
    pub client_timeout: Duration,
    /// Longest time a connection may be open without a request.
    pub idle_timeout: Duration,
    /// Largest number of connections; further ones are refused; 0 means as many as the limit of descriptors
    /// allows, less a reserve.
    pub max_connections: u32,
    /// Largest number of connections of one client address; 0 means no limit. Without it, a quarter of all
    /// where the PROXY protocol tells the addresses, else no limit.
    pub max_address_connections: Option<u32>,
    /// Largest number of requests of one client address in a second; 0 means no limit. Without it, 5,000
    /// where the PROXY protocol tells the addresses, else no limit.
    pub max_address_requests: Option<u32>,
    /// Largest cost of calls under way at an edge, which tenants share; 0 means no limit. A read costs 1,
    /// a create 4, a list 8.
    pub max_cost: u32,
    /// Largest number of calls that read and are under way at one server; 0 means no limit.
    pub max_server_reads: u32,
    /// Largest number of other calls that are under way at one server; 0 means no limit.
    pub max_server_writes: u32,
    /// Largest size of the bodies and answers in memory, bytes; 0 means no limit. Without it, a quarter of the
    /// memory that the process may use.
    pub memory_budget: Option<u64>,
    /// PEM file of the certificate chain; without it the edge serves plain HTTP.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// Networks whose PROXY protocol headers are trusted; an empty list disables the protocol.
    pub proxy_protocol_from: Vec<String>,
    /// Time of a shutdown between "not ready" and the close of the listener, in which requests are served.
    pub shutdown_wait: Duration,
    /// Time of a shutdown in which requests in flight may finish.
    pub shutdown_grace: Duration,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            id: None,
            control_plane: vec!["http://127.0.0.1:9090".into()],
            cells: Vec::new(),
            last_good: None,
            max_body: 64 << 20,
            max_head: 64 << 10,
            client_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            max_connections: 0,
            max_address_connections: None,
            max_address_requests: None,
            max_cost: 4096,
            max_server_reads: 256,
            max_server_writes: 128,
            memory_budget: None,
            tls_cert: None,
            tls_key: None,
            proxy_protocol_from: Vec::new(),
            shutdown_wait: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

/// One cell that an edge follows (ADR 39).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellSettings {
    /// Name of the cell, for metrics, log lines and file names.
    pub name: String,
    /// Addresses of the cell's control planes (gRPC), which are tried in random order.
    pub control_plane: Vec<String>,
    /// Bearer token for the cell's control port; without one the edge sends `admin.token`.
    pub token: Option<Secret>,
}

/// The settings of callbacks and webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// Private networks that deliveries may call, such as `10.0.0.0/8`.
    pub allow: Vec<String>,
    /// Time for which the delivery of a callback is tried.
    pub retry_for: Duration,
    /// Longest time that one attempt may take.
    pub timeout: Duration,
    /// Longest time a server waits until a control plane accepts its callback.
    pub accept_timeout: Duration,
    /// Largest size of a callback, bytes.
    pub max_body: u64,
    /// Largest size of all waiting callbacks together, bytes.
    pub max_waiting: u64,
    /// Time for which a server may use the callback address of a create.
    pub address_ttl: Duration,
    /// Largest number of webhooks of one tenant.
    pub max_hooks: u32,
    /// Hash that signs webhook events: `hookChecksumAlgorithm` of bbb-webhooks.
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

/// The settings of voice bridges and of the telephone system (ADR 14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceSettings {
    /// Range of voice bridges for tenants without their own range; without it their meetings get none.
    pub bridges: Option<VoiceRange>,
    /// Time for which a meeting keeps its voice bridge after its last create.
    pub keep: Duration,
    /// Password with which `FreeSWITCH` requests the destination of a call; without it dial-in is off.
    pub fsapi_password: Option<Secret>,
    /// Longest time a telephone call may take; 0 means no limit.
    pub max_call: Duration,
    /// Smallest number of digits that a caller types.
    pub pin_min: u32,
    /// Largest number of digits that a caller types.
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

/// The access to the control port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Bearer token that every caller must send.
    pub token: Option<Secret>,
    /// Whether the port serves without a token on addresses that are not loopback.
    pub insecure: bool,
}

/// The settings of logs and traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Endpoint for traces, OTLP over gRPC; without it traces are off.
    pub otlp_endpoint: Option<String>,
    /// Filter of log lines, as in `info` or `info,usher_edge_proxy=debug`.
    pub log: String,
    /// Format of the log lines.
    pub log_format: LogFormat,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for operators.
    Text,
    /// One JSON object for each line.
    Json,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { otlp_endpoint: None, log: "info".into(), log_format: LogFormat::Text }
    }
}
