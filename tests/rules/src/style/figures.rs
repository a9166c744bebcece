//! The figures of style, for one folder or the whole repository.

use std::collections::BTreeMap;

use super::{circles::FileCircle, words::WordCount};

/// One place in the repository that counts against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StylePlace {
    /// Path from the root of the workspace.
    pub path: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// The name or the line of text.
    pub text: String,
}

/// The figures of one folder, or of the whole repository.
#[derive(Debug, Clone, Default)]
pub struct StyleFigures {
    /// Public type names outside tests.
    pub types: usize,
    /// Those of one word.
    pub one_word: Vec<StylePlace>,
    /// Words of comments in source files of any language.
    pub comments: WordCount,
    /// Words of Markdown documents.
    pub documents: WordCount,
    /// Lines of comments and documents with a vague word.
    pub vague: Vec<StylePlace>,
    /// Doc comments of Rust.
    pub doc_comments: usize,
    /// Those of three words or fewer.
    pub short: Vec<StylePlace>,
    /// Lines of documents over 100 characters.
    pub long_lines: Vec<StylePlace>,
    /// Circles of files, those that may stay included.
    pub circles: Vec<FileCircle>,
}

impl StyleFigures {
    /// Adds the figures of another folder.
    pub fn add(&mut self, other: &StyleFigures) {
        self.types += other.types;
        self.one_word.extend_from_slice(&other.one_word);
        self.comments.add(other.comments);
        self.documents.add(other.documents);
        self.vague.extend_from_slice(&other.vague);
        self.doc_comments += other.doc_comments;
        self.short.extend_from_slice(&other.short);
        self.long_lines.extend_from_slice(&other.long_lines);
        self.circles.extend_from_slice(&other.circles);
    }

    /// Returns the percentage of one-word names among the public type names.
    pub fn one_word_share(&self) -> f64 {
        share(self.one_word.len(), self.types)
    }

    /// Returns the percentage of doc comments with three words or fewer.
    pub fn short_share(&self) -> f64 {
        share(self.short.len(), self.doc_comments)
    }
}

fn share(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

/// The figures of the whole repository and of its folders.
#[derive(Debug, Default)]
pub struct StyleSurvey {
    /// By folder: each crate, and each folder at the top with files of no crate.
    pub folders: BTreeMap<String, StyleFigures>,
    /// The sum of all folders.
    pub total: StyleFigures,
    /// The names that more than one public type has, with the places that declare them.
    pub shared_names: BTreeMap<String, Vec<StylePlace>>,
}
