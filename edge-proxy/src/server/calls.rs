//! The calls of the BBB API, one file or folder for each family of calls. Each handler is a struct with the
//! ports that it needs, and knows neither the router nor another handler.

mod confirmation;
pub(in crate::server) mod create;
pub(in crate::server) mod hooks;
pub(in crate::server) mod join;
pub(in crate::server) mod lists;
pub(in crate::server) mod meeting_calls;
pub(in crate::server) mod recordings;
