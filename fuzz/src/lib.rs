//! Fuzz targets for input from outside. Each target is a function of bytes that panics when a law is
//! violated. Two programs run them:
//!
//! ```text
//! cargo xtask fuzz [SECONDS] [TARGET]             random mutations, the pinned toolchain
//! cargo xtask fuzz --guided SECONDS [TARGET]      libFuzzer with coverage and the address sanitizer
//! ```
//!
//! The inputs to begin with are in `seeds/TARGET`; an input that broke a law stays there. Most laws
//! are property tests in the crates too, so that every run of the tests checks them.

mod allocations;
mod edge;
pub mod mutate;
mod panics;
pub mod seeds;
pub mod targets;
