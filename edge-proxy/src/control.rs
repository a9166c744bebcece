//! What the edge knows of the fleet and how it asks for more: the routing stream, the table it
//! feeds, the copy on disk, and the placement client.

pub mod callbacks;
pub mod hooks;
pub mod intake;
pub mod last_good;
pub mod meetings;
pub mod placement;
pub mod planes;
pub mod server_slot;
pub mod snapshot;
pub mod subscriber;
pub mod table;
pub mod table_cell;
pub mod voice;
