//! Pure decisions: no async, clock, randomness, socket, file, protobuf or logging.
//!
//! [`fleet`] is the fold of the store's history, and every module below reads it: [`health`] judges
//! polls, [`placement`] chooses servers by [`load`], [`lifecycle`] and [`reconcile`] turn requests and
//! polls into guarded [`plan`]s, [`history`] serves the routing streams, [`lease`] gives the times to
//! lead, [`poll_schedule`] the times to poll, [`poll_duty`] the end of a leadership without polls, and
//! [`member_choice`] the member of the store to call. Time comes in as [`now::Now`].

pub mod change_log;
pub(in crate::core) mod draft;
pub mod drift;
pub mod epoch;
pub(crate) mod families;
pub mod filter;
pub mod fleet;
pub mod health;
pub mod history;
pub(in crate::core) mod instance;
pub mod lease;
pub mod lifecycle;
pub mod load;
pub mod member_choice;
pub mod now;
pub mod persisted_age;
pub mod placement;
pub mod plan;
pub mod policy;
pub mod poll_duty;
pub mod poll_schedule;
pub mod reconcile;
pub mod replicas;
pub mod seal;
pub mod unpolled;
pub mod upkeep;
pub mod voice;

#[cfg(test)]
pub(crate) mod testkit;
