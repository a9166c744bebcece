//! The statement that each replica makes about itself to the others: its version, its edges and its
//! alarms. It is stored, so that it is small and is written only when it changes (ADR 38).

use std::time::{Duration, Instant};

use usher_model::id::EdgeId;

/// Largest number of edges that a statement names.
pub const MOST_EDGES: usize = 256;
/// Largest number of recordings libraries that a statement names, and that edges learn.
pub const MOST_LIBRARIES: usize = 16;
/// Longest text of an alarm in characters.
pub const LONGEST_DETAIL: usize = 400;
/// Longest address or version in characters.
pub const LONGEST_TEXT: usize = 100;
/// Shortest interval between two statements of a replica.
pub const PAUSE: Duration = Duration::from_secs(5);
/// Shortest interval between two statements that differ only in the texts of alarms.
pub const TEXT_PAUSE: Duration = Duration::from_mins(1);
/// Time for which an edge is behind before a statement says so.
pub const BEHIND: Duration = Duration::from_secs(10);

/// The statement of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaStatement {
    /// Version of the program.
    pub version: String,
    /// Wall clock of its start, milliseconds since 1970; for operators.
    pub started_ms: i64,
    /// The edges that are connected to it, in the order of their names, at most [`MOST_EDGES`].
    pub edges: Vec<EdgeStatement>,
    /// Number of further edges.
    pub more_edges: u32,
    /// The alarms that it raises, by name.
    pub alarms: Vec<AlarmStatement>,
    /// Addresses of the recordings libraries that are connected to it, at most [`MOST_LIBRARIES`].
    pub libraries: Vec<String>,
}

/// An edge in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeStatement {
    /// Name of the edge.
    pub id: EdgeId,
    /// Address at which the edge serves the BBB API.
    pub address: String,
    /// Version of the edge's program.
    pub version: String,
    /// Wall clock at which it connected, milliseconds since 1970.
    pub connected_ms: i64,
    /// Wall clock since which it is behind, if it is for longer than [`BEHIND`].
    pub behind_since_ms: Option<i64>,
}

/// A raised alarm in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmStatement {
    /// Name of the alarm.
    pub name: String,
    /// Fault and remedy.
    pub detail: String,
}

impl ReplicaStatement {
    /// Returns the statement within its bounds.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let more = self.edges.len().saturating_sub(MOST_EDGES);
        self.edges.truncate(MOST_EDGES);
        self.more_edges = u32::try_from(more).unwrap_or(u32::MAX);
        for edge in &mut self.edges {
            shorten(&mut edge.address, LONGEST_TEXT);
            shorten(&mut edge.version, LONGEST_TEXT);
        }
        // A shortened address would be another one.
        self.libraries.retain(|address| address.chars().count() <= LONGEST_TEXT);
        self.libraries.truncate(MOST_LIBRARIES);
        self.alarms.iter_mut().for_each(|alarm| shorten(&mut alarm.detail, LONGEST_DETAIL));
        self
    }

    /// Returns the statement without the texts of its alarms.
    fn without_texts(&self) -> Self {
        let mut plain = self.clone();
        plain.alarms.iter_mut().for_each(|alarm| alarm.detail.clear());
        plain
    }
}

fn shorten(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
    }
}

/// The times at which a replica writes its statement.
#[derive(Debug, Default)]
pub struct StatementSchedule {
    written: Option<(ReplicaStatement, Instant)>,
    /// The last attempt, successful or not.
    tried: Option<Instant>,
}

impl StatementSchedule {
    /// Returns whether the statement must be written now.
    pub fn is_due(&self, statement: &ReplicaStatement, now: Instant) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.tried.is_some_and(|tried| since(tried) < PAUSE) {
            return false;
        }
        match &self.written {
            None => true,
            Some((written, _)) if written == statement => false,
            Some((written, at)) => {
                written.without_texts() != statement.without_texts() || since(*at) >= TEXT_PAUSE
            }
        }
    }

    /// Notes an attempt to write; `is_written` says whether it succeeded.
    pub fn tried(&mut self, statement: ReplicaStatement, is_written: bool, now: Instant) {
        self.tried = Some(now);
        if is_written {
            self.written = Some((statement, now));
        }
    }

    /// Notes that the store has lost the statement, so that it is written again.
    pub fn lost(&mut self) {
        self.written = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(detail: &str, edges: usize) -> ReplicaStatement {
        let edge = |number: usize| EdgeStatement {
            id: EdgeId::parse(&format!("edge-{number}")).expect("is an id"),
            address: "a".repeat(300),
            version: "1".into(),
            connected_ms: 1,
            behind_since_ms: None,
        };
        let alarms = vec![AlarmStatement { name: "x".into(), detail: detail.into() }];
        ReplicaStatement { edges: (0..edges).map(edge).collect(), alarms, ..Default::default() }.bounded()
    }

    #[test]
    fn a_statement_is_bounded() {
        let large = statement(&"ä".repeat(1000), 1000);
        assert_eq!((large.edges.len(), large.more_edges), (MOST_EDGES, 744));
        assert_eq!(large.edges[0].address.len(), LONGEST_TEXT);
        assert_eq!(large.alarms[0].detail.chars().count(), LONGEST_DETAIL);
        assert_eq!(statement("x", 3).bounded(), statement("x", 3));
    }

    #[test]
    fn a_statement_is_written_when_it_changes_and_not_too_often() {
        let (start, mut schedule) = (Instant::now(), StatementSchedule::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(schedule.is_due(&statement("a", 1), at(0)));
        schedule.tried(statement("a", 1), true, at(0));
        for second in 0..10_000 {
            assert!(!schedule.is_due(&statement("a", 1), at(second)), "it is unchanged");
        }
        assert!(!schedule.is_due(&statement("a", 2), at(4)) && schedule.is_due(&statement("a", 2), at(5)));
        assert!(!schedule.is_due(&statement("b", 1), at(59)) && schedule.is_due(&statement("b", 1), at(60)));
        schedule.tried(statement("a", 2), false, at(70));
        assert!(!schedule.is_due(&statement("a", 2), at(74)), "a failed write has a pause too");
        assert!(schedule.is_due(&statement("a", 2), at(75)));
        schedule.lost();
        assert!(schedule.is_due(&statement("a", 1), at(75)));
    }
}
