//! What every Usher program shares: domain types, the BBB wire contract, the `usher.v1` protocol
//! and the runtime. Everything but [`runtime`] and [`proto`] is pure.

pub mod bbb;
pub mod callback;
pub mod id;
pub mod meeting;
pub mod proto;
pub mod revision;
pub mod routing;
pub mod runtime;
pub mod scope;
pub mod secret;
pub mod server;
pub mod settings;
pub mod tenant;
pub mod voice;
