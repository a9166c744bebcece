//! The simulated server seen from outside, over real sockets.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod faults;
mod life;
mod recordings;
mod support;
mod wire;
