//! Behaviour through real sockets: real programs, a real etcd, simulated BBB servers.
//!
//! All tests are one binary, because each binary takes seconds to link. Every test starts the parts
//! that it needs and shares none with another.

mod backup;
mod breakouts;
mod callbacks;
mod calls;
mod cells;
mod clients;
mod clock;
mod configuration;
mod dial_in;
mod drain;
mod epochs;
mod failover;
mod health;
mod hooks;
mod hostile_documents;
mod hostile_forms;
mod isolation;
mod leader;
mod listed_twice;
mod losses;
mod migrate;
mod most_servers_unreachable;
mod one_watch;
mod other_balancer;
mod races;
mod recordings;
mod recreated;
mod restart;
mod rolling;
mod scalelite_interval;
mod sealed_addresses;
mod shrinking_lists;
mod site;
mod slow_store;
mod start_order;
mod store_faults;
mod store_member;
mod store_runbook;
mod store_space;
mod store_versions;
mod tenants;
mod trace;
