//! The BBB API as clients see it, in layers from the outside in:
//!
//! - `transport`: connections and HTTP, for any handler.
//! - `router`: gives each request to its handler, and is the only module that knows all of them.
//! - `request`: from a request to a verified one, by the routing table alone.
//! - `calls`: a handler for each family of calls. `inbound`: requests of servers and of `FreeSWITCH`.
//! - `fleet`: the servers as handlers need them. `admission`: the budgets of a request. `reply`: answers.
//! - `fuzz_entries`: for the fuzz targets alone.

mod admission;
mod callback_sealer;
mod calls;
mod fleet;
pub mod fuzz_entries;
mod inbound;
mod reply;
mod request;
mod router;
mod transport;

pub(crate) use router::{CallbackPorts, EdgePorts, RequestRouter};
pub(crate) use transport::{ClientListener, ShutdownPhase};
pub use transport::{IpNetworkError, ListenerError, TlsError};
