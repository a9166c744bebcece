//! Prints the style figures, and lists the places that count against a limit.

use std::fmt::Write;

use super::{
    figures::{StyleFigures, StylePlace, StyleSurvey},
    limits::{LIMITS, files_in_circles, is_allowed_circle, may_be_shared},
};

/// The lists that a report can end with, and that are printed for part of the repository.
const LISTS: &str = "names, shared, words, short, lines, circles";

/// Returns the report: without a list all figures with the shared names and the circles; with one
/// the places of that list whose paths begin with `prefix`.
///
/// # Errors
/// When no list has this name.
pub fn report(survey: &StyleSurvey, list: Option<&str>, prefix: &str) -> Result<String, String> {
    let total = &survey.total;
    match list {
        None => Ok(figures(survey) + &shared_names(survey, "") + &circles(total, "")),
        Some("names") => Ok(places(&total.one_word, prefix)),
        Some("shared") => Ok(shared_names(survey, prefix)),
        Some("words") => Ok(places(&total.vague, prefix)),
        Some("short") => Ok(places(&total.short, prefix)),
        Some("lines") => Ok(places(&total.long_lines, prefix)),
        Some("circles") => Ok(circles(total, prefix)),
        Some(other) => Err(format!("no list `{other}`; there are {LISTS}")),
    }
}

fn figures(survey: &StyleSurvey) -> String {
    let mut text = format!(
        "{:24} {:>5} {:>8} {:>8} {:>6} {:>7} {:>6} {:>6} {:>6}\n",
        "folder", "types", "one word", "words", "what", "nobody", "short", "long", "circle"
    );
    text += &format!(
        "{:24} {:>5} {:>8} {:>8} {:>6} {:>7} {:>6} {:>6} {:>6}\n",
        "", "", "%", "", "/1000", "/1000", "docs %", "lines", "files"
    );
    for (folder, figures) in &survey.folders {
        text += &row(folder, figures);
    }
    text += &row("total", &survey.total);
    text.push('\n');
    for limit in LIMITS {
        let value = (limit.value)(survey);
        let verdict = if value <= limit.goal { "ok" } else { "over" };
        let _ = writeln!(text, "{verdict:4} {:56} {value:8.1}  limit {:.1}", limit.name, limit.goal);
    }
    text
}

fn row(name: &str, figures: &StyleFigures) -> String {
    let mut words = figures.comments;
    words.add(figures.documents);
    format!(
        "{name:24} {:>5} {:>8.1} {:>8} {:>6.1} {:>7.1} {:>6.1} {:>6} {:>6}\n",
        figures.types,
        figures.one_word_share(),
        words.all,
        words.per_thousand(words.vague_things),
        words.per_thousand(words.vague_actors),
        figures.short_share(),
        figures.long_lines.len(),
        files_in_circles(figures),
    )
}

fn places(places: &[StylePlace], prefix: &str) -> String {
    let shown = places.iter().filter(|place| place.path.starts_with(prefix));
    shown.map(|place| format!("{}:{}: {}\n", place.path, place.line, place.text.trim())).collect()
}

fn shared_names(survey: &StyleSurvey, prefix: &str) -> String {
    let mut text = String::from("\nnames declared more than once:\n");
    for (name, places) in &survey.shared_names {
        if places.iter().any(|place| place.path.starts_with(prefix)) {
            let note = if may_be_shared(name) { " (allowed)" } else { "" };
            let at: Vec<_> = places.iter().map(|place| format!("{}:{}", place.path, place.line)).collect();
            let _ = writeln!(text, "  {name}{note}: {}", at.join(", "));
        }
    }
    text
}

fn circles(figures: &StyleFigures, prefix: &str) -> String {
    let mut text = String::from("\ncircles of files:\n");
    for circle in figures.circles.iter().filter(|circle| circle.files[0].starts_with(prefix)) {
        let note = if is_allowed_circle(circle) { " (allowed)" } else { "" };
        let _ = writeln!(text, "  {} files{note}", circle.files.len());
        for (from, to) in &circle.dependencies {
            let _ = writeln!(text, "    {from} -> {to}");
        }
    }
    text
}
