//! The wire contract of BigBlueButton: checksums, raw queries, typed calls and XML replies, in both
//! directions. This crate is pure and depends on no other crate of Usher.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod call;
pub mod checksum;
pub mod hex;
pub mod parse;
pub mod query;
pub mod reply;
pub mod secret;
pub mod text_length;
pub mod work;
