//! `cargo xtask dist`: builds a release. The same commit gives the same bytes in every folder.

mod archive;
mod bill;
mod manuals;
mod symbols;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    programs::{self, BuildProfile, RELEASED},
    shell::{on_path, output_of, root, run, say},
    tools,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Programs of the system that a release needs: the first belongs to every C compiler, the others to
/// every Linux.
const SYSTEM_PROGRAMS: [&str; 4] = ["objcopy", "tar", "gzip", "sha256sum"];

/// Files and folders of the repository that a release contains.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "deploy/etc",
    "deploy/systemd",
];

/// Shells whose completions a release contains, each with the file name that the shell expects.
const SHELLS: [(&str, &str); 3] = [("bash", "usher"), ("zsh", "_usher"), ("fish", "usher.fish")];

/// Builds the release in `target/dist/usher-VERSION-TARGET`.
pub(crate) fn dist() -> Result<()> {
    check_system()?;
    let commit_time = commit_time()?;
    tools::protoc()?;
    let bill_tool = tools::cyclonedx()?;
    let name = format!("usher-{VERSION}-{}", host()?);
    let folder = BuildProfile::Release.folder().with_file_name("dist").join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove the older {}", folder.display()))?;
    }
    let tree = folder.join(&name);

    say("building the three programs for release (some minutes)");
    run(programs::build(BuildProfile::Release, &RELEASED).arg("--locked"))?;
    for program in RELEASED {
        symbols::split(
            &BuildProfile::Release.folder().join(program),
            &tree.join("bin"),
            &folder.join("debug"),
        )?;
    }
    write_completions(&tree)?;
    for program in RELEASED {
        manuals::write(&tree.join("bin").join(program), &tree.join("share/man/man1"), VERSION)?;
    }
    bill::write(&bill_tool, &tree.join("sbom"), &commit_time)?;
    copy_documents(&tree)?;

    say("packing");
    archive::pack(&folder, &name, &format!("{name}.tar.gz"), &commit_time)?;
    archive::pack(&folder, "debug", &format!("{name}-debug.tar.gz"), &commit_time)?;
    archive::write_checksums(&folder)?;
    println!("{}", folder.display());
    Ok(())
}

fn check_system() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("a release is built on Linux: its tools write and read ELF files");
    }
    let missing: Vec<_> = SYSTEM_PROGRAMS.into_iter().filter(|name| on_path(name).is_none()).collect();
    if !missing.is_empty() {
        bail!("a release needs {} (Debian: binutils, tar, gzip, coreutils)", missing.join(", "));
    }
    let changed = output_of(Command::new("git").args(["status", "--porcelain"]).current_dir(root()));
    if changed.is_ok_and(|files| !files.is_empty()) {
        say("warning: files differ from the commit, so that no one can repeat this release");
    }
    Ok(())
}

/// Returns the time of all files in a release, in seconds since 1970: of `SOURCE_DATE_EPOCH`, or of
/// the last commit.
fn commit_time() -> Result<String> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(set);
    }
    let time = output_of(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()));
    time.context("outside a git checkout, set SOURCE_DATE_EPOCH to the time of the release in seconds")
}

/// Returns the target that this machine builds for, such as `x86_64-unknown-linux-gnu`.
fn host() -> Result<String> {
    let version = output_of(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// Lets the released `usher` write its own completions, so that they are those of its commands.
fn write_completions(tree: &Path) -> Result<()> {
    let folder = tree.join("share/completions");
    fs::create_dir_all(&folder)?;
    for (shell, file) in SHELLS {
        let text = output_of(Command::new(tree.join("bin/usher")).args(["completions", shell]))?;
        fs::write(folder.join(file), text + "\n")?;
    }
    Ok(())
}

fn copy_documents(tree: &Path) -> Result<()> {
    for document in DOCUMENTS {
        let from = root().join(document);
        let files: Vec<PathBuf> = if from.is_dir() {
            fs::read_dir(&from)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?
        } else {
            vec![from]
        };
        for file in files {
            let inside = file.strip_prefix(root())?;
            let to = tree.join(inside);
            fs::create_dir_all(to.parent().context("a document has a folder")?)?;
            fs::copy(&file, &to).with_context(|| format!("copy {}", inside.display()))?;
        }
    }
    Ok(())
}
