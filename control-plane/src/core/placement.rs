//! Chooses a server for a new meeting (requirements E): the least load after placement, per weight.
//!
//! An online server beats an unhealthy one at any load: unhealthy servers are considered only if no
//! online one can take the meeting (E5). To mix them in as soon as few are online was rejected: with
//! four of six servers unreachable, most creates were sent to those four.
//!
//! A choice looks at the least loaded servers only, in the fleet's index of candidates. Where a tag is
//! wished, or one server has two entries, it costs a pass over the servers. Both choose the same
//! server, and neither allocates memory for each server. Ties fall to a fixed
//! hash of meeting and server, equal on every replica, never to list order (F4).

mod candidates;
mod census;
mod choice;
mod inflight;
mod outcome;
mod quota;
mod request;
mod score;
mod tag;

#[cfg(test)]
mod tests;

pub use choice::choose;
pub use inflight::InflightPlacements;
pub use outcome::{NoServer, ServerChoice};
pub use quota::has_all_its_meetings;
pub use request::{PlacementRequest, WhenFull};
pub use tag::TagWish;
