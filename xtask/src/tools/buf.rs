//! Installs buf, which checks the style and the compatibility of the protocol.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    clients::npm_install,
    installed::{folder, is_installed, set_stamp},
};

/// This npm package contains the binary, so that its scripts need not download one.
const PACKAGE: &str = "@bufbuild/buf@1.75.0";

/// Returns the path of the buf binary.
pub(crate) fn buf() -> Result<PathBuf> {
    let home = folder()?.join("buf");
    if !is_installed(&home, PACKAGE) {
        npm_install(&home, PACKAGE)?;
        set_stamp(&home, PACKAGE)?;
    }
    Ok(home.join("node_modules/.bin/buf"))
}
