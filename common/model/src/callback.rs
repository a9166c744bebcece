//! Callbacks: what a BBB server tells an application about a meeting after its request has been
//! answered (wire-contract 6). A server is given an address of ours, which carries all that is
//! needed to pass the call on; nothing is looked up when it comes, days later, at any edge.

mod address;
mod hook;
pub mod jwt;
mod kind;
mod own;
pub mod webhook;

pub use address::{AddressError, CallbackKey, CallbackState};
pub use hook::HookState;
pub use kind::CallbackKind;
pub use own::OwnAddress;

/// What comes between `public_url` and the sealed state in an address of ours.
pub const PATH: &str = "/usher/callback/";

/// The header by which a delivery says whose it is, see [`CallbackKey::mark`].
pub const MARK_HEADER: &str = "usher-delivery";
