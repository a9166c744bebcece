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
    /// How long an ended meeting is still listed; zero by default.
    pub end_delay: Duration,
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
            end_delay: Duration::ZERO,
            unjoined_expiry: Duration::from_mins(5),
            callback_pauses: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
            recordings: Vec::new(),
            processing: Duration::ZERO,
            fetch_all: true,
            hooks: HookOptions::default(),
        }
    }
}
