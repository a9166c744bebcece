//! The etcd store when parts of etcd fail, refuse, or require credentials. Every test starts real
//! nodes.

mod access;
mod failover;
mod fixture;
mod listing_size;
mod refusal;
mod space;
mod week;
