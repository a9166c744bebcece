//! Finds or installs Ruby, for the tests of the script that BBB servers run.

use std::{env, path::PathBuf};

use anyhow::{Result, bail};

use super::debian;
use crate::shell::on_path;

/// Returns the path of a Ruby: of `TEST_RUBY`, on the PATH, or of Debian's package, which starts no service.
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
    debian::install(&["ruby"], "the upload script of BBB servers is tested with Ruby")?;
    match on_path("ruby") {
        Some(found) => Ok(found),
        None => bail!("Debian's package ruby has no program `ruby` on the PATH"),
    }
}
