//! Stored values that this version cannot read.

use tracing::error;

use crate::store::codec::UnreadableValue;

/// Logs a value that the fleet treats as absent.
pub(super) fn report(bad: &UnreadableValue) {
    error!(path = %bad.path, reason = %bad.reason, "stored value unreadable, treated as absent");
}
