//! `usher migrate scalelite`: the servers, tenants and meetings of a live Scalelite are imported
//! without ending a meeting. Its Redis is real.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use anyhow::{Result, ensure};
use serde_json::Value;
use usher_bbb_sim::BbbSim;
use usher_harness::{
    client::BbbTestClient,
    cluster::TestCluster,
    programs::ProgramKind,
    redis::RedisServer,
    scalelite::{FakeScalelite, ScaleliteTenant},
    servers,
    standalone::RunningStandalone,
    wait,
};

const SCHOOL: ScaleliteTenant<'_> =
    ScaleliteTenant { id: "0f5e3c1a-aa", name: "school", secrets: "school-old:school-new" };
const UNI: ScaleliteTenant<'_> = ScaleliteTenant { id: "0f5e3c1a-bb", name: "uni", secrets: "uni-secret" };

/// Returns the command `usher migrate scalelite … --output json` against a control plane.
fn command(control: SocketAddr, redis: &str) -> Result<Command> {
    let mut command = Command::new(ProgramKind::Usher.path()?);
    command.arg("--endpoint").arg(format!("http://{control}")).env("REDIS_URL", redis);
    command.args(["--output", "json", "migrate", "scalelite"]);
    Ok(command)
}

/// Runs the command against a standalone.
async fn migrate(to: &RunningStandalone, redis: &str, more: &[&str]) -> Result<Output> {
    let mut command = command(to.process.address("control"), redis)?;
    command.args(more);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// Runs [`migrate`] and requires success; returns the changes as `action kind name`.
async fn migrated(to: &RunningStandalone, redis: &str, more: &[&str]) -> Result<Vec<String>> {
    done(migrate(to, redis, more).await?)
}

fn done(output: Output) -> Result<Vec<String>> {
    let (out, error) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{}\n{out}{error}", output.status);
    rows(&out)
}

fn rows(out: &str) -> Result<Vec<String>> {
    let rows: Vec<Value> = serde_json::from_str(out)?;
    Ok(rows
        .iter()
        .map(|row| format!("{} {} {}", row["action"], row["kind"], row["name"]).replace('"', ""))
        .collect())
}

/// Returns the internal id of every running instance.
fn running(sims: &[BbbSim]) -> Vec<String> {
    let meetings = sims.iter().flat_map(BbbSim::meetings);
    meetings.filter(|meeting| !meeting.ending).map(|meeting| meeting.internal_id).collect()
}

fn assert_none_ended(sims: &[BbbSim], before: &[String]) {
    assert_eq!(running(sims), before);
    for sim in sims {
        assert!(
            sim.calls().iter().all(|call| call.name != "end" && call.name != "create"),
            "{:?}",
            sim.calls()
        );
    }
}

/// Checks that a join is redirected to `sim`, into the instance `internal_id`.
async fn joins(client: &BbbTestClient, id: &str, sim: &BbbSim, internal_id: &str) -> Result<()> {
    wait::until(&format!("a join of {id}"), || async {
        let location = client.joined(id).await?;
        ensure!(location.starts_with(sim.base()), "{location}");
        let landed = client.fetch(&location).await?;
        ensure!(landed.status == 302 || landed.is_success(), "{} {}", landed.status, landed.body);
        let there = sim.meetings().into_iter().find(|meeting| meeting.internal_id == internal_id);
        ensure!(
            there.is_some_and(|meeting| meeting.users.contains(&"Ada".to_owned())),
            "the user did not join"
        );
        Ok(())
    })
    .await
}

/// S10: a Scalelite with three servers and several meetings is imported after a dry run → the dry
/// run changes no data, the import reads Redis only, and a second import changes no data.
#[tokio::test]
async fn s10_a_live_scalelite_is_imported_and_a_second_run_is_idempotent() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let sims = [servers::start().await?, servers::start().await?, servers::start().await?];
    scalelite.add_server("bbb-one", &sims[0], "enabled", "0.5").await?;
    scalelite.add_server("bbb-two", &sims[1], "cordoned", "0.1e1").await?;
    scalelite.add_server("bbb-off", &sims[2], "disabled", "1.0").await?;
    let one = scalelite.create("room-1", ("bbb-one", &sims[0]), None).await?;
    let two = scalelite.create("b%20%2F+%C3%A9", ("bbb-two", &sims[1]), None).await;
    // Redis has the id as the application wrote it, decoded.
    drop(two?);
    scalelite.write("DEL", "meeting:b%20%2F+%C3%A9", &[]).await?;
    scalelite.map("b / é", "bbb-two", None).await?;
    scalelite.map("stale", "bbb-one", None).await?;
    scalelite.write("SADD", "meetings", &["expired"]).await?;
    let before = running(&sims);
    sims.iter().for_each(BbbSim::forget_calls);

    let usher = RunningStandalone::start(0, &[]).await?;
    let url = scalelite.redis.url();
    let planned = migrated(&usher, url, &["--dry-run"]).await?;
    let create = ["create server bbb-off", "create server bbb-one", "create server bbb-two"];
    let adopt =
        ["adopt meeting default/room-1", "adopt meeting default/stale", "adopt meeting default/b / é"];
    assert_eq!(planned, [create, adopt].concat());
    assert!(usher.admin().servers().await?.is_empty(), "a dry run changes nothing");
    assert!(sims.iter().all(|sim| sim.calls().is_empty()), "and calls no server");

    scalelite.redis.forget_commands().await?;
    let done = migrated(&usher, url, &[]).await?;
    let adopted =
        ["adopt meeting default/room-1", "adopt meeting default/b / é", "note meeting default/stale"];
    assert_eq!(done, [create, adopted].concat());
    for command in scalelite.redis.commands().await? {
        assert!(["hgetall", "smembers", "zrange"].contains(&command.as_str()), "`{command}` was given");
    }
    let client = usher.client();
    joins(&client, "room-1", &sims[0], &one).await?;
    let answer = client.get("getMeetingInfo", "meetingID=b+%2F+%C3%A9").await?;
    assert!(answer.is_success(), "{}", answer.body);
    assert_eq!(client.join("stale").await?.status, 200, "a meeting that does not run has no record");
    let servers = usher.admin().servers().await?;
    let weights: Vec<_> = servers.iter().map(|server| (server.name.as_str(), server.weight)).collect();
    assert_eq!(weights, [("servers/bbb-off", 1.0), ("servers/bbb-one", 2.0), ("servers/bbb-two", 1.0)]);

    let again = migrated(&usher, url, &[]).await?;
    assert_eq!(again, ["note meeting default/stale"], "only the wrong entry of Redis");
    assert_none_ended(&sims, &before);
    Ok(())
}

