//! The check before an edge may replace its table by one that lost most servers or meetings (X2).

use usher_model::{revision::Revision, server::AdminState};

use crate::core::fleet::Fleet;

/// Returns whether this replica knows that every entry that its table lacks, and the edge's table
/// has, has ended.
///
/// - In one epoch the fleet is the store's history up to its revision. An entry that it lacks was
///   removed by a write that this replica, or the listing it started from, has seen.
/// - A new epoch is a store that was recreated or set back and may lack running meetings. Its table
///   is genuine once every server that is not disabled was polled in this epoch: all of Usher's
///   running meetings then have records again. An empty fleet has polled no server.
pub(super) fn is_genuine(fleet: &Fleet, held: Option<Revision>) -> bool {
    let Some(held) = held else { return true }; // the edge has no table that could shrink
    if held.epoch == fleet.revision().epoch {
        return fleet.revision().reaches(held);
    }
    let mut used = fleet.servers().filter(|server| server.admin() != AdminState::Disabled).peekable();
    used.peek().is_some() && used.all(|server| fleet.knows(server))
}
