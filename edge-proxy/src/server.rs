//! The BBB API as clients see it, in layers from the outside in:
//!
//! - `transport`: connections and HTTP, for any handler.
//! - `router`: gives each request to the handlers of its cell. `cell_calls`: the handlers of one cell.
//! - `request`: from a request to a verified one, by the routing table alone.
//! - `calls`: a handler for each family of calls. `inbound`: requests of servers and of `FreeSWITCH`.
//! - `playback`: files of recordings for browsers.
//! - `fleet`: the servers as handlers need them. `admission`: the budgets of a request. `reply`: answers.
//! - `fuzz_entries`: for the fuzz targets alone.

mod admission;
mod callback_sealer;
mod calls;
mod cell_calls;
mod fleet;
pub mod fuzz_entries;
mod inbound;
mod playback;
mod reply;
mod request;
mod router;
mod transport;

pub(crate) use cell_calls::{CallbackPorts, CellPorts, SharedPorts};
pub(crate) use router::{EdgePorts, RequestRouter};
pub(crate) use transport::{ClientListener, ShutdownPhase};
pub use transport::{IpNetworkError, ListenerError, TlsError};
