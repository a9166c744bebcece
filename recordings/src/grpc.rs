//! The gRPC service of the library for edges: validate, call a port, convert.

mod changes;
mod convert;
mod files;
mod library;

pub use library::LibraryRpc;
