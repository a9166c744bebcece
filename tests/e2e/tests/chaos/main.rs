//! What an operator or a network can do to a running Usher, and what must hold all the same.
//!
//! One test binary of its own, so that it can be run alone: `cargo test -p usher-e2e --test chaos`.
//! Every test prints what it measured, for `docs/faults.md`.

mod burst;
mod dead_server;
mod fencing;
mod hung;
mod partition;
mod random;
mod reconnects;
mod soak;
mod support;
mod suspect;
mod zombies;
