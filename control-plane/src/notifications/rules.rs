//! Decisions about deliveries and webhooks; as pure as `core`.

pub mod delivery;
pub mod hooks;
pub mod ids;
