//! The control plane: places meetings, polls servers, reconciles zombies, streams routing tables.
//!
//! `core` decides and is pure; `ports` declares the store and the BBB servers; `store`, `bbb_client`,
//! `grpc` and `ops` are the adapters; `tasks` run; `engine` wires the tasks over the ports;
//! `notifications` repeats these layers for callbacks, events and webhooks; and `app` puts the
//! sockets in front.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

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
