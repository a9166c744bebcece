//! What operators see from outside: metrics, alarms, calls that hang, liveness.

pub mod alarms;
pub mod metrics;
pub mod pending;
pub mod watchdog;
