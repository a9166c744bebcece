//! Placeholder until the task runner lands.
fn main() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    std::fs::create_dir_all(&root)?;
    std::fs::copy(protoc_bin_vendored::protoc_bin_path()?, root.join("protoc"))?;
    let include = protoc_bin_vendored::include_path()?;
    let status =
        std::process::Command::new("cp").arg("-r").arg(include).arg(root.join("include")).status()?;
    anyhow::ensure!(status.success());
    Ok(())
}
