//! buf, which checks the style and the compatibility of the protocol.

use std::path::PathBuf;

use anyhow::Result;

use super::{clients::npm_install, folder, set_stamp, stands};

/// The npm package carries the binary itself.
const PACKAGE: &str = "@bufbuild/buf@1.75.0";

/// Returns the buf binary.
pub(crate) fn buf() -> Result<PathBuf> {
    let home = folder()?.join("buf");
    if !stands(&home, PACKAGE) {
        npm_install(&home, PACKAGE)?;
        set_stamp(&home, PACKAGE)?;
    }
    Ok(home.join("node_modules/.bin/buf"))
}
