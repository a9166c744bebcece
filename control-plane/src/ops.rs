//! The operators' view of a control plane: metrics, alarms and the liveness of its loops.

pub mod alarms;
pub(crate) mod labels;
pub mod metrics;
pub mod watchdog;
