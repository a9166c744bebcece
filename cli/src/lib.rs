//! The `usher` command: demo, standalone and administration.

pub mod core;
