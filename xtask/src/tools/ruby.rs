//! Finds or fetches Ruby, for the tests of the script that BBB servers run.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{debian, installed::folder};
use crate::shell::on_path;

const WHY: &str = "the upload script of BBB servers is tested with Ruby";
/// Finds its libraries by its own path, so that the folder can be moved. The script under test needs no gem.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname -- "$(readlink -f -- "$0")")
export LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu* | tr ' ' ':')
export RUBYLIB=$(echo "$here"/usr/lib/ruby/[0-9]* "$here"/usr/lib/*-linux-gnu*/ruby/[0-9]* | tr ' ' ':')
exec "$here"/usr/bin/ruby[0-9]* --disable-gems "$@"
"#;

/// Returns the path of a Ruby: of `TEST_RUBY`, on the PATH, or of Debian's package, unpacked together with its
/// libraries.
pub(crate) fn ruby() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TEST_RUBY").map(PathBuf::from) {
        if !named.is_file() {
            bail!("TEST_RUBY names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    if let Some(found) = on_path("ruby") {
        return Ok(found);
    }
    let home = folder()?.join("ruby");
    let program = home.join("ruby");
    if !program.is_file() {
        fetch(&home, &program).context(
            "no Ruby found: install one and put it on the PATH, or name it in TEST_RUBY \
             (Debian: ruby, macOS: brew install ruby)",
        )?;
    }
    Ok(program)
}

/// Unpacks the packages; the script is written last, when the libraries are complete.
fn fetch(home: &Path, program: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    let version = debian::dependency_of("ruby", "ruby")?;
    let library = format!("lib{version}");
    for package in [&version, &library].into_iter().chain(&debian::libraries_of(&library)?) {
        debian::unpack(package, home, WHY)?;
    }
    fs::write(program, SCRIPT)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).context("make the script a program")
}
