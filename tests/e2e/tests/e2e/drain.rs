//! Servers are added and removed: admin states, draining, and the server list in Scalelite's YAML.

use anyhow::{Result, ensure};
use usher_harness::{
    programs::ProgramKind,
    servers::{self, SERVER_SECRET},
    standalone::RunningStandalone,
    wait,
};
use usher_proto::v1::{self, AdminState, Health};

/// Runs `usher …` against a standalone and returns its output.
async fn usher(of: &RunningStandalone, arguments: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new(ProgramKind::Usher.path()?);
    command.arg("--endpoint").arg(format!("http://{}", of.process.address("control"))).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{arguments:?}: {}\n{out}{err}", output.status);
    Ok(out.into_owned())
}

/// S5: a server is added disabled → it gets no meeting; it is enabled and a poll succeeds → it gets
/// meetings.
#[tokio::test]
async fn s5_a_new_server_takes_meetings_only_after_enable_and_a_good_poll() -> Result<()> {
    let standalone = RunningStandalone::start(0, &[]).await?;
    let sim = servers::start().await?;
    let admin = standalone.admin();
    let server =
        v1::Server { url: sim.url(), secret: SERVER_SECRET.into(), weight: 1.0, ..Default::default() };
    let added = admin.create_server("new", server).await?;
    assert_eq!(added.admin_state(), AdminState::Disabled);
    assert!(added.secret.is_empty(), "an answer does not carry the secret");
    let refused = standalone.client().create("too-early").await?;
    assert_eq!((refused.status, refused.key()), (200, "serverUnavailable"), "{}", refused.body);
    assert!(sim.meetings().is_empty());
    usher(&standalone, &["servers", "enable", "new"]).await?;
    wait::until("the server to be online", || async {
        ensure!(admin.server("new").await?.health() == Health::Online);
        Ok(())
    })
    .await?;
    standalone.client().created("in-time").await?;
    Ok(())
}

/// Every server is cordoned → creates get the retryable error, and the log names the reason that the
/// control plane gives, not once for each create.
#[tokio::test]
async fn with_every_server_cordoned_the_log_names_the_reason() -> Result<()> {
    let standalone = RunningStandalone::start(2, &[]).await?;
    for server in ["bbb-0", "bbb-1"] {
        usher(&standalone, &["servers", "cordon", server]).await?;
    }
    for number in 0..20 {
        let refused = standalone.client().create(&format!("none-{number}")).await?;
        assert_eq!((refused.status, refused.key()), (200, "serverUnavailable"), "{}", refused.body);
    }
    let logged: Vec<String> = standalone.process.output();
    let refusals: Vec<&String> =
        logged.iter().filter(|line| line.contains("a meeting was not placed")).collect();
    assert!((1..=3).contains(&refusals.len()), "{} lines for 20 creates", refusals.len());
    assert!(refusals.iter().all(|line| line.contains("pool_empty")), "{refusals:?}");
    assert!(!logged.iter().any(|line| line.contains("no control plane answers")));
    Ok(())
}

/// S6: a server with meetings is cordoned → it gets no new meeting, serves its own, and becomes
/// disabled after the last one ended.
#[tokio::test]
async fn s6_a_cordoned_server_drains_and_becomes_disabled() -> Result<()> {
    let standalone = RunningStandalone::start(2, &[]).await?;
    let (client, admin) = (standalone.client(), standalone.admin());
    for number in 0..8 {
        client.created(&format!("early-{number}")).await?;
    }
    let there: Vec<String> =
        standalone.sims[0].meetings().iter().map(|meeting| meeting.meeting_id.clone()).collect();
    assert!(!there.is_empty(), "some of eight meetings came to each of two servers");
    usher(&standalone, &["servers", "cordon", "bbb-0"]).await?;
    for number in 0..8 {
        client.created(&format!("late-{number}")).await?;
    }
    assert_eq!(standalone.sims[0].meetings().len(), there.len(), "no new meeting there");
    for id in &there {
        client.joined(id).await?;
    }
    let listed = client.get("getMeetings", "").await?;
    assert_eq!(listed.texts("meetingID").len(), 16, "{}", listed.body);
    let state = admin.server("bbb-0").await?.admin_state();
    assert_eq!(state, AdminState::Cordoned, "still {} meetings", there.len());
    for id in &there {
        let ended = client.get("end", &format!("meetingID={id}&password=mp")).await?;
        ensure!(ended.is_success(), "{}", ended.body);
    }
    wait::until("the empty server to be disabled", || async {
        let server = admin.server("bbb-0").await?;
        ensure!(server.admin_state() == AdminState::Disabled, "{:?}", server.admin_state());
        Ok(())
    })
    .await
}

/// S7: a server with a meeting is removed → the command fails, and the meeting can be joined.
#[tokio::test]
async fn s7_a_server_with_meetings_is_not_removed() -> Result<()> {
    let standalone = RunningStandalone::start(1, &[]).await?;
    standalone.client().created("held").await?;
    assert!(usher(&standalone, &["servers", "remove", "bbb-0", "--yes"]).await.is_err());
    assert_eq!(standalone.admin().servers().await?.len(), 1);
    standalone.client().joined("held").await?;
    Ok(())
}

/// S10: the same list is synchronized twice → the second run changes no server; a dry run writes no
/// key.
#[tokio::test]
async fn s10_sync_is_idempotent_and_a_dry_run_writes_no_key() -> Result<()> {
    let standalone = RunningStandalone::start(0, &[]).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("servers.yml");
    let yaml = "servers:\n  one:\n    url: \"http://127.0.0.1:1/bigbluebutton/api/\"\n    secret: \"s1\"\n    \
                load_multiplier: 2.0\n  two:\n    url: \"http://127.0.0.1:2/bigbluebutton/api/\"\n    secret: \"s2\"\n    enabled: false\n";
    std::fs::write(&file, yaml)?;
    let file = file.display().to_string();
    let admin = standalone.admin();
    usher(&standalone, &["servers", "sync", &file, "--dry-run"]).await?;
    assert!(admin.servers().await?.is_empty(), "a dry run writes no server");
    usher(&standalone, &["servers", "sync", &file]).await?;
    let first = admin.servers().await?;
    assert_eq!(first.len(), 2);
    usher(&standalone, &["servers", "sync", &file]).await?;
    let etags = |servers: &[v1::Server]| servers.iter().map(|server| server.etag.clone()).collect::<Vec<_>>();
    assert_eq!(etags(&first), etags(&admin.servers().await?), "the second time is a no-op");
    let two = admin.server("two").await?;
    assert_eq!(two.admin_state(), AdminState::Disabled, "`enabled: false` is kept");
    let exported = usher(&standalone, &["servers", "export"]).await?;
    assert!(exported.contains("load_multiplier: 2") && exported.contains("\"two\":"), "{exported}");
    Ok(())
}

/// S11: thirty polls of one server are requested at once → they share running polls, and neither
/// the schedule nor the counters change.
#[tokio::test]
async fn s11_polling_now_is_single_flight() -> Result<()> {
    let settings =
        [("health.interval", "60s"), ("health.deadline", "5s"), ("health.unhealthy_after", "360s")];
    let standalone = RunningStandalone::start(1, &settings).await?;
    let polls = || standalone.sims[0].calls().iter().filter(|call| call.name == "getMeetings").count();
    let before = polls();
    let admin = standalone.admin();
    futures::future::try_join_all((0..30).map(|_| admin.poll("bbb-0"))).await?;
    assert!(polls() > before, "it polled");
    assert!(polls() - before < 30, "{} polls for 30 requests at once", polls() - before);
    Ok(())
}
