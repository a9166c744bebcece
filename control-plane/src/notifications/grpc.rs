//! The services of `usher.v1` about callbacks, deliveries and webhooks.

pub(crate) mod callbacks;
pub(crate) mod deliveries;
pub(crate) mod hooks;
