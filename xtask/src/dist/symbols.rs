//! Splits a program into the program without symbols and its debug symbols.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::shell::run_quietly;

/// Writes the stripped program into `programs` and its symbols, as `NAME.debug`, into `symbols`. The
/// program names the file of its symbols, so that debuggers find it.
pub(super) fn split(built: &Path, programs: &Path, symbols: &Path) -> Result<()> {
    let name = built.file_name().context("a program has a name")?;
    let debug = Path::new(name).with_extension("debug");
    fs::create_dir_all(programs)?;
    fs::create_dir_all(symbols)?;
    let objcopy = || {
        let mut command = Command::new("objcopy");
        // `--add-gnu-debuglink` stores the path as it is given, so it must be the bare name.
        command.current_dir(symbols);
        command
    };
    run_quietly(
        objcopy().args(["--only-keep-debug", "--compress-debug-sections=zlib"]).arg(built).arg(&debug),
    )?;
    run_quietly(
        objcopy()
            .args(["--strip-all", "--remove-section=.comment"])
            .arg(format!("--add-gnu-debuglink={}", debug.display()))
            .arg(built)
            .arg(programs.join(name)),
    )
}
