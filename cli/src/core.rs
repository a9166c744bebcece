//! Pure decisions of the command line: no clock, socket, file or terminal.

pub mod address_conflicts;
pub mod migration;
pub mod repetition;
pub mod scalelite;
pub mod server_list;
pub mod shrink;
pub mod sync;
