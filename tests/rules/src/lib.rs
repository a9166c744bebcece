//! Reads the source text of the workspace for the rules in `tests/` and for `cargo xtask style`.
//! Needs no dependency, so it is built and run in a second.

pub mod citations;
pub mod requirements;
pub mod rust;
pub mod style;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file of the workspace.
#[derive(Debug)]
pub struct SourceFile {
    /// Path from the root of the workspace, with `/` between its parts.
    pub path: String,
    text: String,
    declared_as_test: bool,
}

impl SourceFile {
    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        let path = &self.path;
        self.declared_as_test || path.ends_with("/tests.rs") || path.contains("/tests/")
    }

    /// Returns the numbered lines of code outside tests, comments taken out.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { self.first_test_line() };
        code_lines(&self.text).take_while(move |(number, _)| *number < end)
    }

    /// Returns the numbered lines of test code, comments taken out.
    pub fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let start = if self.is_test() { 0 } else { self.first_test_line() };
        code_lines(&self.text).skip_while(move |(number, _)| *number < start)
    }

    /// Returns the line where the tests begin. They are last in a file, so the first `#[cfg(test)] mod … {` begins them.
    fn first_test_line(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
        lines.windows(2).position(begins).map_or(usize::MAX, |at| at + 1)
    }
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| {
        let code = line.find("//").filter(|&start| !line[..start].ends_with(':'));
        (at + 1, code.map_or(line, |start| &line[..start]))
    })
}

/// Returns the root of the workspace, two folders above this crate.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns whether a path ends in this extension.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Returns every Rust file below these folders.
///
/// # Panics
/// If a file cannot be read, because a rule that reads no file always holds.
pub fn sources(folders: &[&str]) -> Vec<SourceFile> {
    let mut found: Vec<SourceFile> = files(folders)
        .into_iter()
        .filter(|path| has_extension(path, "rs"))
        .map(|path| SourceFile { text: read(&path), path, declared_as_test: false })
        .collect();
    let test_modules: Vec<String> = found.iter().flat_map(test_modules).collect();
    for source in &mut found {
        let module = source.path.trim_end_matches(".rs");
        source.declared_as_test =
            test_modules.iter().any(|test| module == test || module.starts_with(&format!("{test}/")));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no Rust file below {folders:?}");
    found
}

/// Returns the paths, without `.rs`, of the modules that a file declares as `#[cfg(test)] mod name;`.
fn test_modules(source: &SourceFile) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let inside = match file {
        "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        let (_, name) = pair[1].split_once("mod ")?;
        name.strip_suffix(';')
    });
    declared.map(|name| format!("{inside}/{name}")).collect()
}

/// Returns the text of a file, by its path from the root.
///
/// # Panics
/// If the file cannot be read.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Returns the paths of all files below these folders, without the folders that a build writes.
///
/// # Panics
/// If a folder cannot be read.
pub fn files(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if matches!(&*name, "target" | ".git" | "node_modules" | "corpus" | "artifacts" | "__pycache__") {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("read {name}: {error}"));
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(inside) = path.strip_prefix(root()) {
            found.push(inside.to_string_lossy().replace('\\', "/"));
        }
    }
    found
}
