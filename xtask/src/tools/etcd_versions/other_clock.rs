//! A program of etcd whose wall clock differs from that of the machine by the number of seconds in
//! the variable `TEST_CLOCK_OFFSET`. A Go program reads the clock without the C library, so that no
//! preloaded library can give it another one, and a namespace for the wall clock does not exist: the
//! standard library of Go is changed for the build of this program alone (`go build -overlay`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The line of `time.Now` after which the clock is known.
const READING: &str = "\tsec, nsec, mono := runtimeNow()\n";

/// Code for [`READING`]: the offset is added to the wall clock, and not to the monotonic clock.
const MOVED_READING: &str = "\tsec, nsec, mono := runtimeNow()\n\tsec += clockOffset\n";

const OFFSET: &str = r#"
var clockOffset = func() (seconds int64) {
	text, _ := syscall.Getenv("TEST_CLOCK_OFFSET")
	negative := len(text) > 0 && text[0] == '-'
	for _, digit := range text {
		if '0' <= digit && digit <= '9' {
			seconds = 10*seconds + int64(digit-'0')
		}
	}
	if negative {
		return -seconds
	}
	return seconds
}()
"#;

/// Writes the changed file of the standard library and the list of such files into `folder`, and
/// returns the path of the list, for `go build -overlay`.
pub(super) fn overlay(folder: &Path) -> Result<PathBuf> {
    let root = Command::new("go").args(["env", "GOROOT"]).output().context("run go env")?;
    let root = String::from_utf8(root.stdout)?;
    let original = Path::new(root.trim()).join("src/time/time.go");
    let text = fs::read_to_string(&original).with_context(|| format!("read {}", original.display()))?;
    let moved = text.replacen(READING, MOVED_READING, 1).replacen(
        "\t_ \"unsafe\"",
        "\t\"syscall\"\n\t_ \"unsafe\"",
        1,
    );
    let is_changed = moved.contains(MOVED_READING) && moved.contains("\"syscall\"");
    ensure!(is_changed, "time.Now of this version of Go reads the clock in another way");
    let replacement = folder.join("time.go.moved");
    fs::write(&replacement, moved + OFFSET)?;
    let list = folder.join("overlay.json");
    let (original, replacement) = (original.display(), replacement.display());
    let replaced = format!("{{\"Replace\": {{\"{original}\": \"{replacement}\"}}}}");
    fs::write(&list, replaced)?;
    Ok(list)
}
