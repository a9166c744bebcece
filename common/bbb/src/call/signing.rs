//! The part of BBB that verifies a call's checksum, and its reasons to refuse one.

use crate::query::ChecksumFault;

/// The part of BBB that verifies the checksum of a call. Each part refuses a checksum in words of
/// its own (wire-contract 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSigning {
    /// The call is not signed.
    None,
    /// The validators of bbb-web.
    Meeting,
    /// The recording controller of bbb-web, which checks the parameters before the checksum.
    Recording,
    /// The separate program bbb-webhooks.
    Hook,
}

/// The reason why a request's checksum is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumProblem {
    /// The request has no checksum.
    Missing,
    /// The request has several checksums, or one that is not that of the request.
    Mismatch,
}

impl From<ChecksumFault> for ChecksumProblem {
    fn from(fault: ChecksumFault) -> Self {
        match fault {
            ChecksumFault::Missing => Self::Missing,
            ChecksumFault::Repeated => Self::Mismatch,
        }
    }
}
