//! The commands, each of which first brings the tools that it needs.

use std::process::Command;

use anyhow::{Error, Result};
use usher_rules::style;

use crate::{
    fuzz,
    programs::{self, BuildProfile, RELEASED},
    shell::{cargo, root, run, say},
    tools,
};

/// Builds for debugging and runs the demo: in a fresh clone a debug build takes less than half the
/// time of a release build, and three simulated servers do not need a faster one.
pub(crate) fn demo(args: &[String]) -> Result<()> {
    tools::protoc()?;
    say("building usher (two or three minutes the first time)");
    run(&mut programs::build(BuildProfile::Debug, &["usher"]))?;
    run(Command::new(BuildProfile::Debug.folder().join("usher")).arg("demo").args(args))
}

pub(crate) fn test(args: &[String]) -> Result<()> {
    tools::protoc()?;
    let etcd = tools::etcd()?;
    let redis = tools::redis()?;
    let ruby = tools::ruby()?;
    let faketime = tools::faketime()?;
    let clients = tools::clients()?;
    say(&format!("etcd: {}, redis: {}", etcd.display(), redis.display()));
    // One build of programs and tests together compiles both at the same time.
    say("building the programs and the tests");
    run(programs::build(BuildProfile::Debug, &[]).args(["--bins", "--tests"]))?;
    run(cargo()
        .args(["test", "--workspace"])
        .args(args)
        .env("USHER_ETCD", etcd)
        .env("TEST_REDIS", redis)
        .env("TEST_RUBY", ruby)
        .env("TEST_FAKETIME", faketime)
        .env("TEST_PROGRAMS", BuildProfile::Debug.folder())
        .env("TEST_PYTHON", clients.python)
        .env("TEST_NODE_MODULES", clients.node_modules))
}

/// Runs the tests that need later versions of etcd than the other tests.
pub(crate) fn test_etcd_versions() -> Result<()> {
    tools::protoc()?;
    let (etcd, versions) = (tools::etcd()?, tools::etcd_versions()?);
    run(programs::build(BuildProfile::Debug, &[]).args(["--bins", "--tests"]))?;
    run(cargo()
        .args(["test", "--workspace", "store_versions"])
        .args(["--", "--ignored", "--nocapture"])
        .env("USHER_ETCD", etcd)
        .env("TEST_ETCD_VERSIONS", versions)
        .env("TEST_PROGRAMS", BuildProfile::Debug.folder()))
}

pub(crate) fn bench(args: &[String]) -> Result<()> {
    tools::protoc()?;
    let etcd = tools::etcd()?;
    say("building for release (some minutes the first time)");
    let measured = ["usher-bench", "usher-control-plane", "usher-edge-proxy"];
    run(&mut programs::build(BuildProfile::Release, &measured))?;
    let programs = BuildProfile::Release.folder();
    run(Command::new(programs.join("usher-bench"))
        .args(args)
        .env("USHER_ETCD", etcd)
        .env("TEST_PROGRAMS", programs))
}

/// Builds the programs of a release, and neither the benchmark nor the programs of tests.
pub(crate) fn build(args: &[String]) -> Result<()> {
    tools::protoc()?;
    let profile = BuildProfile::of(args);
    // `programs::build` selects the profile itself.
    let rest = args.iter().filter(|arg| !["--release", "-r"].contains(&arg.as_str()));
    run(programs::build(profile, &RELEASED).args(rest))
}

/// Runs the steps of CI that come before its tests.
pub(crate) fn lint() -> Result<()> {
    tools::protoc()?;
    let (buf, deny) = (tools::buf()?, tools::deny()?);
    say("cargo fmt");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(fuzz::in_workspace("fmt").arg("--check"))?;
    say("buf lint");
    run(Command::new(buf).arg("lint").current_dir(root().join("proto")))?;
    say("cargo deny");
    run(Command::new(deny).args(["check", "bans", "licenses", "sources"]).current_dir(root()))?;
    say("cargo clippy");
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    say("cargo clippy: fuzz targets");
    run(fuzz::in_workspace("clippy").args(fuzz::SHARED_CHECK).args(["--", "--deny", "warnings"]))?;
    say("cargo doc");
    run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Checks the dependencies against the advisory database; apart from `lint`, because it needs the
/// internet and fails without a change of the repository.
pub(crate) fn advisories() -> Result<()> {
    let deny = tools::deny()?;
    say("cargo deny: advisories");
    run(Command::new(deny).args(["check", "advisories"]).current_dir(root()))
}

/// Prints the style figures, or the places behind one of them, for paths that begin with a prefix.
pub(crate) fn style(args: &[String]) -> Result<()> {
    let list = args.first().map(String::as_str);
    let prefix = args.get(1).map_or("", String::as_str);
    let report = style::report(&style::survey(), list, prefix).map_err(Error::msg)?;
    print!("{report}");
    Ok(())
}
