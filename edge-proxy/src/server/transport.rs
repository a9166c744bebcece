//! Connections of clients: accepting them, their limit, TLS, the PROXY protocol, HTTP/1.1 and HTTP/2,
//! and their end at a shutdown.
//!
//! The transport could serve any HTTP application: a [`RequestHandler`] answers the requests, and also
//! words the refusals that the transport itself decides on. A layer test keeps BBB out of it.

mod client_stream;
mod connection;
mod connection_activity;
mod connection_capacity;
mod connection_end;
mod connection_error;
mod connection_limit;
mod connection_policy;
mod connection_rest;
mod http_service;
mod listener;
mod proxy_protocol;
mod request_handler;
mod response_body;
mod rewound_stream;
mod session_tickets;
mod shutdown_phase;
mod silent_connections;
mod tls;

pub(crate) use listener::ClientListener;
pub use listener::ListenerError;
pub use proxy_protocol::{IpNetworkError, ProxyHeaderVerdict, proxy_header};
pub(crate) use request_handler::{
    HttpResponse, RefusalText, RequestHandler, TransportRefusal, UnreadableRequest,
};
pub(crate) use response_body::ResponseBody;
pub(crate) use shutdown_phase::ShutdownPhase;
pub use tls::TlsError;
