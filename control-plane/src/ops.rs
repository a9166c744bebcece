//! What operators see from outside: metrics, alarms, calls that hang, liveness.

pub mod alarms;
pub mod delivery_metrics;
pub mod hook_metrics;
mod labels;
pub mod metrics;
pub mod watchdog;
