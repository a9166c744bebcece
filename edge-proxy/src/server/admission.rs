//! The home of every budget of a request: the size of its body, the silence of its client, the number of
//! its parts, and the time that its call may take.
//!
//! The limit of connections is the transport's (`transport/connection_limit.rs`), and the limits of
//! parameters are pure rules (`core/limits.rs`).

mod address_limits;
pub(in crate::server) mod body;
pub(in crate::server) mod document;
pub(in crate::server) mod multipart;
mod timeouts;

pub(crate) use address_limits::{AddressLimits, ClientAddress};
pub(crate) use body::BodyLimits;
pub(crate) use timeouts::CallTimeouts;
