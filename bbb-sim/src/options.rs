//! The settings of a simulated server.

mod hooks;
mod version;

use std::{net::SocketAddr, time::Duration};

pub use hooks::{HookOptions, HooksVersion};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
pub use version::BbbVersion;

use crate::recording::SimRecording;

/// The settings of a simulated server.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// The name on its session pages; its address by default.
    pub name: Option<String>,
    /// The shared secret that signs calls to it.
    pub secret: Secret,
    /// The address on which it listens; port 0 means any free port.
    pub listen: SocketAddr,
    /// The version of BBB that it imitates.
    pub version: BbbVersion,
    /// The hashes that it accepts, among those of its version.
    pub algorithms: Vec<ChecksumAlgorithm>,
    /// How long the apps server takes to confirm a create and to carry out an end; 30 ms by default.
    /// A meeting has no `startTime` before, and is as it was after an accepted end.
    pub apps_delay: Duration,
    /// Whether users are present as soon as they have joined; otherwise, by default, once they have
    /// opened the page of their session, or a test has connected them.
    pub clients_connect_at_once: bool,
    /// How long a meeting whose end was carried out is still listed, as ended; zero by default.
    pub end_delay: Duration,
    /// Longest body of a request, in bytes; a longer one gets a 413 of the nginx in front. 1 MiB by
    /// default, as for an nginx without a setting.
    pub body_limit: usize,
    /// The time after which a meeting without a join ends; five minutes by default.
    pub unjoined_expiry: Duration,
    /// Pauses before the repetitions of an end callback that failed; by default those of BBB.
    pub callback_pauses: Vec<Duration>,
    /// The recordings at the start.
    pub recordings: Vec<SimRecording>,
    /// How long the recording of an ended meeting is `processing`; zero by default.
    pub processing: Duration,
    /// Whether `getRecordings` without ids and limit lists all recordings; true by default.
    pub fetch_all: bool,
    /// The settings of its webhooks application.
    pub hooks: HookOptions,
}

impl SimOptions {
    /// Returns the settings of an ordinary server with this secret, on a free port of the loopback
    /// interface.
    pub fn new(secret: &str) -> Self {
        Self { secret: Secret::new(secret), ..Self::default() }
    }

    /// Lets every effect take place at once, for tests that are not about delays: ends are carried
    /// out, creates are confirmed and clients are connected before the answer.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.apps_delay = Duration::ZERO;
        self.clients_connect_at_once = true;
        self
    }

    /// Sets the name on its session pages.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            name: None,
            secret: Secret::new("simulated-server-secret"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            version: BbbVersion::default(),
            algorithms: ChecksumAlgorithm::ALL.to_vec(),
            apps_delay: Duration::from_millis(30),
            clients_connect_at_once: false,
            end_delay: Duration::ZERO,
            body_limit: 1 << 20,
            unjoined_expiry: Duration::from_mins(5),
            callback_pauses: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
            recordings: Vec::new(),
            processing: Duration::ZERO,
            fetch_all: true,
            hooks: HookOptions::default(),
        }
    }
}
