//! Installs protoc for the build script of `etcd-client`; Usher's own protocol is compiled without it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::installed::{folder, is_installed, set_stamp};
use crate::shell::say;

/// Version of the crate that contains the binary. It changes together with the one in `Cargo.toml`,
/// so that a new version is copied.
const VERSION: &str = "protoc-bin-vendored 3.3";

/// Copies protoc and its include files to the paths in `.cargo/config.toml`.
pub(crate) fn protoc() -> Result<()> {
    let folder = folder()?;
    let binary = folder.join("protoc");
    if is_installed(&binary, VERSION) {
        return Ok(());
    }
    say("installing protoc from the crate protoc-bin-vendored");
    let vendored = protoc_bin_vendored::protoc_bin_path().context("find the vendored protoc")?;
    fs::copy(&vendored, &binary).with_context(|| format!("copy {}", vendored.display()))?;
    let include = protoc_bin_vendored::include_path().context("find the vendored includes")?;
    copy_folder(&include, &folder.join("include"))?;
    set_stamp(&binary, VERSION)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
