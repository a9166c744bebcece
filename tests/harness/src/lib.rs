//! Clusters of real Usher processes, a real etcd and simulated BBB servers, for tests.
//!
//! Every part listens on a free port, is owned by the value that started it, and ends when that
//! value is dropped. No code sleeps: [`wait::until`] waits for a condition with a deadline. A
//! process that wrote an ERROR line which its test did not allow fails that test.

pub mod admin;
pub mod application;
pub mod balancer;
pub mod cells;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod etcd;
pub mod figures;
pub mod forwarder;
mod freeze;
pub mod link;
pub mod load;
pub mod process;
pub mod programs;
pub mod redis;
pub mod scalelite;
pub mod servers;
pub mod standalone;
pub mod wait;
