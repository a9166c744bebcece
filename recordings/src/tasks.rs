//! The long-lived tasks of the library.

pub mod storage_sweeper;
