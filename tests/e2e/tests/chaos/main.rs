//! Faults that operators or networks cause in a running Usher, and the invariants that hold during
//! them.
//!
//! The tests are a separate binary, so that it can be run alone: `cargo test -p usher-e2e --test
//! chaos`. Every test prints its measurements, for `docs/faults.md`.

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
