//! The versions of BBB, and what they differ in.

use usher_bbb::checksum::ChecksumAlgorithm;

/// The version of BBB, where versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BbbVersion {
    /// 2.4: SHA-1 and SHA-256 in lower case only; forms are signed as a rebuilt string; `end`
    /// requires the moderator password; a repeated create without passwords is refused; counters
    /// have thousands commas.
    V2_4,
    /// 3.0: all four hashes in any case, and none of the restrictions of 2.4.
    #[default]
    V3_0,
}

impl BbbVersion {
    /// Returns the hashes that the version accepts.
    pub fn algorithms(self) -> &'static [ChecksumAlgorithm] {
        match self {
            Self::V2_4 => &[ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256],
            Self::V3_0 => &ChecksumAlgorithm::ALL,
        }
    }
}
