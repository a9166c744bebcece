//! Installs cargo-cyclonedx, which writes the bill of materials of a release.

use std::path::PathBuf;

use anyhow::Result;

use super::installed::install_crate;

/// Returns the path of the cargo-cyclonedx binary. The first call builds it, which takes some
/// minutes.
pub(crate) fn cyclonedx() -> Result<PathBuf> {
    install_crate("cargo-cyclonedx", "0.5.9")
}