/// A Scalelite with two tenants is imported → their secrets, settings and meetings are kept, each
/// call reaches the running meeting, and new meetings get scoped ids.
#[tokio::test]
async fn tenants_keep_their_secrets_their_settings_and_their_meetings() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let sims = [servers::start().await?, servers::start().await?];
    scalelite.add_server("a", &sims[0], "enabled", "1.0").await?;
    scalelite.add_server("b", &sims[1], "enabled", "1.0").await?;
    scalelite.add_tenant(SCHOOL).await?;
    scalelite.add_tenant(UNI).await?;
    scalelite.add_setting(SCHOOL.id, "s1", "record", "false", true).await?;
    let school = scalelite.create("room", ("a", &sims[0]), Some(&SCHOOL)).await?;
    let uni = scalelite.create("42", ("b", &sims[1]), Some(&UNI)).await?;
    // With this load, `a` would be chosen for new meetings.
    assert!(sims[1].set_crowd("42", 400));
    let before = running(&sims);
    sims.iter().for_each(BbbSim::forget_calls);

    let usher = RunningStandalone::start(0, &[]).await?;
    let done = migrated(&usher, scalelite.redis.url(), &["--url-host", "bbb.example.test"]).await?;
    assert_eq!(done[..2], ["create tenant school", "create tenant uni"]);
    let adopted: Vec<_> = done.iter().filter(|row| row.starts_with("adopt")).collect();
    assert_eq!(adopted, ["adopt meeting school/room", "adopt meeting uni/42"]);
    let by_path = usher.client().for_tenant("school", "school-old");
    let by_host = usher.client().with_host("school.bbb.example.test").with_secret("school-new");
    joins(&by_path, "room", &sims[0], &school).await?;
    joins(&by_host, "room", &sims[0], &school).await?;
    let uni_client = usher.client().for_tenant("uni", "uni-secret");
    joins(&uni_client, "42", &sims[1], &uni).await?;
    assert_none_ended(&sims, &before);

    // Every call of the tenant reaches the meeting under the id that its server knows.
    let info = by_path.get("getMeetingInfo", "meetingID=room").await?;
    assert_eq!(
        (info.text("meetingID"), info.text("internalMeetingID")),
        (Some("room"), Some(school.as_str()))
    );
    let by_instance = by_path.get("getMeetingInfo", &format!("meetingID={school}")).await?;
    assert!(by_instance.is_success(), "{}", by_instance.body);
    let listed = by_path.get("getMeetings", "").await?;
    assert_eq!(listed.texts("internalMeetingID"), [school.as_str()], "{}", listed.body);
    let again = by_path.created("room").await?;
    assert_eq!(again.text("internalMeetingID"), Some(school.as_str()), "a create of it finds it");
    for (stranger, id) in [(usher.client(), "room"), (uni_client.clone(), "room"), (by_path.clone(), "42")] {
        assert_eq!(stranger.join(id).await?.status, 200, "{id} is another tenant's");
        assert!(!stranger.get("getMeetings", "").await?.body.contains(&format!("<meetingID>{id}<")));
    }
    // A meeting of another tenant with the same id is created beside it.
    wait::until("a server that takes meetings", || async { usher.client().created("room").await.map(drop) })
        .await?;
    let rooms = |sim: &BbbSim| sim.meetings().iter().filter(|meeting| meeting.meeting_id == "room").count();
    assert_eq!((rooms(&sims[0]), rooms(&sims[1])), (1, 1), "never where the other is called so");
    assert!(by_path.get("end", "meetingID=room&password=mp").await?.is_success());
    assert_eq!(rooms(&sims[1]), 1, "and is not ended with it");
    // New meetings are scoped, also under an id that ran before.
    for id in ["new", "room"] {
        by_path.created(id).await?;
        let scoped = format!("school~{id}");
        assert!(sims.iter().flat_map(BbbSim::meetings).any(|meeting| meeting.meeting_id == scoped), "{id}");
    }
    Ok(())
}

