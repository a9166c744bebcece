//! The recordings library: it takes recordings off the BBB servers, keeps their files in a storage and their facts in
//! an index, and answers for both. It imports neither of the two other servers.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod app;
pub mod core;
pub mod fleet;
pub mod grpc;
pub mod index;
pub mod manifests;
mod port_server;
pub mod ports;
pub mod storage;
pub mod tasks;
pub mod uploads;
