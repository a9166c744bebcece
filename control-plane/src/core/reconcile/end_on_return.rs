//! The end of meetings on a server that returns from offline.

use usher_model::{server::Health, settings::ZombiePolicy};

use crate::core::fleet::{Fleet, FleetServer};

/// Returns whether the meetings on this server are ended as soon as it answers again: it is offline
/// and `zombie_policy` is `end`. The caller ends them before it writes the counters, because a poll
/// that makes the server online would restore them first.
pub fn ends_on_return(fleet: &Fleet, server: &FleetServer) -> bool {
    fleet.policy().zombie_policy == ZombiePolicy::End && server.health() == Health::Offline
}
