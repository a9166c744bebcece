//! Resolves the paths of a crate to the files that define the items they name.
//!
//! Reads names only, without the compiler: a path is followed through modules, `use` bindings and
//! re-exports to the file that defines its item. Methods of types are not followed.

use std::collections::{HashMap, HashSet};

use crate::rust::{Token, end_of_group};

/// A module's path from the root of its crate.
pub(super) type ModulePath = Vec<String>;

/// One name that a `use` declaration brings into a module.
#[derive(Debug, Clone)]
pub(super) struct UseBinding {
    /// Path as written, with the last name.
    pub(super) path: Vec<String>,
    /// Name in the module, `*` for all names.
    pub(super) name: String,
    /// Whether other modules see the name: `pub use`, however far the `pub` reaches.
    pub(super) is_export: bool,
}

/// One module, a whole file or a part of it in braces.
#[derive(Debug, Default)]
pub(super) struct ModuleNames {
    /// Position of the file in the list of files.
    pub(super) file: usize,
    /// The names of its `use` declarations.
    pub(super) uses: Vec<UseBinding>,
    /// Paths of two or more names in its code.
    pub(super) paths: HashSet<Vec<String>>,
    /// All words of its code outside `use`.
    words: HashSet<String>,
    /// Names of its items.
    items: HashSet<String>,
}

impl ModuleNames {
    /// Returns whether its code uses this name.
    pub(super) fn uses_word(&self, word: &str) -> bool {
        self.words.contains(word)
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathTarget {
    /// To a module of the crate.
    Module(ModulePath),
    /// To an item that the file at this position defines.
    Item(usize),
}

/// All modules of one crate.
#[derive(Debug, Default)]
pub(super) struct ModuleTree {
    /// The modules by their path; the root has the empty one.
    pub(super) modules: HashMap<ModulePath, ModuleNames>,
}

impl ModuleTree {
    /// Adds the modules of a file: itself and those in braces inside it.
    pub(super) fn add_file(&mut self, file: usize, path: ModulePath, tokens: &[Token<'_>]) {
        let mut names = ModuleNames { file, ..ModuleNames::default() };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = tokens.get(at + 1).map_or("", |next| next.text);
            match token.text {
                "use" if next != "<" => at = add_uses(tokens, at, &mut names.uses),
                "mod" if tokens.get(at + 2).is_some_and(|token| token.text == "{") => {
                    let end = end_of_group(tokens, at + 2);
                    let inside: ModulePath = path.iter().cloned().chain([next.to_owned()]).collect();
                    self.add_file(file, inside, &tokens[at + 3..end - 1]);
                    at = end;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    names.items.insert(next.to_owned());
                    at += 1;
                }
                "macro_rules" => {
                    names.items.extend(tokens.get(at + 2).map(|name| name.text.to_owned()));
                    at += 2;
                }
                _ if token.is_word() => at = add_path(tokens, at, &mut names),
                _ => at += 1,
            }
        }
        self.modules.insert(path, names);
    }

    /// Returns where a path leads that stands in the module `from`; `None` leads out of the crate.
    pub(super) fn resolve(&self, from: &[String], path: &[String]) -> Option<PathTarget> {
        self.resolve_within(from, path, 0)
    }

    fn resolve_within(&self, from: &[String], path: &[String], depth: usize) -> Option<PathTarget> {
        // Two modules may re-export everything of each other.
        const DEEPEST: usize = 16;
        if depth > DEEPEST {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut module: ModulePath = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            name => {
                let child: ModulePath = from.iter().chain([first]).cloned().collect();
                if self.modules.contains_key(&child) {
                    child
                } else {
                    let binding = self.modules.get(from)?.uses.iter().find(|binding| binding.name == name)?;
                    // A crate of this name: `use anyhow;` binds it to itself.
                    if binding.path == [name] {
                        return None;
                    }
                    match self.resolve_within(from, &binding.path, depth + 1)? {
                        PathTarget::Module(module) => module,
                        item @ PathTarget::Item(_) => return Some(item),
                    }
                }
            }
        };
        while let Some((name, behind)) = rest.split_first() {
            if name == "super" {
                module.pop()?;
            } else if name != "self" {
                match self.find(&module, name, depth)? {
                    PathTarget::Module(inner) => module = inner,
                    item @ PathTarget::Item(_) => return Some(item),
                }
            }
            rest = behind;
        }
        Some(PathTarget::Module(module))
    }

    /// Returns the module or the item that has this name in a module; re-exports are followed.
    fn find(&self, module: &[String], name: &String, depth: usize) -> Option<PathTarget> {
        let child: ModulePath = module.iter().chain([name]).cloned().collect();
        if self.modules.contains_key(&child) {
            return Some(PathTarget::Module(child));
        }
        let names = self.modules.get(module)?;
        if let Some(binding) = names.uses.iter().find(|binding| binding.name == *name) {
            return self.resolve_within(module, &binding.path, depth + 1);
        }
        if !names.items.contains(name) {
            for glob in names.uses.iter().filter(|binding| binding.name == "*") {
                let target = self.resolve_within(module, &glob.path, depth + 1);
                if let Some(PathTarget::Module(inner)) = target
                    && self.modules.get(&inner).is_some_and(|names| names.items.contains(name))
                {
                    return self.find(&inner, name, depth + 1);
                }
            }
        }
        // An item, or a name that a macro makes.
        Some(PathTarget::Item(names.file))
    }
}

/// Adds the path or the word at `at`; returns the place behind it.
fn add_path(tokens: &[Token<'_>], at: usize, names: &mut ModuleNames) -> usize {
    let mut path = vec![tokens[at].text.to_owned()];
    let mut next = at + 1;
    while let Some([mark, word]) = tokens.get(next..next + 2)
        && mark.text == "::"
        && word.is_word()
    {
        path.push(word.text.to_owned());
        next += 2;
    }
    // A word behind `.` is a field or a method, and a word behind `<T>::` belongs to a type.
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
    if before != "." && before != "::" {
        names.words.insert(path[0].clone());
        if path.len() > 1 {
            names.paths.insert(path);
        }
    }
    next
}

/// Adds the bindings of the `use` at `at`; returns the place behind its semicolon.
fn add_uses(tokens: &[Token<'_>], at: usize, found: &mut Vec<UseBinding>) -> usize {
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
    let is_export = before == "pub" || before == ")";
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|token| token.text != ";") {
        end += 1;
    }
    add_use_tree(&tokens[at + 1..end], &[], is_export, found);
    end + 1
}

fn add_use_tree(tokens: &[Token<'_>], prefix: &[String], is_export: bool, found: &mut Vec<UseBinding>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    let mut renamed = None;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => {
                let inside = &tokens[at + 1..end_of_group(tokens, at) - 1];
                for part in split_at_commas(inside) {
                    add_use_tree(part, &path, is_export, found);
                }
                return;
            }
            "as" => {
                renamed = tokens.get(at + 1).map(|name| name.text.to_owned());
                break;
            }
            "*" => {
                found.push(UseBinding { path, name: "*".to_owned(), is_export });
                return;
            }
            "::" => {}
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    if let Some(last) = path.last() {
        let name = renamed.unwrap_or_else(|| last.clone());
        found.push(UseBinding { path, name, is_export });
    }
}

fn split_at_commas<'a, 'b>(tokens: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => at = end_of_group(tokens, at),
            "," => {
                parts.push(&tokens[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    parts.push(&tokens[start..]);
    parts
}
