//! S10: a list of servers that lost its entries, or has other ids for them, does not take a server
//! from its meetings.

use std::{path::Path, process::Output};

use anyhow::{Context, Result, ensure};
use usher_harness::programs::ProgramKind;
use usher_proto::v1::AdminState;

use crate::site::UsherSite;

/// Runs `usher servers sync` with a list, as an operator's script does.
async fn sync(site: &UsherSite, folder: &Path, list: &str, options: &[&str]) -> Result<Output> {
    let file = folder.join("servers.yml");
    std::fs::write(&file, list)?;
    let mut usher = tokio::process::Command::new(ProgramKind::Usher.path()?);
    usher.args(["servers", "sync"]).arg(&file).args(["--yes", "--endpoint"]);
    usher.arg(format!("http://{}", site.control())).args(options).kill_on_drop(true);
    usher.output().await.context("usher runs")
}

async fn a_list_takes_no_server_from_its_meetings(site: &UsherSite) -> Result<()> {
    let (client, admin) = (site.client(), site.admin());
    for number in 0..6 {
        client.created(&format!("room-{number}")).await?;
    }
    let before = site.running();
    let folder = tempfile::tempdir()?;
    let url = site.sims()[0].url();
    let other_ids = format!("servers:\n  other:\n    url: \"{url}\"\n    secret: \"s\"\n");
    for (list, why) in [("servers:\n", "--allow-shrink 100%"), (&other_ids, "`bbb-0`")] {
        for mode in ["keep", "cordon", "force"] {
            if (list, mode) == ("servers:\n", "keep") {
                continue; // the mode `keep` removes no server and reports no error here
            }
            let refused = sync(site, folder.path(), list, &["--mode", mode]).await?;
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            ensure!(refused.status.code() == Some(1) && said.contains(why), "{mode}: {said}");
        }
    }
    for server in admin.servers().await? {
        assert_eq!(server.admin_state(), AdminState::Enabled, "{}", server.name);
    }
    assert_eq!(site.running(), before, "and every meeting runs on");
    for number in 0..6 {
        client.joined(&format!("room-{number}")).await?;
    }
    Ok(())
}

/// S10: on etcd, a list without entries, and one with other ids, are synchronized in every mode →
/// the command refuses, every server stays enabled, and the meetings run.
#[tokio::test(flavor = "multi_thread")]
async fn s10_a_list_takes_no_server_from_its_meetings_on_etcd() -> Result<()> {
    a_list_takes_no_server_from_its_meetings(&UsherSite::on_etcd(&[]).await?).await
}

/// S10: on the embedded store, a list without entries, and one with other ids, are synchronized in
/// every mode → the command refuses, every server stays enabled, and the meetings run.
#[tokio::test(flavor = "multi_thread")]
async fn s10_a_list_takes_no_server_from_its_meetings_on_the_embedded_store() -> Result<()> {
    a_list_takes_no_server_from_its_meetings(&UsherSite::embedded(&[]).await?).await
}
