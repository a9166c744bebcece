//! The versions of BBB, and what they differ in.

use usher_bbb::checksum::ChecksumAlgorithm;

/// The version of BBB, where versions differ. Each behaves as the next newer one, apart from the
/// differences that stand here. The mode of 2.5 is compared with a genuine server, request by
/// request; the others follow the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum BbbVersion {
    /// 2.4: SHA-1 and SHA-256 only; `end` requires the moderator password; no `insertDocument`.
    V2_4,
    /// 2.5: checksums in lower case only; forms are signed as a rebuilt string; a repeated create
    /// without passwords is refused; the keys of invalid parameters are `nullError`, `emptyError`
    /// and `sizeError`; some requests without `meetingID`, an unknown parent and a body of another
    /// kind are exceptions (500); the voice bridge of a breakout room is free to choose.
    V2_5,
    /// 2.6: every breakout room of an application is refused.
    V2_6,
    /// 2.7: counters in `getMeetings` have thousands commas; most calls accept every method; a
    /// refused join is always a redirect; no `sendChatMessage`; bbb-webhooks 2.x.
    V2_7,
    /// 3.0.
    #[default]
    V3_0,
}

impl BbbVersion {
    /// Every version, the oldest first.
    pub const ALL: [Self; 5] = [Self::V2_4, Self::V2_5, Self::V2_6, Self::V2_7, Self::V3_0];

    /// Returns the version with this name, such as `2.5`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Returns the name of the version, such as `2.5`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2_4 => "2.4",
            Self::V2_5 => "2.5",
            Self::V2_6 => "2.6",
            Self::V2_7 => "2.7",
            Self::V3_0 => "3.0",
        }
    }

    /// Returns the hashes that the version accepts.
    pub fn algorithms(self) -> &'static [ChecksumAlgorithm] {
        match self {
            Self::V2_4 => &[ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256],
            _ => &ChecksumAlgorithm::ALL,
        }
    }
}
