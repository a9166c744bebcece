//! Numbers by which callers reach meetings, over the whole fleet.
//!
//! `voice/NUMBER` names the meeting that has the number, and stays when the meeting ends, so that its
//! next instance has the number again. A record with a number never lacks that entry: both are written
//! in one transaction, an entry is taken from a meeting under a guard that its record is absent, and a
//! record is only made while the entry is as it was seen. So no two meetings have one number at the
//! same time, on whichever replicas the numbers are assigned (ADR 14).

mod assign;
mod assignment;
mod index;
mod wish;

#[cfg(test)]
mod tests;

pub(in crate::core) use assign::{adopt, assign, expired, held};
pub use assignment::VoiceAssignment;
pub use index::VoiceIndex;
pub use wish::VoiceWish;
