//! The edge: speaks the BBB API, looks meetings up in the routing table and re-signs requests.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod app;
pub mod control;
pub mod core;
pub mod metrics;
pub mod server;
pub mod upstream;
