//! The servers as the calls need them: the server of one meeting, and all servers at once.

pub(in crate::server) mod locate;
pub(in crate::server) mod survey;
