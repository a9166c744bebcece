//! Every budget of a request: how large its body may be, how long it may take to come, and how many
//! parts it may have.

pub(in crate::server) mod body;
pub(in crate::server) mod multipart;
