//! Configuration loading, telemetry, metrics and tasks: what touches the world in every program.

pub mod tasks;
