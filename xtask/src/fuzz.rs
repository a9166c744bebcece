//! The fuzz targets, which are a workspace of their own: libFuzzer is not part of a build of Usher.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    shell::{cargo, on_path, output_of, root, run, say},
    tools,
};

/// The manifest of the fuzz targets.
const MANIFEST: &str = "fuzz/Cargo.toml";

/// The arguments of a check of the fuzz targets. Their dependencies are then those that a check of
/// the main workspace has left in its target folder.
pub(crate) const SHARED_CHECK: [&str; 3] = ["--target-dir", "target", "--all-targets"];

/// The time for each target without an argument, seconds.
const SECONDS: u32 = 30;

/// The flags of a build that libFuzzer can guide: counters of the edges and of the compared values in
/// every function, and the address sanitizer. They are those of cargo-fuzz.
const GUIDED_FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "-Ccodegen-units=16",
    "--cfg=fuzzing",
];

/// The longest input of a guided run, bytes.
const INPUT_MAX: u32 = 8 << 10;

/// The memory at which libFuzzer reports a leak, MiB.
const MEMORY_MAX: u32 = 2048;

/// Returns a command of cargo that concerns the workspace of the fuzz targets.
pub(crate) fn in_workspace(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([command, "--manifest-path", MANIFEST]);
    cargo
}

/// Runs the fuzz targets, or one: as plain programs with random mutations, or guided by coverage.
pub(crate) fn fuzz(args: &[String]) -> Result<()> {
    tools::protoc()?;
    match args.split_first() {
        Some((first, rest)) if first == "--guided" => guided(rest),
        _ => plain(args),
    }
}

/// Runs the fuzz targets on the pinned toolchain, without instrumentation.
fn plain(args: &[String]) -> Result<()> {
    let (seconds, target) = arguments(args)?;
    let mut command = cargo();
    command.current_dir(root().join("fuzz")).args(["run", "--release", "--bin", "fuzz", "--"]);
    run(command.arg(seconds.to_string()).args(target))
}

/// Builds one program with instrumentation, and runs it once for each target. Inputs that reach new
/// code stay in `target/fuzz/corpus` for the next run, and one that violates a law is written to
/// `target/fuzz/artifacts`.
fn guided(args: &[String]) -> Result<()> {
    let (seconds, target) = arguments(args)?;
    let host = check_tools()?;
    say("building the fuzz targets with coverage and the address sanitizer (some minutes)");
    let folder = root().join("target/fuzz/guided");
    let mut build = in_workspace("build");
    build.args(["--release", "--features", "libfuzzer", "--bin", "guided", "--target", &host]);
    build.arg("--target-dir").arg(&folder);
    // The sanitizer and the passes are options of nightly compilers, which the pinned one has too.
    build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", GUIDED_FLAGS.join("\u{1f}"));
    run(&mut build)?;
    let program = folder.join(&host).join("release/guided");
    let mut violated = Vec::new();
    for name in names(target)? {
        say(&format!("{name}: {seconds} s"));
        if run(&mut one_target(&program, &name, seconds)?).is_err() {
            violated.push(name);
        }
    }
    if !violated.is_empty() {
        bail!(
            "a law is violated in {}: the input is in target/fuzz/artifacts; put it into fuzz/seeds",
            violated.join(", ")
        );
    }
    Ok(())
}

fn one_target(program: &Path, name: &str, seconds: u32) -> Result<Command> {
    let folder = |kind: &str| {
        let folder = root().join("target/fuzz").join(kind).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display())).map(|()| folder)
    };
    let (corpus, artifacts) = (folder("corpus")?, folder("artifacts")?);
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MAX}"))
        .args(["-timeout=20", "-print_final_stats=1", "-verbosity=0", "-close_fd_mask=0"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .arg(seeds().join(name))
        .env("USHER_FUZZ_TARGET", name)
        // A task that waits for the next input is no leak.
        .env("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1");
    Ok(command)
}

/// Reads `[SECONDS] [TARGET]`.
fn arguments(args: &[String]) -> Result<(u32, Option<&String>)> {
    let seconds =
        args.first().map_or(Ok(SECONDS), |text| text.parse()).context("SECONDS is a whole number")?;
    Ok((seconds, args.get(1)))
}

fn seeds() -> PathBuf {
    root().join("fuzz/seeds")
}

/// Returns the names of the targets to run, which are those of the folders of seeds.
fn names(only: Option<&String>) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(seeds())
        .context("list the fuzz targets")?
        .flatten()
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .filter(|name| only.is_none_or(|only| only == name))
        .collect();
    names.sort();
    if names.is_empty() {
        bail!("there is no such fuzz target; each has a folder in fuzz/seeds");
    }
    Ok(names)
}

/// Checks that this machine has the tools of a guided run, and returns the target that it builds for.
fn check_tools() -> Result<String> {
    if on_path("c++").is_none() && on_path("clang++").is_none() {
        bail!(
            "a guided run compiles libFuzzer, for which a C++ compiler is missing (Debian: apt-get \
             install g++; Fedora: dnf install gcc-c++); `cargo xtask fuzz` needs none"
        );
    }
    let version = output_of(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let libraries = output_of(Command::new("rustc").args(["--print", "target-libdir"]).current_dir(root()))?;
    let has_sanitizer = fs::read_dir(libraries.trim()).is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().contains("_rt.asan."))
    });
    if !has_sanitizer {
        bail!(
            "this Rust has no address sanitizer for {host}: install the pinned toolchain with rustup, \
             whose x86_64 and aarch64 builds for Linux contain it; `cargo xtask fuzz` needs none"
        );
    }
    Ok(host.to_owned())
}
