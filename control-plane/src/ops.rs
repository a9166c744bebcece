//! What operators see from outside: metrics, alarms, calls that hang, liveness.

pub mod alarms;
pub(crate) mod labels;
pub mod metrics;
pub mod watchdog;
