//! Builds later versions of etcd than Debian's from their Go modules, for the tests of upgrades.

mod other_clock;

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::installed::{folder, is_installed, set_stamp};
use crate::shell::{on_path, run, say};

/// The versions, oldest first. An upgrade to 3.6 begins at 3.5.20 or later.
const VERSIONS: [(&str, &str); 2] = [("3.5", "v3.5.21"), ("3.6", "v3.6.16")];

/// The programs of etcd: their Go module, and the package that names the dependencies of the program.
const PROGRAMS: [(&str, &str); 2] = [("server", "etcdmain"), ("etcdutl", "etcdutl")];

/// Returns the folders with the programs of each version, as a list for the environment.
pub(crate) fn etcd_versions() -> Result<std::ffi::OsString> {
    if on_path("go").is_none() {
        bail!("Go is missing: install it (Debian: golang-go, macOS: brew install go)");
    }
    let folders = VERSIONS.into_iter().map(build).collect::<Result<Vec<PathBuf>>>()?;
    Ok(env::join_paths(folders)?)
}

fn build((number, version): (&str, &str)) -> Result<PathBuf> {
    let module = folder()?.join("etcd-versions").join(number);
    let moved = module.join("server-other-clock"); // built last
    if is_installed(&moved, version) {
        return Ok(module);
    }
    say(&format!("building etcd {version} from its Go modules (some minutes, once)"));
    fs::create_dir_all(&module).with_context(|| format!("make {}", module.display()))?;
    let imports: String = PROGRAMS
        .iter()
        .map(|(program, package)| format!("import _ \"go.etcd.io/etcd/{program}/v3/{package}\"\n"))
        .collect();
    fs::write(module.join("programs.go"), format!("package programs\n\n{imports}"))?;
    let requirements: String = PROGRAMS
        .iter()
        .map(|(program, _)| format!("require go.etcd.io/etcd/{program}/v3 {version}\n"))
        .collect();
    fs::write(module.join("go.mod"), format!("module programs\n\ngo 1.24\n\n{requirements}"))?;
    let go = || {
        let mut go = Command::new("go");
        go.current_dir(&module);
        go
    };
    run(go().args(["mod", "tidy"]))?;
    for (program, _) in PROGRAMS {
        run(go().args(["build", "-mod=mod", "-o", "./"]).arg(format!("go.etcd.io/etcd/{program}/v3")))?;
    }
    let overlay = other_clock::overlay(&module)?;
    let (package, moved_arg) = (format!("go.etcd.io/etcd/{}/v3", PROGRAMS[0].0), moved.display().to_string());
    run(go().args(["build", "-mod=mod", "-overlay"]).arg(overlay).args(["-o", &moved_arg, &package]))?;
    set_stamp(&moved, version)?;
    Ok(module)
}
