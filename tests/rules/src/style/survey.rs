//! Reads the repository and measures it.

use std::collections::BTreeMap;

use super::{
    circles::{FileCircle, circles},
    figures::{StyleFigures, StylePlace, StyleSurvey},
    names, words,
};
use crate::{
    SourceFile, files, has_extension, root,
    rust::{split, without_tests},
    sources,
};

/// A doc comment of this many words or fewer is a short one: it can only repeat the name.
const SHORT_DOC_COMMENT: usize = 3;

/// Reads the whole repository and measures it.
///
/// # Panics
/// When a file cannot be read.
pub fn survey() -> StyleSurvey {
    let mut survey = StyleSurvey::default();
    let mut crates: Vec<String> =
        files(&["."]).iter().filter_map(|path| Some(path.strip_suffix("/Cargo.toml")?.to_owned())).collect();
    // The longest first: a crate inside the folder of another one is found before it.
    crates.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
    let folder_of = |path: &str| {
        let in_crate = crates.iter().find(|folder| path.starts_with(&format!("{folder}/")));
        in_crate.cloned().unwrap_or_else(|| path.split_once('/').map_or("(root)", |(top, _)| top).to_owned())
    };
    let rust = sources(&["."]);
    let mut declared: BTreeMap<String, Vec<StylePlace>> = BTreeMap::new();
    for source in &rust {
        let figures = survey.folders.entry(folder_of(&source.path)).or_default();
        measure_rust(source, figures, &mut declared);
    }
    for path in files(&["."]).into_iter().filter(|path| !has_extension(path, "rs")) {
        // A file that is no text has no words.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        measure_text(&path, &text, survey.folders.entry(folder_of(&path)).or_default());
    }
    for folder in &crates {
        survey.folders.entry(folder.clone()).or_default().circles = circles_of_crate(folder, &rust);
    }
    survey.folders.retain(|_, figures| figures.comments.all + figures.documents.all > 0);
    for figures in survey.folders.values() {
        survey.total.add(figures);
    }
    survey.shared_names = declared.into_iter().filter(|(_, places)| places.len() > 1).collect();
    survey
}

fn measure_rust(
    source: &SourceFile,
    figures: &mut StyleFigures,
    declared: &mut BTreeMap<String, Vec<StylePlace>>,
) {
    let place =
        |line: usize, text: &str| StylePlace { path: source.path.clone(), line, text: text.to_owned() };
    let split = split(source.text());
    if !source.is_test() {
        for (line, name) in names::public_types(&without_tests(&split.tokens)) {
            figures.types += 1;
            if names::is_one_word(name) {
                figures.one_word.push(place(line, name));
            }
            declared.entry(name.to_owned()).or_default().push(place(line, name));
        }
    }
    for (line, words) in names::doc_comments(&split) {
        figures.doc_comments += 1;
        if words <= SHORT_DOC_COMMENT {
            let text = split.comments.iter().find(|comment| comment.line == line);
            figures.short.push(place(line, text.map_or("", |comment| comment.text)));
        }
    }
    for (line, text) in words::comment_lines(&source.path, source.text(), Some(&split)) {
        let counts = words::count(text);
        figures.comments.add(counts);
        if counts.vague_things + counts.vague_actors > 0 {
            figures.vague.push(place(line, text));
        }
    }
}

fn measure_text(path: &str, text: &str, figures: &mut StyleFigures) {
    let place = |line: usize, text: &str| StylePlace { path: path.to_owned(), line, text: text.to_owned() };
    let is_document = has_extension(path, "md");
    let lines =
        if is_document { words::document_lines(text) } else { words::comment_lines(path, text, None) };
    for (line, text) in lines {
        let counts = words::count(text);
        if is_document { &mut figures.documents } else { &mut figures.comments }.add(counts);
        if counts.vague_things + counts.vague_actors > 0 {
            figures.vague.push(place(line, text));
        }
        if is_document && words::is_too_long(text) {
            figures.long_lines.push(place(line, text));
        }
    }
}

/// Returns the circles among the files of a crate's library, or of its program where it has no
/// library. On a library's own programs no file depends.
fn circles_of_crate(folder: &str, rust: &[SourceFile]) -> Vec<FileCircle> {
    let inside = format!("{folder}/src/");
    let product: Vec<(String, &str)> = rust
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(|source| Some((source.path.strip_prefix(&inside)?.to_owned(), source.text())))
        .filter(|(path, _)| !path.starts_with("bin/"))
        .collect();
    let has_library = product.iter().any(|(path, _)| path == "lib.rs");
    let product: Vec<_> = product.into_iter().filter(|(path, _)| !has_library || path != "main.rs").collect();
    let mut found = circles(&product);
    for circle in &mut found {
        let dependencies = circle.dependencies.iter_mut().flat_map(|(from, to)| [from, to]);
        for path in circle.files.iter_mut().chain(dependencies) {
            path.insert_str(0, &inside);
        }
    }
    found
}
