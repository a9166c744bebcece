//! A whole control plane on the embedded store, driven over gRPC, with simulated BBB servers.

mod bench;

mod access;
mod adopt;
mod callbacks;
mod epochs;
mod fence;
mod fleet_size;
mod health;
mod hook_figures;
mod hook_queues;
mod hooks;
mod large_lists;
mod meetings;
mod names;
mod one_watch;
mod placement;
mod polls;
mod queries;
mod quiet_polls;
mod reconcile;
mod refusing_store;
mod replicas;
mod request_ids;
mod restart;
mod servers;
mod stream;
mod unread;
mod watches;
