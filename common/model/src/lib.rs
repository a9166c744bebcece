//! The domain of Usher: ids, meetings, servers, tenants, revisions, scoped meeting ids, callback
//! addresses, the routing table and the types of all settings. Everything here is pure.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod callback;
pub mod id;
pub mod meeting;
pub mod recording;
pub mod request_mark;
pub mod revision;
pub mod routing;
pub mod scope;
pub mod server;
pub mod session_ticket;
pub mod settings;
pub mod tenant;
pub mod voice;
