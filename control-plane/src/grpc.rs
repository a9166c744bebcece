//! The services of `usher.v1`: each handler validates, calls one port and converts.

mod adopt;
pub(crate) mod deadline;
mod edges;
mod etag;
mod fleet;
mod list_query;
mod meetings;
pub(crate) mod name;
pub(crate) mod page;
pub mod placement;
pub mod readiness;
mod replicas;
pub(crate) mod request_mark;
pub mod routing;
mod secret_visibility;
pub mod server;
pub(crate) mod servers;
pub(crate) mod status;
mod tenants;
mod watch;