/// One entry of Redis names a meeting that does not run, another one that ends later → the first
/// gets no record, and the record of the second is removed.
#[tokio::test]
async fn a_wrong_entry_leaves_no_record_and_an_ended_meeting_loses_its_own() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let sims = [servers::start().await?];
    scalelite.add_server("a", &sims[0], "enabled", "1.0").await?;
    scalelite.add_tenant(SCHOOL).await?;
    let ends = scalelite.create("ends", ("a", &sims[0]), Some(&SCHOOL)).await?;
    scalelite.map("never-was", "a", Some(&SCHOOL)).await?;
    let usher = RunningStandalone::start(0, &[]).await?;
    migrated(&usher, scalelite.redis.url(), &[]).await?;
    let meetings = async || -> Result<Vec<String>> {
        let all = usher.admin().meetings().await?;
        Ok(all.into_iter().map(|meeting| meeting.name).collect())
    };
    assert_eq!(meetings().await?, ["tenants/school/meetings/ends"]);
    assert!(sims[0].end_meeting(&ends));
    wait::until("the record to go", || async {
        let left = meetings().await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

/// Usher already has the servers, a tenant and a meeting with other values → the differences are
/// reported as conflicts and stay as they are, and no secret is printed.
#[tokio::test]
async fn differences_are_reported_and_left_unchanged() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    let client = usher.client();
    let scalelite = FakeScalelite::start().await?;
    // Usher knows `bbb-0` by this id, and the other server by its URL.
    scalelite.add_server("bbb-0", &usher.sims[0], "enabled", "2.0").await?;
    scalelite.add_server("other-name", &usher.sims[1], "enabled", "1.0").await?;
    scalelite.add_tenant(ScaleliteTenant { id: "t", name: "default", secrets: "not-ours" }).await?;
    client.created("split").await?;
    let home = usher.sims[0].meetings().iter().any(|meeting| meeting.meeting_id == "split");
    let (name, sim) = if home { ("other-name", &usher.sims[1]) } else { ("bbb-0", &usher.sims[0]) };
    scalelite.create("split", (name, sim), None).await?;
    scalelite.create("fine", ("other-name", &usher.sims[1]), None).await?;
    let output = migrate(&usher, scalelite.redis.url(), &[]).await?;
    let (out, error) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(1), "{out}{error}");
    assert_eq!(
        rows(&out)?,
        [
            "adopt meeting default/fine",
            "conflict tenant default",
            "note server bbb-0",
            "conflict meeting default/split"
        ]
    );
    assert!(!format!("{out}{error}").contains("not-ours"), "no secret is printed");
    let servers = usher.admin().servers().await?;
    assert!(servers.len() == 2 && servers.iter().all(|server| server.weight == 1.0));
    assert!(client.get("getMeetingInfo", "meetingID=fine").await?.is_success());
    assert!(client.with_secret("not-ours").get("getMeetings", "").await?.key() == "checksumError");
    Ok(())
}

