//! A library of its own beside a cluster, while servers still have recordings.

use std::{fs, path::Path, pin::pin};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use usher_bbb_sim::SimRecording;
use usher_harness::{
    cluster::{TestCluster, environment_name, quick_settings},
    process::RunningProgram,
    programs::ProgramKind,
    servers::SERVER_SECRET,
    wait,
};

use super::server_folder::{PublishedFormat, ServerFolder};

async fn start_library(cluster: &TestCluster, data: &TempDir) -> Result<RunningProgram> {
    let mut settings = quick_settings();
    let mut set = |key: &str, value: &str| settings.insert(environment_name(key), value.to_owned());
    set("data", &data.path().display().to_string());
    set("recordings.library", "true");
    set("recordings.listen", "127.0.0.1:0");
    set("recordings.url", "https://play.example.org");
    set("recordings.keep_free", "0");
    set("ops", "127.0.0.1:0");
    set("edge.control_plane", &format!("http://{}", cluster.control_address(0)));
    RunningProgram::start("recordings", ProgramKind::Recordings, &[], &settings).await
}

#[tokio::test]
async fn r10_lists_are_whole_or_refused_while_recordings_move() -> Result<()> {
    let settings = [("recordings.library", "true"), ("recordings.url", "https://play.example.org")];
    let cluster = TestCluster::builder().servers(1).edges(1).set_all(&settings).start().await?;
    let client = cluster.client(0);
    assert_eq!(client.get("getRecordings", "").await?.key(), "serverUnavailable", "no library was seen yet");
    let data = tempfile::tempdir()?;
    let mut library = start_library(&cluster, &data).await?;
    wait::until("the edge to know the library", || async {
        let list = client.get("getRecordings", "").await?;
        ensure!(list.is_success(), "{}", list.body);
        Ok(())
    })
    .await?;

    let format = PublishedFormat::presentation(1_700_000_000_000);
    let of_server = SimRecording::new("lecture", 1_600_000_000_000);
    let copy = SimRecording { record_id: format.id.clone(), ..SimRecording::new("room", 1_700_000_000_000) };
    cluster.sims[0].add_recording(of_server.clone());
    cluster.sims[0].add_recording(copy);
    let server = ServerFolder::new(SERVER_SECRET)?;
    let edge = format!("http://{}", cluster.edges[0].address("listen"));
    server.publish(&format, &edge)?;
    wait::until("the upload", || async {
        server.post_publish(&format)?;
        ensure!(server.queue(".pending").is_empty(), "still waiting");
        Ok(())
    })
    .await?;
    let list = client.get("getRecordings", "").await?;
    assert_eq!(
        list.texts("recordID"),
        [format.id.as_str(), &of_server.record_id],
        "the newest first, each once"
    );
    assert!(
        list.body.contains("https://play.example.org/playback/presentation"),
        "the library's copy is shown"
    );
    let page = client.get("getRecordings", "offset=1&limit=1").await?;
    assert_eq!(
        (page.texts("recordID"), page.text("totalElements")),
        (vec![of_server.record_id.as_str()], Some("2"))
    );

    let both = format!("recordID={},{}", format.id, of_server.record_id);
    assert_eq!(client.get("deleteRecordings", &both).await?.text("deleted"), Some("true"));
    let list = client.get("getRecordings", "").await?;
    assert!(
        list.is_success() && list.texts("recordID").is_empty(),
        "the server's copy is not shown: {}",
        list.body
    );

    library.kill()?;
    wait::until("lists to be refused", || async {
        let list = client.get("getRecordings", "").await?;
        ensure!(list.key() == "serverUnavailable", "{}", list.body);
        Ok(())
    })
    .await?;
    assert!(client.created("meeting").await?.is_success(), "meetings notice nothing");
    let _library = start_library(&cluster, &data).await?;
    wait::until("lists to be answered", || async {
        let list = client.get("getRecordings", "state=any").await?;
        ensure!(list.is_success(), "{}", list.body);
        Ok(())
    })
    .await
}

/// Returns the number of files in a folder and the folders below it.
fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn r1_r7_a_library_that_is_killed_in_an_upload_loses_nothing() -> Result<()> {
    let settings = [("recordings.library", "true"), ("recordings.url", "https://play.example.org")];
    let cluster = TestCluster::builder().servers(1).edges(1).set_all(&settings).start().await?;
    let (data, server) = (tempfile::tempdir()?, ServerFolder::new(SERVER_SECRET)?);
    let edge = format!("http://{}", cluster.edges[0].address("listen"));
    let formats: Vec<_> =
        (0..6).map(|number| PublishedFormat::presentation(1_700_000_000_010 + number)).collect();
    for format in &formats {
        server.publish(format, &edge)?;
        server.post_publish(format)?;
    }
    // Each library is killed when it has some files more than the one before, so at different steps of an upload.
    for life in 0..12 {
        let mut library = start_library(&cluster, &data).await?;
        let mut uploading = pin!(server.pending());
        let some_files = wait::until("some files", || async {
            ensure!(files_below(data.path()) > 3 * life, "too few files");
            Ok(())
        });
        let worked = tokio::select! {
            worked = &mut uploading => Some(worked),
            _ = some_files => None,
        };
        library.kill()?;
        match worked {
            Some(worked) => worked?,
            None => uploading.await?,
        }
    }
    let _library = start_library(&cluster, &data).await?;
    wait::until("every upload", || async {
        server.pending().await?;
        ensure!(server.queue(".pending").is_empty(), "still waiting");
        Ok(())
    })
    .await?;
    wait::until("the whole list", || async {
        let list = cluster.client(0).get("getRecordings", "").await?;
        ensure!(list.texts("recordID").len() == formats.len(), "{}", list.body);
        Ok(())
    })
    .await?;
    for format in &formats {
        for (path, content) in &format.files {
            let url = format!("{edge}/presentation/{}/{}", format.id, path.replace(' ', "%20"));
            let answer = reqwest::get(&url).await?;
            ensure!(answer.status() == 200, "{url}: {}", answer.status());
            assert_eq!(answer.bytes().await?, content, "{url}");
        }
    }
    Ok(())
}
