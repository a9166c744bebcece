//! The BBB wire contract: checksums, raw queries, typed calls and XML replies, both ways.

pub mod checksum;
