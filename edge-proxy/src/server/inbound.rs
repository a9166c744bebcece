//! Requests that no application sends: callbacks of BBB servers, and questions of FreeSWITCH.

pub(in crate::server) mod callbacks;
pub(in crate::server) mod dial_in;
