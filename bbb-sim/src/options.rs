//! How a simulated server is set up.

use std::{net::SocketAddr, time::Duration};

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

use crate::{hooks::HookOptions, recording::SimRecording};

/// Which BBB it behaves like, where versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BbbVersion {
    /// 2.4: SHA-1 and SHA-256, lower case only; forms signed as a rebuilt string; `end` wants the moderator
    /// password; a repeated create without passwords is refused; counters with thousands commas.
    V2_4,
    /// 3.0.
    #[default]
    V3_0,
}

impl BbbVersion {
    /// Returns the hashes it can be asked in.
    pub fn algorithms(self) -> &'static [ChecksumAlgorithm] {
        match self {
            Self::V2_4 => &[ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256],
            Self::V3_0 => &ChecksumAlgorithm::ALL,
        }
    }
}

/// Everything that can be chosen about a simulated server.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// What its session pages call it; its address if not set.
    pub name: Option<String>,
    /// Its shared secret.
    pub secret: Secret,
    /// Where it listens; port 0 means any free one.
    pub listen: SocketAddr,
    /// Which BBB it behaves like.
    pub version: BbbVersion,
    /// The hashes it accepts, of those its version knows.
    pub algorithms: Vec<ChecksumAlgorithm>,
    /// How long an ended meeting is still listed; nothing by default.
    pub end_delay: Duration,
    /// After what time a meeting that nobody joined ends; five minutes by default.
    pub unjoined_expiry: Duration,
    /// Pauses before an end callback that was not taken is made again; BBB's own by default.
    pub callback_pauses: Vec<Duration>,
    /// The recordings it has from the start.
    pub recordings: Vec<SimRecording>,
    /// How long the recording of an ended meeting is `processing`; nothing by default.
    pub processing: Duration,
    /// Whether `getRecordings` without ids and limit lists everything; it does by default.
    pub fetch_all: bool,
    /// Its webhooks application.
    pub hooks: HookOptions,
}

impl SimOptions {
    /// Returns an ordinary server with this secret, on a free port of the loopback interface.
    pub fn new(secret: &str) -> Self {
        Self { secret: Secret::new(secret), ..Self::default() }
    }

    /// Names it on its session pages.
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
