//! Tests of the `usher` program against a standalone Usher and simulated servers.

mod administration;
mod endpoints;
mod fleet;
mod process;
mod queries;
mod secrets;
mod servers;
mod sync;
mod tenants;
mod terminal;
mod tls;
mod unread;
mod watch;
