//! Notifications to applications: callbacks of meetings, webhooks, and their deliveries.
//!
//! This folder repeats the layers of the crate: [`rules`] is pure like `core`, [`ports`] names the
//! outside, [`store`] holds the stored values, [`tasks`] run, [`application_client`] and `grpc`
//! are the adapters, [`metrics`] counts, and [`running`] starts the tasks over the handles of an engine.

pub mod application_client;
pub(crate) mod grpc;
pub mod metrics;
pub mod ports;
pub mod rules;
pub mod running;
pub mod store;
pub mod tasks;
