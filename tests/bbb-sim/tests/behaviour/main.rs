//! The simulated server seen from outside, over real sockets.

mod faults;
mod life;
mod support;
mod wire;
