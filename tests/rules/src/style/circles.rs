//! Finds circles of files inside a crate.
//!
//! File A depends on file B if code of A outside tests names an item that B defines: by a path
//! (`crate::…`, `self::…`, `super::…`, or from a child module or an imported one) or by a `use`.
//! Re-exports are followed, so that a name taken from a module's door counts for the file behind
//! it; a module file that only re-exports names of its own children does not depend on them. Items
//! are attributed by name; calls of methods are not seen. A circle is a set of files each of which
//! reaches each other one.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{ModulePath, ModuleTree, PathTarget, UseBinding};
use crate::rust::{Token, split, without_tests};

/// A set of files that all reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCircle {
    /// Paths of the files, sorted.
    pub files: Vec<String>,
    /// The dependencies inside the circle: (file, file that it depends on).
    pub dependencies: Vec<(String, String)>,
}

/// Returns the circles of one crate, given the path from the crate's `src` and the text of each of
/// its files outside tests.
pub fn circles(files: &[(String, &str)]) -> Vec<FileCircle> {
    let graph = dependencies(files);
    let reached: Vec<BTreeSet<usize>> = (0..files.len()).map(|file| reachable(&graph, file)).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for file in 0..files.len() {
        if !reached[file].contains(&file) || seen.contains(&file) {
            continue;
        }
        let members: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        let name = |file: usize| files[file].0.clone();
        let inside = members.iter().flat_map(|from| {
            graph[from].iter().filter(|to| members.contains(to)).map(|to| (name(*from), name(*to)))
        });
        found.push(FileCircle {
            files: members.iter().map(|member| name(*member)).collect(),
            dependencies: inside.collect(),
        });
        seen.extend(members);
    }
    found
}

fn reachable(graph: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in &graph[&file] {
            if found.insert(*next) {
                open.push(*next);
            }
        }
    }
    found
}

/// Returns, for each file, the other files that it depends on.
fn dependencies(files: &[(String, &str)]) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut tree = ModuleTree::default();
    for (at, (path, text)) in files.iter().enumerate() {
        let tokens: Vec<Token<'_>> = without_tests(&split(text).tokens);
        tree.add_file(at, module_path(path), &tokens);
    }
    let mut graph: BTreeMap<usize, BTreeSet<usize>> =
        (0..files.len()).map(|file| (file, BTreeSet::new())).collect();
    for (module, names) in &tree.modules {
        let mut targets = BTreeSet::new();
        for binding in &names.uses {
            targets.extend(used_file(&tree, module, binding));
        }
        for path in &names.paths {
            if let Some(PathTarget::Item(file)) = tree.resolve(module, path) {
                targets.insert(file);
            }
        }
        targets.remove(&names.file);
        graph.entry(names.file).or_default().extend(targets);
    }
    graph
}

/// Returns the file that a `use` makes its module depend on.
fn used_file(tree: &ModuleTree, module: &ModulePath, binding: &UseBinding) -> Option<usize> {
    let target = tree.resolve(module, &binding.path)?;
    let file = match target {
        PathTarget::Item(file) => file,
        PathTarget::Module(inner) if binding.name == "*" => tree.modules.get(&inner)?.file,
        // The paths that begin with the module's name say which of its items are used.
        PathTarget::Module(_) => return None,
    };
    let is_in_child = tree.modules.iter().any(|(path, names)| names.file == file && path.starts_with(module));
    let is_door = binding.is_export && is_in_child && !tree.modules[module].uses_word(&binding.name);
    (!is_door).then_some(file)
}

/// Returns the module of a file, by its path from the crate's `src`.
fn module_path(path: &str) -> ModulePath {
    let module = path.trim_end_matches(".rs");
    match module {
        "lib" | "main" => Vec::new(),
        _ => module.split('/').map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), *text)).collect();
        circles(&files).into_iter().map(|circle| circle.files).collect()
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let found = circles_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::Second; pub struct First(Second);"),
            ("b.rs", "pub struct Second; fn f() { super::a::First::new() }"),
            ("c.rs", "use crate::{a::First, b};  fn g() -> b::Second {}"),
        ]);
        assert_eq!(found, [["a.rs", "b.rs"]]);
    }

    #[test]
    fn a_door_is_followed_and_makes_no_circle() {
        let door = "mod inner; mod other; pub(crate) use inner::{Item, make as build}; pub use other::*;";
        let found = circles_of(&[
            ("lib.rs", "mod door;"),
            ("door.rs", door),
            ("door/inner.rs", "use super::Other; pub struct Item; pub fn make() {}"),
            ("door/other.rs", "pub struct Other;"),
        ]);
        assert_eq!(found, [[""; 0]; 0]);
        let found = circles_of(&[
            ("lib.rs", "mod door;"),
            ("door.rs", door),
            ("door/inner.rs", "use super::Other; pub struct Item; pub fn make() {}"),
            ("door/other.rs", "pub struct Other; fn f() { super::build() }"),
        ]);
        assert_eq!(found, [["door/inner.rs", "door/other.rs"]]);
    }

    #[test]
    fn a_module_and_a_child_that_takes_its_items_are_a_circle() {
        let door = "mod inner; mod other; pub struct Shared; fn f() -> Item { inner::make(); other::make() }";
        let found = circles_of(&[
            ("lib.rs", "mod door;"),
            ("door.rs", door),
            ("door/inner.rs", "use super::{Shared, other}; pub fn make() { other::make() }"),
            ("door/other.rs", "use super::Shared; pub fn make() {}"),
        ]);
        assert_eq!(found, [["door.rs", "door/inner.rs", "door/other.rs"]]);
        let found = circles_of(&[
            ("lib.rs", "mod door;"),
            ("door.rs", door),
            ("door/inner.rs", "use super::{Shared, other}; pub fn make() { other::make() }"),
            ("door/other.rs", "use super::Shared; pub fn make() { super::inner::make() }"),
        ]);
        assert_eq!(found, [["door.rs", "door/inner.rs", "door/other.rs"]]);
        let found = circles_of(&[
            ("lib.rs", "mod door;"),
            ("door.rs", "mod inner; mod other; mod shared; fn f() { inner::make(); other::make() }"),
            ("door/inner.rs", "use super::{shared::Shared, other}; pub fn make() { other::make() }"),
            ("door/other.rs", "use super::shared::Shared; pub fn make() {}"),
            ("door/shared.rs", "pub struct Shared;"),
        ]);
        assert_eq!(found, [[""; 0]; 0]);
    }

    #[test]
    fn tests_make_no_circle() {
        let found = circles_of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct First; #[cfg(test)] mod tests { use crate::b::Second; }"),
            ("b.rs", "use crate::a::First; pub struct Second;"),
        ]);
        assert_eq!(found, [[""; 0]; 0]);
    }
}
