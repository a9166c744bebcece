//! The paths of the programs under test. `cargo xtask test` builds them before; under a plain
//! `cargo test`, the first test of a process builds them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

/// One of the programs of Usher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// The control plane, `usher-control-plane`.
    ControlPlane,
    /// The edge proxy, `usher-edge-proxy`.
    EdgeProxy,
    /// The recordings library, `usher-recordings`.
    Recordings,
    /// The command line with `standalone`, `usher`.
    Usher,
}

impl ProgramKind {
    /// Returns the name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "usher-control-plane",
            Self::EdgeProxy => "usher-edge-proxy",
            Self::Recordings => "usher-recordings",
            Self::Usher => "usher",
        }
    }

    /// Returns the path of the built program.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn path(self) -> Result<PathBuf> {
        static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| folder().map_err(|error| format!("{error:#}")));
        let folder = folder.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let file = folder.join(self.name());
        if !file.is_file() {
            bail!("{} is missing; run `cargo xtask test`", file.display());
        }
        Ok(file)
    }
}

/// Returns the folder of the programs, after it has built them from the current source.
fn folder() -> Result<PathBuf> {
    if let Some(built) = env::var_os("TEST_PROGRAMS") {
        return Ok(built.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The build includes the tests, so that cargo selects the same features and builds no crate
    // twice.
    let build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--workspace", "--bins", "--tests"])
        .current_dir(&root)
        .output()
        .context("start cargo, to build the programs under test")?;
    if !build.status.success() {
        bail!("build the programs under test:\n{}", String::from_utf8_lossy(&build.stderr));
    }
    let test = env::current_exe().context("find this test's own file")?;
    // The path of a test is target/debug/deps/NAME.
    let folder = test.ancestors().nth(2).context("the path of a test has no folder target/debug/deps")?;
    Ok(folder.to_path_buf())
}
