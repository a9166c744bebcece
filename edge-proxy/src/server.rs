//! The BBB API as clients see it: connections, requests, answers.

mod admission;
mod calls;
mod fleet;
mod inbound;
mod reply;
mod request;
mod router;
mod transport;

pub use inbound::{callbacks::Callbacks, dial_in::DialIn};
pub use router::{Gateway, Limits};
pub(crate) use transport::{ClientListener, ShutdownPhase};
pub use transport::{IpNetworkError, ListenerError, TlsError};
