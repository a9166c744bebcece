//! The settings of the webhooks application of a server.

use std::time::Duration;

use usher_bbb::checksum::ChecksumAlgorithm;

use super::version::BbbVersion;

/// The major version of bbb-webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HooksVersion {
    /// 2.x, of BBB up to 2.7: ids are numbers; calls are signed with SHA-1 only; the checksum of an
    /// event covers JSON that differs from the body.
    V2,
    /// 3.x, of BBB 3.0: ids are UUIDs; the checksum of an event covers the body.
    V3,
}

impl From<BbbVersion> for HooksVersion {
    fn from(version: BbbVersion) -> Self {
        match version {
            BbbVersion::V2_4 | BbbVersion::V2_5 | BbbVersion::V2_6 | BbbVersion::V2_7 => Self::V2,
            BbbVersion::V3_0 => Self::V3,
        }
    }
}

/// The settings of the webhooks application of a server.
#[derive(Debug, Clone)]
pub struct HookOptions {
    /// The version; by default the one that belongs to the BBB version of the server.
    pub version: Option<HooksVersion>,
    /// The hashes that 3.x accepts in calls.
    pub algorithms: Vec<ChecksumAlgorithm>,
    /// The hash that 3.x signs with; SHA-1 by default.
    pub signs_with: ChecksumAlgorithm,
    /// `auth2_0`: events carry the server's secret as a bearer token instead of a checksum.
    pub bearer: bool,
    /// The `domain` of the server in events; by default the address on which it listens.
    pub domain: Option<String>,
    /// Pauses before the repetitions of an event that was not accepted; by default those of
    /// bbb-webhooks.
    pub pauses: Vec<Duration>,
    /// Longest wait for one answer; five seconds by default.
    pub timeout: Duration,
    /// Addresses that receive every event and are never removed, by a call or after failures.
    pub permanent: Vec<String>,
}

impl Default for HookOptions {
    fn default() -> Self {
        let milliseconds = [100, 500, 1000, 2000, 4000, 8000, 10_000, 30_000, 60_000, 60_000, 60_000, 60_000];
        Self {
            version: None,
            algorithms: ChecksumAlgorithm::ALL.to_vec(),
            signs_with: ChecksumAlgorithm::Sha1,
            bearer: false,
            domain: None,
            pauses: milliseconds.map(Duration::from_millis).to_vec(),
            timeout: Duration::from_secs(5),
            permanent: Vec::new(),
        }
    }
}
