//! The edge's knowledge of the fleet and its calls to the control planes: the routing stream, the
//! table that it fills, the copy of the table on disk, and the clients for placement, callbacks and
//! webhooks. Generated protobuf types stop here.

pub mod callbacks;
pub mod cell_directory;
pub mod current_table;
pub mod hooks;
pub mod intake;
pub mod last_good;
pub mod library;
pub mod meeting_lookups;
pub mod meetings;
pub mod placement;
pub mod server_slot;
mod shed_reports;
pub mod snapshot;
pub mod subscriber;
pub mod table;
pub mod tenant_index;
pub mod unknown_meetings;
pub mod voice;
