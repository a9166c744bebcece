//! Behaviour through real sockets: real programs, a real etcd, simulated BBB servers.
//!
//! One test binary, because each takes seconds to link. Every test starts what it needs and shares
//! nothing with another.

mod backup;
mod calls;
mod clients;
mod configuration;
mod drain;
mod failover;
mod health;
mod leader;
mod races;
mod restart;
mod rolling;
mod store_faults;
mod tenants;
mod trace;
