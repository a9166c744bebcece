//! Tasks that accept notifications, deliver them, and keep the fleet's hooks on the BBB servers.

pub mod callback_key;
pub mod deliveries;
pub mod hooks;
