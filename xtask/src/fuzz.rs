//! The fuzz targets, which are a workspace of their own: libFuzzer is not part of a build of Usher.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    shell::{cargo, root, run},
    tools,
};

/// The manifest of the fuzz targets.
const MANIFEST: &str = "fuzz/Cargo.toml";

/// The arguments of a check of the fuzz targets. Their dependencies are then those that a check of
/// the main workspace has left in its target folder.
pub(crate) const SHARED_CHECK: [&str; 4] = ["--locked", "--target-dir", "target", "--all-targets"];

/// Returns a command of cargo that concerns the workspace of the fuzz targets.
pub(crate) fn in_workspace(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([command, "--manifest-path", MANIFEST]);
    cargo
}

/// Runs the fuzz targets on the stable toolchain: plain programs, no instrumentation.
pub(crate) fn fuzz(args: &[String]) -> Result<()> {
    tools::protoc()?;
    let seconds: u32 =
        args.first().map_or(Ok(30), |text| text.parse()).context("SECONDS is a whole number")?;
    run(cargo().current_dir(root().join("fuzz")).args(["run", "--release", "--", &seconds.to_string()]))
}
