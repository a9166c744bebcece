//! The counters of a history (requirements A6).

use std::{fmt, time::Duration};

/// The counters of one history, or the sum of several.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HistoryFigures {
    /// Meetings that were created.
    pub(crate) created: u64,
    /// Ids that were given to another server.
    pub(crate) superseded: u64,
    /// `end` calls of replicas that reached a running meeting.
    pub(crate) ended: u64,
    /// Running meetings that were ended although neither superseded nor requested to end.
    pub(crate) killed: u64,
    /// Answers to clients with a meeting whose id had moved on during its create.
    pub(crate) too_late: u64,
    /// Records that were removed from running meetings.
    pub(crate) reaped: u64,
    /// The time during which ids ran twice on reachable servers.
    pub(crate) split: Duration,
    /// The number of ids that ran twice.
    pub(crate) splits: u64,
    /// The time during which meetings ran on reachable servers without a record or zombie.
    pub(crate) leaked: Duration,
}

impl HistoryFigures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.superseded += other.superseded;
        self.ended += other.ended;
        self.killed += other.killed;
        self.reaped += other.reaped;
        self.too_late += other.too_late;
        self.split += other.split;
        self.splits += other.splits;
        self.leaked += other.leaked;
    }

    /// Returns the counters as text for another process.
    pub(crate) fn encode(&self) -> String {
        let (split, leaked) = (self.split.as_millis(), self.leaked.as_millis());
        let Self { created, superseded, ended, killed, reaped, splits, too_late, .. } = self;
        format!("{created} {superseded} {ended} {killed} {reaped} {split} {splits} {leaked} {too_late}")
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [created, superseded, ended, killed, reaped, split, splits, leaked, too_late] = numbers[..]
        else {
            return None;
        };
        let (split, leaked) = (Duration::from_millis(split), Duration::from_millis(leaked));
        Some(Self { created, superseded, ended, killed, too_late, reaped, split, splits, leaked })
    }
}

impl fmt::Display for HistoryFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| policy | creates | superseded | live un-superseded meetings killed | reachable split (s) | \
             leaked live meetings (s) | live records reaped |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        write!(
            f,
            "| Usher | {} | {} | {} | {} ({} ids, {:.1} s each) | {} | {} |",
            self.created,
            self.superseded,
            self.killed,
            self.split.as_secs(),
            self.splits,
            self.split.as_secs_f64() / self.splits.max(1) as f64,
            self.leaked.as_secs(),
            self.reaped
        )
    }
}
