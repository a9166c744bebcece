//! Packs folders so that the same files give the same bytes, and writes the checksums.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use crate::shell::{output_of, run_quietly};

/// Packs `name` below `folder` into the archive `file`: sorted, with one time, owner and mode.
pub(super) fn pack(folder: &Path, name: &str, file: &str, commit_time: &str) -> Result<()> {
    run_quietly(
        Command::new("tar")
            .current_dir(folder)
            .env("LC_ALL", "C")
            .args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            // Without the umask of the builder.
            .arg("--mode=u=rwX,go=rX")
            .arg(format!("--mtime=@{commit_time}"))
            // `-n` leaves name and time out of the compressed file.
            .args(["--use-compress-program", "gzip -9n", "--file", file, name]),
    )
}

/// Writes `SHA256SUMS` with the checksum of every file at the top of `folder`, as `sha256sum --check`
/// reads it.
pub(super) fn write_checksums(folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.file_name());
        }
    }
    files.sort();
    let sums = output_of(Command::new("sha256sum").arg("--").args(files).current_dir(folder))?;
    Ok(fs::write(folder.join("SHA256SUMS"), sums + "\n")?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    /// Packs the same two files, written in this order and with this mode.
    fn packed(home: &Path, order: [&str; 2], mode: u32) -> Vec<u8> {
        let folder = home.join(order.concat());
        fs::create_dir_all(folder.join("tree")).expect("the folder of the test is writable");
        for name in order {
            let file = folder.join("tree").join(name);
            fs::write(&file, name).expect("the folder of the test is writable");
            fs::set_permissions(&file, Permissions::from_mode(mode)).expect("the file is ours");
        }
        pack(&folder, "tree", "tree.tar.gz", "1700000000").expect("tar and gzip are installed");
        write_checksums(&folder).expect("sha256sum is installed");
        let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("it has been written");
        assert!(sums.ends_with("  tree.tar.gz\n"), "{sums}");
        fs::read(folder.join("tree.tar.gz")).expect("it has been written")
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        let home = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let (first, second) = (packed(&home, ["a", "b"], 0o644), packed(&home, ["b", "a"], 0o600));
        fs::remove_dir_all(&home).expect("the folder is ours");
        assert!(first == second, "the archives differ");
    }
}
