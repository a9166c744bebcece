//! Decisions, and nothing else: no async, clock, randomness, socket, file, protobuf or logging.

pub mod plan;
