//! Callbacks: the calls of a BBB server to an application about a meeting (wire-contract 6). A server gets an
//! address of the edges, whose sealed state has all data for the delivery. Any edge can thus serve a callback
//! without a look-up, also days later (ADR 10).

mod address;
mod hook;
pub mod jwt;
mod kind;
mod own;
mod shown;
pub mod webhook;

pub use address::{AddressError, CallbackKey, CallbackState};
pub use hook::HookState;
pub use kind::CallbackKind;
pub use own::OwnAddress;
pub use shown::ShownAddress;

/// The path between `public_url` and the sealed state in a callback address.
pub const PATH: &str = "/usher/callback/";

/// The header of a delivery with the mark of this fleet, see [`CallbackKey::mark`].
pub const MARK_HEADER: &str = "usher-delivery";
