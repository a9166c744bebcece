//! Answers of the library that the edge still remembers: fresh ones are used at once, and stale ones only while the
//! library does not answer (R9).

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// The time for which an answer is used without a new question (R9).
const FRESH: Duration = Duration::from_secs(5);
/// The time for which an answer is used if the library does not answer (R9).
const STALE: Duration = Duration::from_mins(1);
/// The most answers that are remembered.
const KEPT_MAX: usize = 20_000;

/// The answers, by question.
#[derive(Debug)]
pub struct RecentAnswers<K, V> {
    by_question: HashMap<K, (V, Instant)>,
}

/// A remembered answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecentAnswer<V> {
    /// It holds without a new question.
    Fresh(V),
    /// It holds only if the library does not answer.
    Stale(V),
    /// There is none.
    None,
}

impl<K, V> Default for RecentAnswers<K, V> {
    fn default() -> Self {
        Self { by_question: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Clone> RecentAnswers<K, V> {
    /// Returns the answer to a question.
    pub fn find(&self, question: &K, now: Instant) -> RecentAnswer<V> {
        match self.by_question.get(question) {
            Some((answer, asked)) => match now.saturating_duration_since(*asked) {
                age if age < FRESH => RecentAnswer::Fresh(answer.clone()),
                age if age < STALE => RecentAnswer::Stale(answer.clone()),
                _ => RecentAnswer::None,
            },
            None => RecentAnswer::None,
        }
    }

    /// Remembers an answer to a question that was asked at `asked`. The time of the question counts, because the answer
    /// may have been on its way for long.
    pub fn remember(&mut self, question: K, answer: V, asked: Instant) {
        if self.by_question.len() >= KEPT_MAX {
            self.by_question.retain(|_, (_, at)| asked.saturating_duration_since(*at) < FRESH);
        }
        if self.by_question.len() >= KEPT_MAX {
            // More questions within five seconds than there is room for: the answers are asked for again.
            self.by_question.clear();
        }
        self.by_question.insert(question, (answer, asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_an_answer_is_fresh_for_five_seconds_and_stale_for_a_minute() {
        let (mut answers, start) = (RecentAnswers::default(), Instant::now());
        answers.remember("q", 1, start);
        let found = |seconds: u64| answers.find(&"q", start + Duration::from_secs(seconds));
        assert_eq!(found(4), RecentAnswer::Fresh(1));
        assert_eq!(found(5), RecentAnswer::Stale(1));
        assert_eq!(found(59), RecentAnswer::Stale(1));
        assert_eq!(found(60), RecentAnswer::None);
        assert_eq!(answers.find(&"other", start), RecentAnswer::None);
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        let (mut answers, start) = (RecentAnswers::default(), Instant::now());
        for number in 0..3 * KEPT_MAX as u64 {
            answers.remember(number, 0, start + Duration::from_millis(number / 8));
            assert!(answers.by_question.len() <= KEPT_MAX);
        }
    }
}
