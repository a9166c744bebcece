//! The events of a history, line by line.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hasher},
};

use tokio::time::Instant;

/// The number of lines of a story after the violation.
const AFTER: usize = 15;

pub(crate) struct HistoryTrace {
    started: Instant,
    hash: DefaultHasher,
    count: u64,
    kept: usize,
    lines: VecDeque<(Instant, String)>,
    aloud: bool,
}

impl HistoryTrace {
    pub(super) fn new(kept: usize) -> Self {
        let aloud = std::env::var_os("USHER_SIM_TRACE").is_some();
        let (hash, lines) = (DefaultHasher::new(), VecDeque::new());
        Self { started: Instant::now(), hash, count: 0, kept, lines, aloud }
    }

    pub(super) fn note(&mut self, line: &str) {
        let passed = self.started.elapsed();
        let line = format!("{:>9.3} {line}", passed.as_secs_f64());
        self.hash.write(line.as_bytes());
        self.count += 1;
        if self.aloud {
            println!("{line}");
        }
        if self.lines.len() == self.kept {
            self.lines.pop_front();
        }
        self.lines.push_back((Instant::now(), line));
    }

    pub(super) fn fingerprint(&self) -> (u64, u64) {
        (self.hash.finish(), self.count)
    }

    /// Returns the lines before a moment that name a meeting, with the faults (`!`) between them,
    /// and the lines right after it.
    pub(super) fn story(&self, of: Option<&str>, moment: Instant, most: usize) -> String {
        let concerns = |line: &&(Instant, String)| match of {
            Some(id) => names(&line.1, id) || line.1.contains(" ! "),
            None => true,
        };
        let until = self.lines.partition_point(|(at, _)| *at <= moment);
        let before = self.lines.range(..until).rev().filter(concerns).take(most);
        let mut story: Vec<&str> = before.map(|(_, line)| line.as_str()).collect();
        story.reverse();
        story.push("          ^ here");
        let after = self.lines.range(until..).filter(concerns).take(AFTER);
        story.extend(after.map(|(_, line)| line.as_str()));
        story.join("\n")
    }
}

/// Returns whether a line names an id, and not only a longer one.
fn names(line: &str, id: &str) -> bool {
    line.match_indices(id).any(|(at, _)| {
        let after = line[at + id.len()..].chars().next();
        let before = line[..at].chars().next_back();
        !after.is_some_and(char::is_alphanumeric) && !before.is_some_and(char::is_alphanumeric)
    })
}
