//! Configuration loading, telemetry, metrics and tasks: what touches the world in every program.

pub mod clock;
pub mod config;
pub mod metrics;
pub mod ops;
pub mod pending;
pub mod program;
pub mod signals;
pub mod tasks;
pub mod telemetry;
