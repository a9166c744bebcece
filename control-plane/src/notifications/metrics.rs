//! Metrics of notifications.

pub mod deliveries;
pub mod hooks;
