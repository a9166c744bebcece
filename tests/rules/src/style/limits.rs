//! The limits of the style figures, and the exceptions with their reasons.

use super::{
    circles::FileCircle,
    figures::{StyleFigures, StyleSurvey},
};

/// One figure that the repository may not exceed.
#[derive(Debug, Clone, Copy)]
pub struct StyleLimit {
    /// Name of the figure, as the report prints it.
    pub name: &'static str,
    /// Highest value that passes now. It is only ever lowered, until it is the goal.
    pub now: f64,
    /// Highest value that is good style.
    pub goal: f64,
    /// Returns the value of the figure.
    pub value: fn(&StyleSurvey) -> f64,
}

/// Every limit. A change that lowers a figure also lowers its `now`.
pub const LIMITS: &[StyleLimit] = &[
    StyleLimit {
        name: "one-word public type names, %",
        now: 25.0,
        goal: 25.0,
        value: |survey| survey.total.one_word_share(),
    },
    StyleLimit {
        name: "names of more than one concept",
        now: 0.0,
        goal: 0.0,
        value: |survey| names_of_two_concepts(survey) as f64,
    },
    StyleLimit {
        name: "what, whatever, whoever per 1,000 words of comments",
        now: 2.0,
        goal: 2.0,
        value: |survey| survey.total.comments.per_thousand(survey.total.comments.vague_things),
    },
    StyleLimit {
        name: "what, whatever, whoever per 1,000 words of documents",
        now: 2.0,
        goal: 2.0,
        value: |survey| survey.total.documents.per_thousand(survey.total.documents.vague_things),
    },
    StyleLimit {
        name: "nobody, somebody, nothing per 1,000 words of comments",
        now: 1.0,
        goal: 1.0,
        value: |survey| survey.total.comments.per_thousand(survey.total.comments.vague_actors),
    },
    StyleLimit {
        name: "nobody, somebody, nothing per 1,000 words of documents",
        now: 1.0,
        goal: 1.0,
        value: |survey| survey.total.documents.per_thousand(survey.total.documents.vague_actors),
    },
    StyleLimit {
        name: "doc comments of three words or fewer, %",
        now: 5.0,
        goal: 5.0,
        value: |survey| survey.total.short_share(),
    },
    StyleLimit {
        name: "lines of documents over 100 characters",
        now: 0.0,
        goal: 0.0,
        value: |survey| survey.total.long_lines.len() as f64,
    },
    StyleLimit {
        name: "files in a circle of files",
        now: 0.0,
        goal: 0.0,
        value: |survey| files_in_circles(&survey.total) as f64,
    },
];

/// The names that several public types may have, each with the reason why they are one concept.
pub const SHARED_NAMES: &[(&str, &str)] = &[];

/// Returns whether several public types may have this name.
pub fn may_be_shared(name: &str) -> bool {
    SHARED_NAMES.iter().any(|(shared, _)| *shared == name)
}

/// The circles that may stay: the ends of their files' paths, with the reason.
pub const CIRCLES: &[(&[&str], &str)] = &[(
    &["routing/delta.rs", "routing/table.rs"],
    "a delta is the difference of two tables, and a table is built by applying deltas",
)];

/// Returns whether a circle may stay: it is one of [`CIRCLES`].
pub fn is_allowed_circle(circle: &FileCircle) -> bool {
    CIRCLES.iter().any(|(ends, _)| {
        circle.files.len() == ends.len()
            && circle.files.iter().all(|file| ends.iter().any(|end| file.ends_with(end)))
    })
}

/// Returns the number of names that more than one type has, those of [`SHARED_NAMES`] left out.
pub fn names_of_two_concepts(survey: &StyleSurvey) -> usize {
    survey.shared_names.keys().filter(|name| !may_be_shared(name)).count()
}

/// Returns the number of files that are in a circle that may not stay.
pub fn files_in_circles(figures: &StyleFigures) -> usize {
    let broken = figures.circles.iter().filter(|circle| !is_allowed_circle(circle));
    broken.map(|circle| circle.files.len()).sum()
}
