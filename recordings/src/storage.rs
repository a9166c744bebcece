//! The storage of recordings.

mod directory;

pub use directory::DirectoryStorage;