/// A server is unreachable during an import → it is a conflict; it returns → the next run imports
/// its meeting, and a third run changes no data.
#[tokio::test]
async fn an_import_that_was_cut_short_is_finished_by_the_next_run() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let mut sims = vec![servers::start().await?];
    scalelite.add_server("a", &sims[0], "enabled", "1.0").await?;
    scalelite.create("first", ("a", &sims[0]), None).await?;
    // The second server refuses connections.
    let away = servers::start().await?;
    scalelite.add_server("b", &away, "enabled", "1.0").await?;
    scalelite.create("second", ("b", &away), None).await?;
    away.faults().set(usher_bbb_sim::FaultKind::Refuse).await;
    sims.push(away);
    let usher = RunningStandalone::start(0, &[]).await?;
    let output = migrate(&usher, scalelite.redis.url(), &[]).await?;
    let out = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(rows(&out)?.contains(&"conflict server b".to_owned()), "{out}");
    sims[1].faults().clear().await;
    let rest = migrated(&usher, scalelite.redis.url(), &[]).await?;
    assert_eq!(rest, ["adopt meeting default/second"]);
    assert_eq!(migrated(&usher, scalelite.redis.url(), &[]).await?, Vec::<String>::new());
    Ok(())
}

/// The address, password or permissions of a Redis are wrong → the message names the Redis and the
/// remedy, without the password.
#[tokio::test]
async fn a_redis_that_cannot_be_used_is_named_with_a_remedy_and_without_its_password() -> Result<()> {
    let usher = RunningStandalone::start(0, &[]).await?;
    let redis = RedisServer::start_on_port("open-sesame").await?;
    let good = redis.url().to_owned();
    let wrong = good.replace("open-sesame", "hunter2");
    let without = good.replace(":open-sesame@", "");
    let nobody = "redis://:hunter2@127.0.0.1:1";
    let cases = [
        (wrong.as_str(), 4, "not accepted"),
        (&without, 4, "not accepted"),
        (nobody, 3, "127.0.0.1:1"),
        ("redis://:hunter2@127.0.0.1:1/x", 2, "--redis"),
        ("http://:hunter2@127.0.0.1:1", 2, "--redis"),
        (&good, 1, "--namespace"),
        ("unix:///nonexistent/redis.sock", 3, "/nonexistent/redis.sock"),
    ];
    for (url, code, reported) in cases {
        let output = migrate(&usher, url, &[]).await?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(code), "{url}: {said}");
        assert!(said.contains(reported), "{url}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("sesame"), "{url}: {said}");
    }

    // A user with read permissions is sufficient; without one of them, the message names it.
    let scalelite = FakeScalelite::on(redis);
    let sim = servers::start().await?;
    scalelite.add_server("a", &sim, "enabled", "1.0").await?;
    let acl = |user: &'static str, rules: &'static [&'static str]| {
        let words = [&["ACL", "SETUSER", user, "on", ">pw", "~scalelite:*", "-@all"], rules].concat();
        let redis = &scalelite.redis;
        async move { redis.command(&words).await }
    };
    acl("reader", &["+smembers", "+zrange", "+hgetall"]).await?;
    acl("nearly", &["+smembers", "+zrange"]).await?;
    let reader = good.replace(":open-sesame", "reader:pw");
    assert_eq!(migrated(&usher, &reader, &[]).await?, ["create server a"]);
    let output = migrate(&usher, &good.replace(":open-sesame", "nearly:pw"), &[]).await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(
        output.status.code() == Some(4) && said.contains("`scalelite:") && said.contains("+hgetall"),
        "{said}"
    );
    Ok(())
}

