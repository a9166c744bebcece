//! Effective load of a server (requirements E1): the users that its last sample shows, and those that
//! the sample cannot contain yet. Load is never clamped (F3), so that servers above their nominal
//! capacity still compare.

mod imbalance;
mod meeting;

pub use imbalance::{LoadUnevenness, imbalance};
pub use meeting::{floor, listed_key, sampled};
