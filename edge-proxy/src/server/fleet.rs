//! The servers as the calls need them: the server of one meeting, one call to a server, and a query to all
//! servers at once.

pub(in crate::server) mod meeting_locator;
pub(in crate::server) mod meeting_owner;
pub(in crate::server) mod server_calls;
pub(in crate::server) mod survey;
