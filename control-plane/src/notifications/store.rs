//! Stored values of deliveries, webhooks and the callback key.

pub mod deliveries;
pub mod hooks;
