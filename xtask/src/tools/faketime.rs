//! Fetches libfaketime, for the test of wall clocks that jump. Only the programs under test preload
//! it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use super::{debian, installed::folder};

/// Returns the path of the library, which is unpacked from Debian's package.
pub(crate) fn faketime() -> Result<PathBuf> {
    let unpacked = folder()?.join("faketime");
    if find(&unpacked).is_none() {
        fs::create_dir_all(&unpacked)?;
        debian::unpack("libfaketime", &unpacked, "the test of clocks that jump needs libfaketime")?;
    }
    find(&unpacked).context("Debian's libfaketime has no libfaketimeMT.so.1")
}

fn find(unpacked: &std::path::Path) -> Option<PathBuf> {
    let platforms = fs::read_dir(unpacked.join("usr/lib")).ok()?.flatten();
    platforms.map(|platform| platform.path().join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}
