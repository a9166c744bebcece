//! Checks the sizes and the places of files.

use usher_rules::{files, has_extension, root, sources};

/// A file has one purpose; past 500 lines it has two.
#[test]
fn no_source_file_is_over_500_lines() {
    let mut long = Vec::new();
    for path in files(&["."]) {
        let is_source = ["rs", "proto", "py", "js", "sh", "md"].iter().any(|end| has_extension(&path, end));
        if is_source {
            let lines = usher_rules::read(&path).lines().count();
            if lines > 500 {
                long.push(format!("{path}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn modules_are_foo_rs_and_a_folder_never_mod_rs() {
    let found: Vec<_> = files(&["."]).into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A file that no module declares is never compiled, and its tests never run.
#[test]
fn every_file_is_declared_by_its_module() {
    let mut lost = Vec::new();
    for source in sources(&["."]) {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let module = file.trim_end_matches(".rs");
        let is_root = ["lib", "main", "build"].contains(&module)
            || folder.ends_with("/src/bin")
            || folder.ends_with("/tests")
            || folder.ends_with("/benches")
            || folder.ends_with("/fuzz_targets");
        if is_root {
            continue;
        }
        let parents = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
        let declared = parents.iter().filter(|path| root().join(path).is_file()).any(|path| {
            usher_rules::read(path).lines().any(|line| {
                let line = line.trim();
                line.ends_with(&format!("mod {module};")) && !line.starts_with("//")
            })
        });
        if !declared {
            lost.push(source.path.clone());
        }
    }
    assert!(lost.is_empty(), "no module declares these:\n{}", lost.join("\n"));
}
