//! Health of servers (requirements A1–A3): the state machine over the stored counters, and the rules
//! that need the whole fleet.
//!
//! The counters know the record of one server and no fleet, so that the fleet itself derives the health
//! of its servers from them.

mod counters;
mod evidence;
mod gray;
mod mass_failure;
mod passive;
mod plans;

#[cfg(test)]
mod tests;

pub use counters::{
    FailureSuspicion, health_of, healthy_threshold, on_passive_failure, on_poll_failed, on_poll_ok,
};
pub use evidence::{FailureReport, FailureWeight, weigh};
pub use gray::gray_failures;
pub use mass_failure::{MassFailureGuard, failing, most_fail};
pub use passive::PassiveFailureGate;
pub use plans::{look_ok, poll_failed, poll_ok, poll_ok_in_full, report_failure};
