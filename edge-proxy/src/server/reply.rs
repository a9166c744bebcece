//! Answers to clients: always HTTP 200 with BBB's XML or JSON, or a redirect; never an error page.

mod call_reply;
mod join_refusal;

pub(in crate::server) use call_reply::CallReply;
pub(in crate::server) use join_refusal::join_refused;
