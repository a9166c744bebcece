//! The BBB API as clients see it: connections, requests, answers.

mod body;
mod callback;
mod create;
mod dial_in;
mod gateway;
mod hooks;
mod join;
mod listener;
mod lists;
mod locate;
mod multipart;
mod owner;
mod recordings;
mod reply;
mod request;
mod survey;

pub use callback::Callbacks;
pub use dial_in::DialIn;
pub use gateway::{Gateway, Limits};
pub use listener::{Life, Listener, ListenerError, NetworkError, Tls, TlsError};
