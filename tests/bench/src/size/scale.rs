//! The fleet whose costs are measured, and the lengths of the measurements.

use std::time::Duration;

use crate::args::BenchArgs;

/// The number of meetings on each server.
const MEETINGS: usize = 1_000;

/// One server of this number hangs.
pub(super) const HANGING: usize = 10;

/// The size of the fleet and the lengths of the measurements.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeScale {
    /// The number of servers, those that hang included.
    pub(super) servers: usize,
    /// The number of meetings in the store.
    pub(super) meetings: usize,
    /// The time between two polls of one server.
    pub(super) interval: Duration,
    /// The streams of edges: few, then many.
    pub(super) streams: [usize; 2],
    /// The length of the measurement at rest.
    pub(super) rest: Duration,
    /// The length of one measurement under changes, a multiple of the polling interval.
    pub(super) load: Duration,
    /// The changes per second.
    pub(super) changes: usize,
}

impl SizeScale {
    pub(super) fn of(args: &BenchArgs) -> Self {
        let servers = args.servers.unwrap_or(if args.quick { 20 } else { 1_000 });
        let per_server = if args.quick { MEETINGS / 20 } else { MEETINGS };
        // That of a deployment, by default.
        let interval = Duration::from_secs(if args.quick { 1 } else { 10 });
        let (rest, load) = match (args.quick, args.long) {
            (true, _) => (interval * 3, interval),
            (_, true) => (interval * 60, interval * 6),
            _ => (interval * 6, interval * 2),
        };
        let streams = if args.quick { [5, 20] } else { [50, 500] };
        Self { servers, meetings: servers * per_server, interval, streams, rest, load, changes: 1_000 }
    }

    /// Tells whether a server hangs: it accepts connections and never answers.
    pub(super) fn hangs(server: usize) -> bool {
        server % HANGING == HANGING - 1
    }

    /// Returns the number of servers that answer.
    pub(super) fn answering(self) -> usize {
        (0..self.servers).filter(|server| !Self::hangs(*server)).count()
    }

    /// Returns the meetings of a server.
    pub(super) fn meetings_on(self, server: usize) -> impl Iterator<Item = usize> {
        (server..self.meetings).step_by(self.servers)
    }

    /// Returns one of the meetings on servers that hang. Their records may change without a poll that
    /// contradicts them.
    pub(super) fn changed_meeting(self, number: usize) -> usize {
        let hanging = self.servers / HANGING;
        let server = number % hanging * HANGING + HANGING - 1;
        let meetings = self.meetings / self.servers;
        number / hanging % meetings * self.servers + server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_meetings_of_servers_that_hang_change() {
        let scale = SizeScale {
            servers: 20,
            meetings: 200,
            interval: Duration::from_secs(10),
            streams: [1, 2],
            rest: Duration::from_secs(10),
            load: Duration::from_secs(10),
            changes: 1,
        };
        assert_eq!(scale.answering(), 18);
        let mut changed: Vec<usize> = (0..20).map(|number| scale.changed_meeting(number)).collect();
        assert!(changed.iter().all(|meeting| SizeScale::hangs(meeting % 20)), "{changed:?}");
        changed.sort_unstable();
        changed.dedup();
        assert_eq!(changed.len(), 20, "each of them in turn");
        assert_eq!(scale.meetings_on(19).collect::<Vec<_>>(), (19..200).step_by(20).collect::<Vec<_>>());
    }
}
