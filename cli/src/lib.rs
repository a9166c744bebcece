//! The `usher` program: demo, standalone mode, simulated servers and administration (design 2).

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod admin_client;
pub mod args;
pub mod commands;
pub mod connection;
pub mod core;
pub mod exit;
mod fleet_sync;
pub mod not_control_port;
pub mod printer;
mod request_id;
pub mod scalelite_redis;
pub mod standalone;
