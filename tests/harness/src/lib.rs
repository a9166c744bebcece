//! Clusters of real Usher processes, a real etcd and simulated BBB servers, for tests.
//!
//! Everything listens on a free port, is owned by the value that started it and is gone when that
//! value is dropped. Nothing sleeps: [`wait::until`] waits for a condition with a deadline. A
//! process that wrote an ERROR line which its test did not expect fails that test.

pub mod admin;
pub mod application;
pub mod balancer;
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
