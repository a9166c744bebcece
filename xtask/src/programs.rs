//! Builds programs, with one set of features for each profile.
//!
//! Cargo takes the features of a dependency from all packages that one command selects, and from
//! dev-dependencies if the command selects tests or examples. Two commands that select differently
//! compile tokio, and every crate above it, twice. So every command here selects the whole workspace
//! and names the programs that it needs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::shell::{cargo, root};

/// The programs that a release consists of.
pub(crate) const RELEASED: [&str; 4] =
    ["usher", "usher-control-plane", "usher-edge-proxy", "usher-recordings"];

/// How a build is optimised, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildProfile {
    /// For tests and the demo, which share all dependencies.
    Debug,
    /// For releases and benchmarks, which share all dependencies.
    Release,
}

impl BuildProfile {
    /// Returns the profile that these arguments of cargo select.
    pub(crate) fn of(args: &[String]) -> Self {
        let is_release = args.iter().any(|arg| arg == "--release" || arg == "-r");
        if is_release { Self::Release } else { Self::Debug }
    }

    /// Returns the arguments that select the workspace and the features of this profile.
    fn selection(self) -> &'static [&'static str] {
        match self {
            // The workspace has no examples; the option makes cargo take the features of
            // dev-dependencies, as it does for tests.
            Self::Debug => &["--workspace", "--examples"],
            // Without dev-dependencies: tokio's `test-util` makes each look at the clock slower.
            Self::Release => &["--workspace", "--release"],
        }
    }

    /// Returns the folder where cargo leaves the programs of this profile.
    pub(crate) fn folder(self) -> PathBuf {
        target().join(if self == Self::Debug { "debug" } else { "release" })
    }
}

/// Returns the command that builds these programs.
pub(crate) fn build(profile: BuildProfile, programs: &[&str]) -> Command {
    let mut command = cargo();
    command.arg("build").args(profile.selection());
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    if profile == BuildProfile::Release {
        let moved = moved_paths();
        let rust = moved.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
        let c = moved.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}"));
        // The encoded form may hold paths with spaces; cargo then ignores RUSTFLAGS.
        command.env("CARGO_ENCODED_RUSTFLAGS", with_flags_of("RUSTFLAGS", rust, "\u{1f}"));
        command.env("CFLAGS", with_flags_of("CFLAGS", c, " "));
        // C compilers put this time instead of the time of the build into `__DATE__` and `__TIME__`,
        // which mimalloc contains. It is the same for all commits, because cargo does not build a
        // dependency again when the time changes.
        command.env("SOURCE_DATE_EPOCH", "0");
    }
    command
}

/// Returns the folders of this machine that a release must not name, each with its replacement: the
/// same sources give the same programs in every folder.
fn moved_paths() -> Vec<(String, &'static str)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut moved: Vec<_> = home.iter().map(|home| (home.display().to_string(), "/cargo")).collect();
    moved.push((root().display().to_string(), "/usher"));
    moved.push((target().display().to_string(), "/usher/target"));
    moved
}

fn with_flags_of(variable: &str, flags: impl Iterator<Item = String>, separator: &str) -> String {
    let set = std::env::var(variable).unwrap_or_default();
    let set: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
    set.into_iter().chain(flags).collect::<Vec<_>>().join(separator)
}

/// Returns the folder where cargo writes.
fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(Path::new(&target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_selects_the_workspace_and_the_features_of_its_profile() {
        let shown = |profile, programs: &[&str]| {
            let command = build(profile, programs);
            command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(BuildProfile::Debug, &["usher"]), "build --workspace --examples --bin usher");
        assert_eq!(shown(BuildProfile::Release, &["a", "b"]), "build --workspace --release --bin a --bin b");
    }

    #[test]
    fn the_profile_is_the_one_that_the_arguments_select() {
        let of =
            |args: &[&str]| BuildProfile::of(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["--verbose"]), BuildProfile::Debug);
        assert_eq!(of(&["--release"]), BuildProfile::Release);
        assert_eq!(of(&["--locked", "-r"]), BuildProfile::Release);
    }
}
