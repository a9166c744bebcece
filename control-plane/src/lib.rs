//! The control plane: places meetings, polls servers, reconciles zombies, streams routing tables.
//!
//! `core` decides and is pure; `ports` names what the decisions need; `store`, `bbb_client`, `grpc`
//! and `ops` are the adapters; `tasks` run; `engine` wires them over the ports, and `app` puts the
//! sockets in front.

pub mod app;
pub mod bbb_client;
pub mod core;
pub mod engine;
pub mod grpc;
pub mod notifications;
pub mod ops;
pub mod ports;
pub mod store;
pub mod tasks;
