//! The connection to the control planes. A command names one address or several; one of them serves
//! its calls, and the next one takes over when it does not answer.

mod address;
mod channel;
mod credentials;
mod exchange;
mod failover;
mod probe;

pub use self::{credentials::CallCredentials, failover::FailoverChannel};
