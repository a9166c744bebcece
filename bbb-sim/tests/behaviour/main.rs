//! Tests of the simulated server from outside, over real sockets.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod faults;
mod genuine_traits;
mod hooks;
mod life;
mod receiver;
mod recordings;
mod support;
mod wire;
