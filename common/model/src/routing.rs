//! The routing table: the view edges route by, its deltas and its digest.

mod delta;
mod digest;
mod entry;
mod sharded;
mod table;

#[cfg(test)]
mod tests;

pub use delta::{Delta, Gap, diff};
pub use digest::{Digest, Digestible};
pub use entry::{MeetingRoute, RouteState, ServerRoute, TenantRoute};
pub use sharded::ShardedMap;
pub use table::RoutingTable;
