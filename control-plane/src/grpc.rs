//! The services of `usher.v1`: each handler validates, calls one port and converts.

mod adopt;
pub mod auth;
mod callbacks;
mod deadline;
mod deliveries;
mod edges;
mod etag;
mod fleet;
mod hooks;
mod meetings;
mod name;
mod page;
pub mod placement;
pub mod routing;
pub mod server;
mod servers;
mod status;
mod tenants;
