//! The compiler that builds the repository and the oldest one that may build it agree.

use usher_rules::{files, read};

/// Returns the text between the quotes of the first line `name = "…"`.
fn setting(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
    let value = value.unwrap_or_else(|| panic!("{path} has no `{name}`"));
    value.trim_matches('"').to_owned()
}

/// Returns the numbers of a version; a missing patch level is 0, as rustup reads it.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(version.split('.')) {
        *number = part.parse().unwrap_or_else(|_| panic!("`{version}` is not a version such as 1.95.0"));
    }
    numbers
}

/// A channel such as `stable` would change the compiler without a change of the repository.
#[test]
fn the_pinned_toolchain_is_a_version_not_older_than_the_msrv() {
    let pinned = setting("rust-toolchain.toml", "channel");
    let msrv = setting("Cargo.toml", "rust-version");
    assert_eq!(pinned.split('.').count(), 3, "the channel `{pinned}` has no patch level");
    assert!(numbers(&pinned) >= numbers(&msrv), "toolchain {pinned} is older than rust-version {msrv}");
}

/// Cargo checks `rust-version` only for packages that declare one, and clippy's `incompatible_msrv`
/// finds newer parts of the standard library only there.
#[test]
fn every_crate_declares_the_msrv_of_the_workspace() {
    let members = files(&["."]).into_iter().filter(|path| path.ends_with("/Cargo.toml"));
    let without: Vec<_> = members
        .filter(|path| !read(path).contains("\n[workspace]"))
        .filter(|path| !read(path).contains("rust-version.workspace = true"))
        .collect();
    assert!(without.is_empty(), "no `rust-version.workspace = true`: {without:?}");
}

/// An image with another compiler would fetch the pinned one during each build of the container.
#[test]
fn the_container_builds_with_the_pinned_toolchain() {
    let pinned = setting("rust-toolchain.toml", "channel");
    let dockerfile = read("deploy/compose/Dockerfile");
    assert!(dockerfile.contains(&format!("FROM rust:{pinned}-")), "the image has another compiler");
    assert!(dockerfile.contains(&format!("ENV RUSTUP_TOOLCHAIN={pinned}\n")), "rustup takes another one");
}

/// The forge runs the script that developers run, and builds with the oldest compiler that
/// Cargo.toml promises.
#[test]
fn the_workflow_calls_the_ci_script_and_builds_with_the_msrv() {
    let workflow = read(".github/workflows/ci.yml");
    let (checks, msrv) = workflow.split_once("\n  msrv:\n").expect("the workflow has a job `msrv`");
    assert!(checks.contains("run: bash .ci/run"), "no job runs .ci/run");
    // The job reads the version by this expression, so the line must have this form.
    assert!(msrv.contains(r#"sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml"#), "{msrv}");
    assert!(msrv.contains("cargo xtask build"), "{msrv}");
    let versions = read("Cargo.toml").lines().filter(|line| line.starts_with("rust-version = ")).count();
    assert_eq!(versions, 1, "the expression finds one version");
}
