//! May an edge believe a table that lost most of its servers or meetings (X2)?

use usher_model::{revision::Revision, server::AdminState};

use crate::core::fleet::Fleet;

/// Tells whether this replica knows that whatever is missing from its table, and was in the table the
/// edge holds, is gone indeed.
///
/// - In one epoch the fleet is the store's history up to its revision, so what it lacks was taken
///   out by a write that this replica, or the listing it started from, has seen.
/// - A new epoch is a store that was made anew or set back, and may have lost what still runs. Its
///   table can be believed once it is known of every server that is not disabled what runs there:
///   then all that runs and is ours stands in it again. An empty fleet has asked nobody.
pub(super) fn is_genuine(fleet: &Fleet, held: Option<Revision>) -> bool {
    let Some(held) = held else { return true }; // nothing can shrink
    if held.epoch == fleet.revision().epoch {
        return fleet.revision().reaches(held);
    }
    let mut used = fleet.servers().filter(|server| server.admin() != AdminState::Disabled).peekable();
    used.peek().is_some() && used.all(|server| fleet.knows(server))
}