/// Keys of Redis are missing, malformed or of the wrong type → each is a conflict by name, and the
/// valid entries are imported.
#[tokio::test]
async fn malformed_keys_are_named_and_the_rest_is_imported() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let sim = servers::start().await?;
    scalelite.add_server("good", &sim, "enabled", "1.0").await?;
    scalelite.create("room", ("good", &sim), None).await?;
    scalelite.add_server("no-secret", &sim, "enabled", "1.0").await?;
    scalelite.write("HDEL", "server:no-secret", &["secret"]).await?;
    scalelite.add_server("odd-state", &sim, "retired", "many").await?;
    scalelite.write("SADD", "servers", &["gone", "a/b"]).await?;
    scalelite.write("SET", "server:text", &["x"]).await?;
    scalelite.write("SADD", "servers", &["text"]).await?;
    scalelite.map("homeless", "removed", None).await?;
    scalelite.map("whose", "good", Some(&UNI)).await?;
    scalelite.write("SET", "meeting:text", &["x"]).await?;
    scalelite.write("SADD", "meetings", &["text"]).await?;
    scalelite.write("SADD", "tenants", &["t"]).await?;
    scalelite.write("HSET", "tenant:t", &["name", "schön", "secrets", "hunter2"]).await?;
    let usher = RunningStandalone::start(0, &[]).await?;
    let output = migrate(&usher, scalelite.redis.url(), &[]).await?;
    let (out, error) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(1), "{out}{error}");
    let rows = rows(&out)?;
    for row in ["create server good", "adopt meeting default/room"] {
        assert!(rows.contains(&row.to_owned()), "{row}: {rows:#?}");
    }
    for key in [
        "server:no-secret",
        "server:odd-state",
        "server:gone",
        "server:a/b",
        "server:text",
        "meeting:homeless",
        "meeting:whose",
        "meeting:text",
        "tenant:t",
    ] {
        assert!(rows.contains(&format!("conflict key scalelite:{key}")), "{key}: {rows:#?}");
    }
    assert!(!out.contains("hunter2") && !error.contains("hunter2"));
    let foreign = FakeScalelite::start().await?;
    foreign.write("SET", "servers", &["x"]).await?;
    let said = migrate(&usher, foreign.redis.url(), &[]).await?;
    let reported = String::from_utf8(said.stderr)?;
    assert!(said.status.code() == Some(1) && reported.contains("`scalelite:servers`"), "{reported}");
    Ok(())
}

/// Two operators import 160 meetings at a cluster at the same time → each change is made once, and
/// every edge serves the meetings after all control planes were killed.
#[tokio::test]
async fn on_a_cluster_every_edge_serves_imported_meetings_without_a_control_plane() -> Result<()> {
    let scalelite = FakeScalelite::start().await?;
    let sims = [servers::start().await?, servers::start().await?];
    scalelite.add_server("a", &sims[0], "enabled", "1.0").await?;
    scalelite.add_server("b", &sims[1], "enabled", "1.0").await?;
    scalelite.add_tenant(SCHOOL).await?;
    // More meetings than one request may contain.
    let (mut plain, mut bare) = (Vec::new(), Vec::new());
    for number in 0..120 {
        let instance = scalelite.create(&format!("plain-{number}"), ("a", &sims[0]), None).await?;
        plain.push(instance);
    }
    for number in 0..40 {
        let instance = scalelite.create(&format!("bare-{number}"), ("b", &sims[1]), Some(&SCHOOL)).await?;
        bare.push(instance);
    }
    let before = running(&sims);
    sims.iter().for_each(BbbSim::forget_calls);
    let mut cluster = TestCluster::builder().servers(0).start().await?;
    let mut commands = (0..2).map(|plane| command(cluster.control_address(plane), scalelite.redis.url()));
    // Two concurrent imports: each change is made once.
    let (one, other) = (commands.next().expect("two")?, commands.next().expect("two")?);
    let both = [one, other].map(|mut command| tokio::task::spawn_blocking(move || command.output()));
    for output in both {
        done(output.await??)?;
    }
    let mut again = command(cluster.control_address(0), scalelite.redis.url())?;
    let left = done(tokio::task::spawn_blocking(move || again.output()).await??)?;
    assert_eq!(left, Vec::<String>::new());
    cluster.is_level().await?;
    for process in &mut cluster.control_planes {
        process.kill()?;
    }
    for edge in 0..2 {
        let client = cluster.client(edge);
        let school = client.clone().for_tenant("school", "school-new");
        joins(&client, "plain-0", &sims[0], &plain[0]).await?;
        joins(&client, "plain-119", &sims[0], &plain[119]).await?;
        joins(&school, "bare-39", &sims[1], &bare[39]).await?;
    }
    assert_none_ended(&sims, &before);
    Ok(())
}

/// Redis requires TLS with a certificate of a private CA → the import fails without the CA and
/// succeeds with it.
#[tokio::test]
async fn an_encrypted_redis_is_read_where_its_authority_is_trusted() -> Result<()> {
    let (redis, url, ca) = RedisServer::start_encrypted().await?;
    let scalelite = FakeScalelite::on(redis);
    let sim = servers::start().await?;
    scalelite.add_server("a", &sim, "enabled", "1.0").await?;
    let usher = RunningStandalone::start(0, &[]).await?;
    let control = usher.process.address("control");
    let run = async |trusted: bool| -> Result<Output> {
        let mut command = command(control, &url)?;
        if trusted {
            command.env("SSL_CERT_FILE", &ca);
        }
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    };
    let stranger = run(false).await?;
    let said = String::from_utf8(stranger.stderr)?;
    assert!(stranger.status.code() == Some(3) && said.contains("certificate"), "{said}");
    assert_eq!(done(run(true).await?)?, ["create server a"]);
    Ok(())
}
