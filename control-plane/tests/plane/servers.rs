//! Administration of servers.

use prost_types::FieldMask;
use tonic::Code;
use tonic_types::StatusExt;
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_proto::v1::*;

use crate::bench::{Bench, until};

fn name(id: &str) -> String {
    format!("servers/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_new_server_is_disabled_and_takes_meetings_after_enable_and_one_good_poll() {
    let mut bench = Bench::with_servers(0).await;
    bench.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
    let server = bench.add("bbb1", &bench.sims[0], AdminState::Unspecified).await;
    assert_eq!((server.admin_state(), server.secret.as_str()), (AdminState::Disabled, ""));
    assert_eq!(bench.place("room").await.expect_err("is disabled").code(), Code::Unavailable);
    assert!(bench.sims[0].calls().is_empty(), "a disabled server is not polled");
    let enabled =
        bench.servers().enable_server(EnableServerRequest { name: name("bbb1"), etag: String::new() }).await;
    assert_eq!(
        enabled.expect("is enabled").into_inner().server.map(|s| s.admin_state()),
        Some(AdminState::Enabled)
    );
    bench.until_health("bbb1", Health::Online).await;
    assert_eq!(bench.create("room").await, "bbb1");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_cordoned_server_keeps_its_meetings_gets_no_new_ones_and_is_disabled_when_empty() {
    let bench = Bench::with_servers(2).await;
    let home = bench.create("last").await;
    bench
        .servers()
        .cordon_server(CordonServerRequest { name: name(&home), etag: String::new() })
        .await
        .expect("is cordoned");
    for number in 0..10 {
        let placed = bench.place(&format!("new-{number}")).await.expect("placed");
        assert_ne!(placed.server.expect("is named").id, home);
    }
    assert!(bench.place("last").await.expect("is known").existing);
    bench.sim(&home).forget_calls();
    until("a poll", async || (!bench.sim(&home).calls().is_empty()).then_some(())).await;
    bench.sim(&home).end_meeting("last");
    until("it to be disabled", async || {
        (bench.server(&home).await.admin_state() == AdminState::Disabled).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_server_with_meetings_is_removed_only_after_drain_or_panic() {
    let bench = Bench::with_servers(2).await;
    let home = bench.create("room").await;
    let delete = || DeleteServerRequest { name: name(&home), etag: String::new() };
    let status = bench.servers().delete_server(delete()).await.expect_err("meetings live there");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.get_details_error_info().map(|info| info.reason).as_deref(),
        Some("SERVER_HAS_MEETINGS")
    );
    let status =
        bench.servers().disable_server(DisableServerRequest { name: name(&home), etag: String::new() }).await;
    assert_eq!(status.expect_err("meetings live there").code(), Code::FailedPrecondition);
    let panicked =
        bench.servers().panic_server(PanicServerRequest { name: name(&home), etag: String::new() }).await;
    assert_eq!(panicked.expect("panics").into_inner().freed_meetings, 1);
    assert_ne!(bench.create("room").await, home, "the id is free at once");
    bench.servers().delete_server(delete()).await.expect("is empty");
    let gone = bench.servers().get_server(GetServerRequest { name: name(&home), view: 0 }).await;
    assert_eq!(gone.expect_err("is gone").code(), Code::NotFound);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_only_to_those_who_ask() {
    let bench = Bench::with_servers(1).await;
    let list = bench.servers().list_servers(ListServersRequest::default()).await.expect("lists");
    assert!(list.into_inner().servers.iter().all(|server| server.secret.is_empty()));
    let mut reveal = GetServerRequest { name: name("bbb1"), view: 0 };
    reveal.set_view(ServerView::RevealSecret);
    let shown = bench.servers().get_server(reveal).await.expect("is known").into_inner().server;
    assert_eq!(shown.map(|server| server.secret).as_deref(), Some("server-secret"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_the_fields_of_its_mask_and_checks_the_etag() {
    let bench = Bench::with_servers(1).await;
    let old = bench.server("bbb1").await;
    let update = |etag: &str, weight: f64| UpdateServerRequest {
        server: Some(Server { name: name("bbb1"), weight, etag: etag.into(), ..Server::default() }),
        update_mask: Some(FieldMask { paths: vec!["weight".into()] }),
        validate_only: false,
        force: false,
    };
    let new = bench.servers().update_server(update(&old.etag, 2.0)).await.expect("is updated").into_inner();
    let new = new.server.expect("is shown");
    assert_eq!((new.weight, &new.url), (2.0, &old.url));
    assert_ne!(new.etag, old.etag);
    let status = bench.servers().update_server(update(&old.etag, 3.0)).await.expect_err("is stale");
    assert_eq!(status.code(), Code::Aborted);
    let status = bench.servers().update_server(update("", -1.0)).await.expect_err("is no weight");
    let violations = status.get_details_bad_request().expect("names the field").field_violations;
    assert_eq!(violations[0].field, "server.weight");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_validate_only_makes_no_change() {
    let bench = Bench::with_servers(5).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListServersRequest { page_size: 2, page_token: token };
        let page = bench.servers().list_servers(request).await.expect("lists").into_inner();
        assert_eq!(page.total_size, 5);
        seen.extend(page.servers.into_iter().map(|server| server.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, (1..=5).map(|number| name(&format!("bbb{number}"))).collect::<Vec<_>>());
    let dry = CreateServerRequest {
        server: Some(Server { url: "https://dry.example".into(), secret: "s".into(), ..Server::default() }),
        server_id: String::new(),
        validate_only: true,
    };
    let shown = bench.servers().create_server(dry.clone()).await.expect("is valid").into_inner().server;
    assert_eq!(shown.map(|server| server.name).as_deref(), Some("servers/dry.example"));
    let twice = CreateServerRequest { server_id: "bbb1".into(), ..dry };
    assert_eq!(bench.servers().create_server(twice).await.expect_err("exists").code(), Code::AlreadyExists);
    let total = bench.servers().list_servers(ListServersRequest::default()).await.expect("lists");
    assert_eq!(total.into_inner().total_size, 5);
    bench.stop().await;
}
