//! Counts the words of comments and documents, and the pronouns that stand for a thing with a name.

use crate::rust::SplitSource;

const VAGUE_THINGS: [&str; 3] = ["what", "whatever", "whoever"];
const VAGUE_ACTORS: [&str; 3] = ["nobody", "somebody", "nothing"];

/// Words of some prose, and how many of them name no thing and no actor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WordCount {
    /// All words, code spans and addresses left out.
    pub all: usize,
    /// `what`, `whatever` and `whoever`.
    pub vague_things: usize,
    /// `nobody`, `somebody` and `nothing`.
    pub vague_actors: usize,
}

impl WordCount {
    /// Adds the words of another text.
    pub fn add(&mut self, other: WordCount) {
        self.all += other.all;
        self.vague_things += other.vague_things;
        self.vague_actors += other.vague_actors;
    }

    /// Returns `part` per 1,000 of these words, 0 for an empty text.
    pub fn per_thousand(&self, part: usize) -> f64 {
        1000.0 * part as f64 / self.all.max(1) as f64
    }
}

/// Returns the counts of one line of prose.
pub(super) fn count(line: &str) -> WordCount {
    let mut counts = WordCount::default();
    for word in prose(line).split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        counts.all += 1;
        counts.vague_things += usize::from(VAGUE_THINGS.contains(&&*word));
        counts.vague_actors += usize::from(VAGUE_ACTORS.contains(&&*word));
    }
    counts
}

/// Returns a line without its code spans and addresses: neither is a sentence of ours.
fn prose(line: &str) -> String {
    let spans: Vec<&str> = line.split('`').collect();
    // An odd number of backticks leaves the last span open; a code span that is continued on the
    // next line is rare, so the rest counts as prose.
    let closed = spans.len() - 1 + spans.len() % 2;
    let outside = spans.iter().enumerate().filter(|(at, _)| at % 2 == 0 || *at >= closed);
    let text = outside.map(|(_, span)| *span).collect::<Vec<_>>().join(" ");
    text.split_whitespace().filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
}

/// Returns the numbered lines of comments of one file, by the kind of the file.
pub(super) fn comment_lines<'a>(
    path: &str,
    text: &'a str,
    split: Option<&SplitSource<'a>>,
) -> Vec<(usize, &'a str)> {
    if let Some(split) = split {
        return split.comments.iter().map(|comment| (comment.line, comment.text)).collect();
    }
    let mark = match path.rsplit(['.', '/']).next().unwrap_or_default() {
        "proto" | "js" | "mjs" => "//",
        "sh" | "py" | "toml" | "yml" | "yaml" | "service" | "env" | "run" | "Dockerfile" => "#",
        _ => return Vec::new(),
    };
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter_map(|(number, line)| Some((number, line.strip_prefix(mark)?)))
        .filter(|(_, line)| !line.starts_with('!'))
        .collect()
}

/// Returns the numbered lines of a document, code blocks left out.
pub(super) fn document_lines(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((at + 1, line));
        }
    }
    lines
}

/// Returns whether a line of a document has more than 100 characters and could be wrapped: a row of
/// a table cannot, and the address of a link does not count.
pub(super) fn is_too_long(line: &str) -> bool {
    const LONGEST: usize = 100;
    if line.trim_start().starts_with('|') {
        return false;
    }
    let mut length = 0;
    for (at, part) in line.split("](").enumerate() {
        let shown = if at == 0 { part } else { part.split_once(')').map_or(part, |(_, behind)| behind) };
        let words = shown.split(' ').filter(|word| !word.contains("://"));
        length += words.map(|word| word.chars().count() + 1).sum::<usize>();
    }
    length > LONGEST + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_without_code_and_addresses() {
        let counts = count("What is `what`? Nobody's thing, see https://what.example.org/ or `usher");
        assert_eq!(counts, WordCount { all: 8, vague_things: 1, vague_actors: 1 });
    }

    #[test]
    fn code_blocks_are_no_prose() {
        assert_eq!(document_lines("a\n```sh\nwhat\n```\nb"), [(1, "a"), (5, "b")]);
    }

    #[test]
    fn tables_and_addresses_may_be_long() {
        let long = "x".repeat(90);
        assert!(!is_too_long(&format!("| {long} {long} |")));
        assert!(!is_too_long(&format!("[name]({long}) and {}", "y".repeat(80))));
        assert!(!is_too_long(&"z".repeat(100)));
        assert!(is_too_long(&"z".repeat(101)));
        assert!(is_too_long(&format!("{long} and then some words")));
    }

    #[test]
    fn comments_of_scripts_are_found() {
        assert_eq!(comment_lines(".ci/run", "#!/bin/sh\n# one\nx # two", None), [(2, " one")]);
        assert_eq!(comment_lines("a.rs", "// x", None), []);
    }
}
