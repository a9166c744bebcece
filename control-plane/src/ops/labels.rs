//! Labels that the metrics of several subsystems share.

use prometheus_client::encoding::EncodeLabelSet;

/// Label `outcome`; its values are bounded, because they are literals of the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    outcome: &'static str,
}

impl OutcomeLabel {
    /// Returns the label of an outcome.
    pub(crate) fn new(outcome: &'static str) -> Self {
        Self { outcome }
    }
}

/// Converts a number into the type of gauges; a number that does not fit becomes the largest one.
pub(crate) fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
