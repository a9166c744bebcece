//! Finds other programs and runs them.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Prints a line about the current step on standard error, because standard output belongs to the
/// program that a command runs.
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Returns a command of the cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end and shows its output.
///
/// # Errors
/// If it cannot be started or its exit code is not 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end and shows its output only if it fails, as part of the error.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        bail!("`{shown}` failed: {}\n{}", output.status, String::from_utf8_lossy(&printed));
    }
    Ok(())
}

/// Runs a command to its end and returns its standard output without the last line break.
///
/// # Errors
/// If it cannot be started or its exit code is not 0; the error has its standard error.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("read the output of `{shown}`"))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Returns the path of the first program with this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
