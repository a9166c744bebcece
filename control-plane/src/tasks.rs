//! The tasks of a control plane: following the store, leading, polling, placing and administration.

pub mod admin;
pub mod backoff;
pub mod change_feed;
pub mod edges;
pub mod epoch_writer;
pub mod fleet_handle;
pub mod follower;
pub mod gauges;
pub mod leader;
pub mod leadership;
pub mod own_targets;
pub mod placer;
pub mod poll_duties;
pub mod poll_requests;
pub mod poller;
pub(crate) mod prefix_follower;
pub mod replicas;
pub mod revision_reader;
pub mod sweeper;
pub mod term_observer;
pub mod upkeep;
pub mod watched_store;
pub mod writer;
