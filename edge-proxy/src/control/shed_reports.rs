//! The reports of refusals to the control plane, which shows them to operators.

use std::time::{Duration, Instant};

use usher_proto::v1::ShedCount;

use crate::metrics::ShedCounters;

/// Shortest time between two reports of one stream. Refusals come in crowds, and operators look once.
const PAUSE: Duration = Duration::from_secs(1);

/// The last report of one stream.
#[derive(Debug, Default)]
pub(super) struct ShedReports {
    last: Option<(Instant, u64)>,
}

impl ShedReports {
    /// Returns the refusals by limit, if they have changed since the last report and that was not just now.
    pub(super) fn due(&mut self, shed: &ShedCounters, now: Instant) -> Option<Vec<ShedCount>> {
        let sum = shed.totals().map(|(_, count)| count).fold(0, u64::wrapping_add);
        let is_due = match self.last {
            None => sum > 0,
            Some((at, reported)) => reported != sum && now.saturating_duration_since(at) >= PAUSE,
        };
        is_due.then(|| {
            self.last = Some((now, sum));
            let counts = shed.totals().filter(|(_, count)| *count > 0);
            counts.map(|(reason, count)| ShedCount { reason: reason.name().to_owned(), count }).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::admission::ShedReason;

    #[test]
    fn changed_numbers_are_reported_once_a_second() {
        let (mut reports, shed, start) = (ShedReports::default(), ShedCounters::default(), Instant::now());
        assert_eq!(reports.due(&shed, start), None);
        shed.count(ShedReason::TenantCost);
        let report = reports.due(&shed, start).unwrap();
        assert_eq!(report, [ShedCount { reason: "tenant_cost".into(), count: 1 }]);
        assert_eq!(reports.due(&shed, start + PAUSE), None, "unchanged");
        shed.count(ShedReason::ByteBudget);
        assert_eq!(reports.due(&shed, start + PAUSE / 2), None, "just now");
        assert_eq!(reports.due(&shed, start + PAUSE).unwrap().len(), 2);
    }
}
