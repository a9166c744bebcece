//! Fuzz targets for input from outside: raw queries, their checksums, answers of servers, lists of
//! servers.
//!
//! Each target is a function of bytes that panics when a law is violated. Two programs run them:
//!
//! ```text
//! cargo xtask fuzz [SECONDS]                                    random mutations, stable Rust
//! cargo +nightly fuzz run raw_query --features libfuzzer        libFuzzer, guided by coverage
//! RUSTC_BOOTSTRAP=1 cargo fuzz run -s none raw_query --features libfuzzer
//! ```
//!
//! The same laws are property tests in the crates, so that every run of the tests checks them too.

pub mod mutate;
pub mod targets;
