//! From a request to a verified one. Only the routing table is needed for it: the tenants, their secrets
//! and their meetings.

mod checks;
mod tenant_search;
mod verified_request;
mod verifier;

pub(in crate::server) use checks::{CallHead, RequestTenant, named_call, served_call};
pub(in crate::server) use verified_request::VerifiedRequest;
pub(in crate::server) use verifier::RequestVerifier;
