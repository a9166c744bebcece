//! What the metrics of several subsystems have alike.

use prometheus_client::encoding::EncodeLabelSet;

/// Label `outcome`; its values are bounded, as they are written in the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    outcome: &'static str,
}

impl OutcomeLabel {
    /// Labels what came out so.
    pub(crate) fn new(outcome: &'static str) -> Self {
        Self { outcome }
    }
}

/// Returns a number as gauges hold it.
pub(crate) fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
