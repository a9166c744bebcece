//! Joins at one edge on one core, beside a bare hyper server with a constant redirect as long.

use std::time::Duration;

use anyhow::{Context, Result};
use usher_harness::{client::BbbClient, cluster::Cluster};

use crate::{bare, load, pin, report::Report};

/// Known meetings whose joins are asked in turn.
const MEETINGS: usize = 1000;
const TIME: Duration = Duration::from_secs(6);

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let cluster = Cluster::builder()
        .control_planes(1)
        .edges(1)
        .servers(4)
        .set("placement.max_inflight_creates", "1000")
        .environment("TOKIO_WORKER_THREADS", "1")
        .start()
        .await?;
    let client = cluster.client(0);
    for number in 0..MEETINGS {
        client.created(&meeting(number)).await?;
    }
    let edge = &cluster.edges[0];
    pin::process(edge.pid(), pin::SERVER_CORE)?;
    let requests: Vec<String> = (0..MEETINGS).map(|number| request(&client, &meeting(number))).collect();

    let sample = client.fetch(&join_url(&client, &meeting(0))).await?;
    let location = sample.location.context("a join is a redirect")?;
    let bare = bare::start(location, sample.body)?;
    let constant = load::run(bare, requests.clone(), "HTTP/1.1 302", TIME)?;
    let joins = load::run(edge.address("listen"), requests, "HTTP/1.1 302", TIME)?;
    report.load("bare hyper server, constant 302", &constant, None);
    report.load("join at one edge, one core", &joins, Some(&constant));
    Ok(())
}

fn meeting(number: usize) -> String {
    format!("course-{number}-of-the-winter-semester")
}

fn join_url(client: &BbbClient, meeting: &str) -> String {
    let avatar = "https%3A%2F%2Fmoodle.example.org%2Favatar%2F42.png";
    let user = format!("fullName=Ada+Lovelace&userID=u-42&avatarURL={avatar}");
    client.url("join", &format!("{user}&meetingID={meeting}&password=mp"))
}

/// As an application's redirect makes a browser send it.
fn request(client: &BbbClient, meeting: &str) -> String {
    let url = join_url(client, meeting);
    let path = url.find("/bigbluebutton").map_or("/", |at| &url[at..]);
    format!("GET {path} HTTP/1.1\r\nhost: bbb.example.org\r\naccept: */*\r\n\r\n")
}
