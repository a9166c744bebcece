//! The commands of `cargo xtask` and of CI share one set of features, so that none compiles the
//! dependencies of another one again.

use usher_rules::{read, sources};

/// `--package` resolves the features of one package instead of those of the workspace.
#[test]
fn every_build_selects_the_whole_workspace() {
    let mut broken = Vec::new();
    for source in sources(&["xtask/src"]) {
        for (number, line) in source.product_lines() {
            if line.contains("\"--package\"") || line.contains("\"-p\"") {
                broken.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    for (at, line) in read(".ci/run").lines().enumerate() {
        if line.contains(" --package ") || line.contains(" -p ") {
            broken.push(format!(".ci/run:{}: {}", at + 1, line.trim()));
        }
    }
    assert!(broken.is_empty(), "build with `programs::build`:\n{}", broken.join("\n"));
}

/// The option `--examples` gives a debug build the features of tests; an example would be built by
/// every demo.
#[test]
fn the_workspace_has_no_examples() {
    let examples: Vec<_> = sources(&["."])
        .into_iter()
        .filter(|source| source.path.contains("/examples/"))
        .map(|s| s.path)
        .collect();
    assert!(examples.is_empty(), "{examples:?}");
}
