//! Pure decisions of the command line: no clock, socket, file or terminal.

pub mod address_conflicts;
pub mod inventory;
pub mod migration;
pub mod scalelite;
pub mod shrink;
pub mod sync;
