//! The BBB wire contract: checksums, raw queries, typed calls and XML replies, both ways.

pub mod call;
pub mod checksum;
pub(crate) mod hex;
pub mod parse;
pub mod query;
pub mod reply;
