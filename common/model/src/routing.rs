//! The routing table: the view by which edges route, its deltas and its digest (design 6).

mod delta;
mod digest;
mod entry;
mod sharded;
mod table;

#[cfg(test)]
mod tests;

pub use delta::{RevisionGap, RoutingDelta, diff};
pub use digest::{DigestInput, TableDigest};
pub use entry::{MeetingRoute, RouteState, ServerRoute, TenantRoute};
pub use table::RoutingTable;
