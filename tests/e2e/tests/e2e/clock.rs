//! Wall clocks that jump under running programs; the monotonic clock continues (design 8).

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::FaultKind;
use usher_harness::{cluster::TestCluster, wait};
use usher_proto::v1::Health;

/// Returns the path of the library that shifts a program's wall clock.
pub(crate) fn faketime() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TEST_FAKETIME") {
        return Ok(named.into());
    }
    // The copy that `cargo xtask` unpacked, or that of the Debian package.
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/faketime");
    let mut found = [tools, ""].into_iter().flat_map(|root| {
        let lib = fs::read_dir(format!("{root}/usr/lib")).into_iter().flatten().flatten();
        lib.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
    });
    found
        .find(|library| library.is_file())
        .context("no libfaketime; `cargo xtask tools` brings it, or name it in TEST_FAKETIME")
}

/// All wall clocks jump ahead by an hour, back by an hour, and ahead by more than `zombie_ttl` → no
/// server becomes offline, the leader still leads, no record is removed and no zombie is abandoned.
#[tokio::test]
async fn wall_clocks_jump_without_effect() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let offset = folder.path().join("offset");
    fs::write(&offset, "+0")?;
    let cluster = TestCluster::builder()
        .environment("LD_PRELOAD", &faketime()?.display().to_string())
        .environment("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string())
        .environment("FAKETIME_NO_CACHE", "1")
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start()
        .await?;
    for number in 0..6 {
        cluster.client(0).created(&format!("known-{number}")).await?;
    }
    cluster.is_level().await?;
    // One server becomes offline, and one of its ids moves on: that leaves a zombie.
    let admin = cluster.admin(0);
    cluster.sims[0].faults().set(FaultKind::Refuse).await;
    wait::until("the server to be offline", || async {
        ensure!(admin.server("bbb-0").await?.health() == Health::Offline);
        Ok(())
    })
    .await?;
    let there: Vec<String> = cluster.sims[0].meetings().into_iter().map(|m| m.meeting_id).collect();
    let moved = there.first().context("a meeting lives there")?;
    wait::until("the id to move on", || async { cluster.client(0).created(moved).await }).await?;
    let leader = cluster.leader().await?;
    let records = admin.meetings().await?.len();
    for jump in ["+3600", "-3600", "+90000"] {
        fs::write(&offset, jump)?;
        let polls =
            |number: usize| cluster.sims[number].calls().iter().filter(|c| c.name == "getMeetings").count();
        let before = [polls(1), polls(2)];
        wait::until_within(Duration::from_secs(20), "some more polls and sweeps", || async {
            ensure!(polls(1) > before[0] + 4 && polls(2) > before[1] + 4);
            Ok(())
        })
        .await?;
        for id in ["bbb-1", "bbb-2"] {
            let server = admin.server(id).await?;
            assert_eq!((server.health(), server.error_count), (Health::Online, 0), "{jump}: {id}");
        }
        assert_eq!(admin.server("bbb-0").await?.zombies, 1, "{jump}: the zombie waits for its server");
        assert_eq!(admin.meetings().await?.len(), records, "{jump}: no record was given up");
        assert_eq!(cluster.leader().await?, leader, "{jump}");
        cluster.client(1).joined(moved).await?;
        cluster.client(1).created("new").await?;
        ensure!(cluster.client(0).get("end", "meetingID=new&password=mp").await?.is_success());
        wait::until("the ended meeting to be removed", || async {
            ensure!(admin.meetings().await?.len() == records);
            Ok(())
        })
        .await?;
    }
    cluster.sims[0].faults().clear().await;
    wait::until("the zombie to be ended at last", || async {
        let server = admin.server("bbb-0").await?;
        ensure!(server.zombies == 0 && server.health() == Health::Online, "{server:?}");
        Ok(())
    })
    .await?;
    // The clocks did jump: the server has been online since tomorrow.
    let since = admin.server("bbb-0").await?.health_since_time.context("a health has a time")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    ensure!(since.seconds - now > 80_000, "online since {}, now {now}", since.seconds);
    Ok(())
}
