//! Tests of several endpoints, of lost answers, and of addresses that are no control port.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use usher::{admin_client::AdminClient, args::GlobalOptions, args::OutputFormat};
use usher_harness::{
    certificates::generate,
    forwarder::SwitchingForwarder,
    link::{FaultyLink, LinkCondition},
};
use usher_proto::v1;

use crate::{
    fleet::{TestFleet, settings, until, usher},
    process,
};

fn options(endpoint: &[String]) -> GlobalOptions {
    GlobalOptions {
        endpoint: endpoint.to_vec(),
        token: None,
        ca: None,
        timeout: Duration::from_secs(20),
        output: OutputFormat::Table,
        yes: true,
    }
}

fn new_server(id: &str) -> v1::CreateServerRequest {
    let url = format!("http://{id}.test/bigbluebutton/api/");
    v1::CreateServerRequest {
        server: Some(v1::Server { url, secret: "s".into(), ..v1::Server::default() }),
        server_id: id.into(),
        validate_only: false,
        request_id: format!("request-{id}"),
    }
}

/// Breaks the connection of `link` after `is_done` and before the answer arrives. The connection that
/// carries the call closes before new ones are refused for the second time. The link is closed for a
/// moment only: the client gives up after four attempts.
async fn lose_answer(link: &FaultyLink, is_done: impl AsyncFn() -> Option<()>) {
    until("the call is carried out", || is_done()).await;
    link.set(LinkCondition::Closed);
    for _ in 0..2 {
        let refused = async || TcpStream::connect(link.address()).await.err().map(drop);
        until("the link is closed", refused).await;
    }
    link.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_and_a_removal_whose_answers_are_lost_succeed() {
    let fleet = TestFleet::start(0, &settings()).await;
    let control = fleet.standalone.addresses().control;
    let link = FaultyLink::start(control).expect("listens");
    let admin = AdminClient::connect(&options(&[link.address().to_string()])).await.expect("connects");
    let is_listed = async || fleet.usher("servers list -o json").await.out.contains("\"one\"");

    link.set(LinkCondition::NoAnswers);
    let mut servers = admin.servers();
    let (created, ()) = tokio::join!(
        servers.create_server(new_server("one")),
        lose_answer(&link, async || is_listed().await.then_some(()))
    );
    let created = created.expect("is the request's own server").into_inner().server.expect("is shown");
    assert_eq!(created.name, "servers/one");
    let foreign = v1::CreateServerRequest { request_id: "another".into(), ..new_server("one") };
    let refused = servers.create_server(foreign).await.expect_err("exists");
    assert_eq!(refused.code(), tonic::Code::AlreadyExists);

    link.set(LinkCondition::NoAnswers);
    let delete = v1::DeleteServerRequest { name: "servers/one".into(), etag: String::new() };
    let (deleted, ()) = tokio::join!(
        servers.delete_server(delete.clone()),
        lose_answer(&link, async || (!is_listed().await).then_some(()))
    );
    deleted.expect("the first request removed it");
    let missing = servers.delete_server(delete).await.expect_err("is gone");
    assert_eq!(missing.code(), tonic::Code::NotFound);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_answer_is_lost_is_reported_as_unknown() {
    let fleet = TestFleet::start(0, &settings()).await;
    let link = FaultyLink::start(fleet.standalone.addresses().control).expect("listens");
    let admin = AdminClient::connect(&options(&[link.address().to_string()])).await.expect("connects");
    admin.servers().create_server(new_server("one")).await.expect("is created");
    let server = v1::Server { name: "servers/one".into(), weight: 2.0, ..v1::Server::default() };
    let update = v1::UpdateServerRequest { server: Some(server), ..v1::UpdateServerRequest::default() };
    link.set(LinkCondition::NoAnswers);
    let mut servers = admin.servers();
    let (updated, ()) = tokio::join!(
        servers.update_server(update),
        lose_answer(&link, async || {
            let list = fleet.usher("servers list -o json").await.json();
            (list[0]["weight"] == 2.0).then_some(())
        })
    );
    let lost = updated.expect_err("the answer is lost");
    assert!(lost.message().contains("unknown whether"), "{lost:?}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_endpoint_serves_when_one_is_dead_silent_or_breaks() {
    let fleet = TestFleet::start(0, &settings()).await;
    let control = fleet.standalone.addresses().control;
    let link = FaultyLink::start(control).expect("listens");
    let at = link.address();
    for condition in [LinkCondition::Closed, LinkCondition::Cut, LinkCondition::NoAnswers] {
        link.set(condition);
        let start = Instant::now();
        let said = usher(&format!("--endpoint http://{at} --endpoint http://{control} status -o json")).await;
        assert_eq!(said.code, 0, "{condition:?}: {said:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{condition:?}: {:?}", start.elapsed());
        link.heal();
    }
    // The connection breaks between two calls of one command.
    let endpoints = [at.to_string(), control.to_string()];
    let admin = AdminClient::connect(&options(&endpoints)).await.expect("connects");
    link.set(LinkCondition::Cut);
    admin.all_servers().await.expect("the second endpoint answers");
    link.heal(); // the server waits at its end for connections that are silent
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_no_control_port_is_named() {
    let fleet = TestFleet::start(0, &settings()).await;
    let at = fleet.standalone.addresses();
    let api = usher(&format!("--endpoint http://{} servers list", at.listen)).await;
    assert_eq!(api.code, 2, "{api:?}");
    assert!(api.error.contains("is no control port") && !api.error.contains("compression"), "{api:?}");
    let ops = usher(&format!("--endpoint http://{} servers list", at.ops)).await;
    assert!(ops.code != 0 && ops.error.contains("control port"), "{ops:?}");
    let both = usher(&format!("--endpoint http://{},http://{} servers list", at.listen, at.control)).await;
    assert_eq!(both.code, 0, "{both:?}");
    let none = usher("--endpoint 127.0.0.1:1,127.0.0.1:2 servers list").await;
    assert_eq!(none.code, 3, "{none:?}");
    for text in ["127.0.0.1:1: ", "127.0.0.1:2: ", "is it running?"] {
        assert!(none.error.contains(text), "{text}: {none:?}");
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_trusts_the_cas_of_the_system() {
    let fleet = TestFleet::start(0, &settings()).await;
    let directory = tempfile::tempdir().expect("is made");
    let files = generate(directory.path()).expect("is made");
    let proxy = SwitchingForwarder::start_tls(&files).await.expect("listens");
    proxy.lead_to([fleet.standalone.addresses().control]);
    let mut command = process::usher(&["--endpoint", &proxy.url(), "servers", "list"]);
    command.env("SSL_CERT_FILE", &files.ca).env_remove("SSL_CERT_DIR");
    let trusted = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
    assert!(trusted.status.success(), "{trusted:?}");
    fleet.stop().await;
}
