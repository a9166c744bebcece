//! The parts that every Usher program needs: configuration, telemetry, metrics, tasks, the ops port and clocks.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod admin_auth;
pub mod clock;
pub mod config;
pub mod control_planes;
pub mod descriptors;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod ops;
pub mod pending;
pub mod program;
pub mod repeated_warnings;
pub mod server_connector;
pub mod signals;
pub mod tasks;
pub mod telemetry;
