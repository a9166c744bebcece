//! The `usher` command: demo, standalone and administration.

pub mod args;
pub mod client;
pub mod commands;
pub mod core;
pub mod exit;
mod inventory;
pub mod printer;
pub mod scalelite;
pub mod standalone;
