//! The files of a BBB server that the upload script reads, below a folder of the test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The script that operators place on their servers.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recordings/script/usher_post_publish.rb");

/// The files of a BBB server.
pub(super) struct ServerFolder {
    root: TempDir,
}

/// A recording that the server made.
#[derive(Debug, Clone)]
pub(super) struct PublishedFormat {
    pub(super) id: String,
    pub(super) format: &'static str,
    /// Elements below `meta`.
    pub(super) meta: String,
    /// Paths and contents of the files beside metadata.xml.
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
}

impl PublishedFormat {
    /// Returns a presentation of a meeting that began at `start_ms`, with a webcam video of 300,000 bytes.
    pub(super) fn presentation(start_ms: u64) -> Self {
        let video = (0..300_000_u32).map(|byte| (byte % 251) as u8).collect();
        Self {
            id: format!("6fea8cf5c91f71a844862ead37a54d70198c664e-{start_ms}"),
            format: "presentation",
            meta: String::new(),
            files: vec![
                ("shapes.svg", b"<svg/>".to_vec()),
                ("video/webcams.webm", video),
                ("presentation/p1/thumbnails/thumb 1.png", b"png".to_vec()),
                ("empty.json", Vec::new()),
            ],
        }
    }

    fn metadata(&self, library: &str) -> String {
        let Self { id, format, meta, .. } = self;
        let start_ms = id.rsplit('-').next().unwrap_or_default();
        format!(
            "<recording><id>{id}</id><state>published</state><published>true</published>\
             <start_time>{start_ms}</start_time><end_time>{start_ms}</end_time><participants>2</participants>\
             <meeting id=\"{id}\" externalId=\"room\" name=\"Algebra\" breakout=\"false\"/>\
             <meta><meetingId>room</meetingId><meetingName>Algebra</meetingName><isBreakout>false</isBreakout>\
             <usher-library>{library}</usher-library>{meta}</meta>\
             <playback><format>{format}</format><link>https://bbb-1.example.org/playback/{format}/2.3/{id}</link>\
             <processing_time>1</processing_time><duration>120000</duration><size>300009</size>\
             </playback><raw_size>7</raw_size></recording>"
        )
    }
}

impl ServerFolder {
    /// Makes the files of a server with this secret.
    pub(super) fn new(secret: &str) -> Result<Self> {
        let folder = Self { root: tempfile::tempdir()? };
        folder.write(
            "etc/bigbluebutton/bbb-web.properties",
            format!("bigbluebutton.web.serverURL=https://bbb-1.example.org\nsecuritySalt={secret}\n")
                .as_bytes(),
        )?;
        Ok(folder)
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.root.path().join(path);
        fs::create_dir_all(file.parent().context("has a folder")?)?;
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))
    }

    /// Publishes a format, as BigBlueButton's own scripts do, for the library at `library`.
    pub(super) fn publish(&self, format: &PublishedFormat, library: &str) -> Result<()> {
        let below = format!("var/bigbluebutton/published/{}/{}", format.format, format.id);
        for (path, content) in &format.files {
            self.write(&format!("{below}/{path}"), content)?;
        }
        self.write(&format!("{below}/metadata.xml"), format.metadata(library).as_bytes())
    }

    /// Runs the script after a format was published.
    pub(super) fn post_publish(&self, format: &PublishedFormat) -> Result<()> {
        self.script(&["-m", &format.id, "-f", format.format])
    }

    /// Runs the script with these arguments. It never fails BigBlueButton's queue.
    pub(super) fn script(&self, arguments: &[&str]) -> Result<()> {
        run(arguments, self.root.path())
    }

    /// Runs the script over its queue, beside other work of the test.
    pub(super) async fn pending(&self) -> Result<()> {
        let root = self.root.path().to_owned();
        tokio::task::spawn_blocking(move || run(&["--pending", "--all"], &root)).await?
    }

    /// Returns the names of the files in the queue that end in `ending`.
    pub(super) fn queue(&self, ending: &str) -> Vec<String> {
        let folder = self.root.path().join("var/bigbluebutton/recording/status/usher");
        let entries = fs::read_dir(folder).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
        let names = entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
        names.sort();
        names
    }

    /// Returns whether the server still has the published copy of a format.
    pub(super) fn has_copy(&self, format: &PublishedFormat) -> bool {
        let below = format!("var/bigbluebutton/published/{}/{}", format.format, format.id);
        self.root.path().join(below).exists()
    }

    /// Sets the time for which a committed copy stays.
    pub(super) fn keep_hours(&self, hours: i32) -> Result<()> {
        self.write(
            "etc/bigbluebutton/usher-recordings.properties",
            format!("keep_hours={hours}\n").as_bytes(),
        )
    }
}

fn run(arguments: &[&str], root: &Path) -> Result<()> {
    let ruby = env::var_os("TEST_RUBY").map_or_else(|| PathBuf::from("ruby"), PathBuf::from);
    let output = Command::new(&ruby)
        .arg(SCRIPT)
        .args(arguments)
        .args([Path::new("--root"), root])
        .output()
        .with_context(|| format!("run {}; `cargo xtask test` brings it", ruby.display()))?;
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the script must not fail");
    Ok(())
}
