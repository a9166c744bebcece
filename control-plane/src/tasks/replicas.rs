//! The replicas of the cluster, as each of them sees it.

mod announcer;
mod directory;

pub use self::{
    announcer::ReplicaAnnouncer,
    directory::{LiveReplica, OwnReplica, ReplicaDirectory},
};
