//! May an edge believe a table that lost most of its servers or meetings (X2)?

use usher_common::{revision::Revision, server::AdminState};

use crate::core::fleet::{Fleet, FleetServer};

/// Tells whether this replica knows that whatever is missing from its table, and was in the table the
/// edge holds, is gone indeed.
///
/// - In one epoch the fleet is the store's history up to its revision, so what it lacks was taken
///   out by a write that this replica, or the listing it started from, has seen.
/// - A new epoch is a store that was made anew or set back, and may have lost what still runs. Its
///   table can be believed once every enabled server has been asked what runs there: then all that
///   runs and is ours stands in it again. An empty fleet has asked nobody.
pub(super) fn is_genuine(fleet: &Fleet, held: Option<Revision>) -> bool {
    let Some(held) = held else { return true }; // nothing can shrink
    if held.epoch == fleet.revision().epoch {
        return fleet.revision().reaches(held);
    }
    let mut enabled = fleet.servers().filter(|server| server.admin() == AdminState::Enabled).peekable();
    enabled.peek().is_some() && enabled.all(FleetServer::was_asked)
}
