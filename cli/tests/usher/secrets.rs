//! I14: no log line of Usher has a secret, a checksum or a join URL, at any log level.

use std::process::Stdio;

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};

use crate::process::{address, standalone, terminate, usher};

#[tokio::test(flavor = "multi_thread")]
async fn i14_no_log_line_holds_a_secret_a_checksum_or_a_password() {
    let sim =
        usher_bbb_sim::BbbSim::start(usher_bbb_sim::SimOptions::new("server-hunter2")).await.expect("starts");
    let mut command = usher(&["standalone", "--secret", "tenant-hunter2"]);
    // The log is read while the program runs: a full pipe would stop it.
    let log = tempfile::NamedTempFile::new().expect("is made");
    command.stderr(Stdio::from(log.reopen().expect("opens")));
    command.env("USHER_ADMIN__TOKEN", "token-hunter2").env("USHER_TELEMETRY__LOG", "trace");
    let (child, _out, ready) = standalone(&mut command);
    let control = address(&ready, "control");
    let admin = |args: &[&str]| {
        let output =
            usher(&[&["--endpoint", control.as_str(), "--token", "token-hunter2"], args].concat()).output();
        output.expect("runs")
    };
    let added =
        admin(&["servers", "add", &sim.url(), "--secret", "server-hunter2", "--id", "one", "--enable"]);
    assert!(added.status.success(), "{added:?}");
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("is built");
    let api = address(&ready, "api");
    let call = async |call: &str, query: &str| {
        let signed =
            sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &Secret::new("tenant-hunter2"));
        client.get(format!("{api}{call}?{signed}")).send().await.expect("is answered")
    };
    crate::fleet::until("a create succeeds", async || {
        admin(&["servers", "poll"]);
        let answer =
            call("create", "meetingID=room&name=Room&attendeePW=hunter2-ap&moderatorPW=hunter2-mp").await;
        answer.text().await.expect("is text").contains("<returncode>SUCCESS").then_some(())
    })
    .await;
    let join = call("join", "meetingID=room&fullName=A&password=hunter2-ap").await;
    assert_eq!(join.status(), 302);
    call("getMeetingInfo", "meetingID=room").await;
    call("end", "meetingID=room&password=hunter2-mp").await;
    terminate(child);
    let log = std::fs::read_to_string(log.path()).expect("is read");
    assert!(log.contains("TRACE") && log.contains("control plane started"), "the log is on");
    let telling: Vec<&str> =
        log.lines().filter(|line| line.contains("hunter2") || line.contains("checksum=")).take(5).collect();
    assert!(telling.is_empty(), "{telling:#?}");
    sim.stop().await;
}
