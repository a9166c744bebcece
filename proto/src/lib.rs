//! The generated code of the protocol, and the conversions between its types and the types of the domain.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod convert;
mod shared_frame;
pub mod time;

pub use convert::ConvertError;
pub use shared_frame::SharedFrame;

/// The gRPC API, package `usher.v1`.
#[allow(missing_docs, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("usher.v1");
    include!(concat!(env!("OUT_DIR"), "/services/usher.v1.rs"));
}

/// The stored values, package `usher.store.v1`.
#[allow(missing_docs, clippy::pedantic, reason = "generated")]
pub mod store {
    tonic::include_proto!("usher.store.v1");
}

/// The descriptors of both packages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/usher_descriptors.bin"));
