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
        let request = ListServersRequest { page_size: 2, page_token: token, ..ListServersRequest::default() };
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
        request_id: String::new(),
    };
    let shown = bench.servers().create_server(dry.clone()).await.expect("is valid").into_inner().server;
    assert_eq!(shown.map(|server| server.name).as_deref(), Some("servers/dry.example"));
    let twice = CreateServerRequest { server_id: "bbb1".into(), ..dry };
    assert_eq!(bench.servers().create_server(twice).await.expect_err("exists").code(), Code::AlreadyExists);
    let total = bench.servers().list_servers(ListServersRequest::default()).await.expect("lists");
    assert_eq!(total.into_inner().total_size, 5);
    bench.stop().await;
}

fn heavy(etag: &str, id: &str, admin: Option<AdminState>, validate_only: bool) -> UpdateServerRequest {
    let mut server = Server { name: name(id), weight: 5.0, etag: etag.into(), ..Server::default() };
    let mut paths = vec!["weight".to_owned()];
    if let Some(admin) = admin {
        server.set_admin_state(admin);
        paths.push("admin_state".into());
    }
    let update_mask = Some(FieldMask { paths });
    UpdateServerRequest { server: Some(server), update_mask, validate_only, force: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_refused_change_of_a_server_changes_nothing_and_says_so() {
    let bench = Bench::with_servers(1).await;
    let home = bench.create("room").await;
    let before = bench.server(&home).await;
    let disabled = Some(AdminState::Disabled);
    for request in [heavy("", &home, disabled, false), heavy(&before.etag, &home, disabled, false)] {
        let status = bench.servers().update_server(request).await.expect_err("a meeting lives there");
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains("stays enabled"), "{status}");
    }
    let disable = DisableServerRequest { name: name(&home), etag: String::new() };
    let status = bench.servers().disable_server(disable.clone()).await.expect_err("a meeting lives there");
    assert!(status.message().contains("stays enabled"), "{status}");
    let after = bench.server(&home).await;
    assert_eq!((after.weight, after.admin_state(), after.etag), (1.0, AdminState::Enabled, before.etag));

    let cordon = CordonServerRequest { name: name(&home), etag: String::new() };
    bench.servers().cordon_server(cordon).await.expect("is cordoned");
    let status = bench.servers().disable_server(disable).await.expect_err("a meeting lives there");
    assert!(status.message().contains("stays cordoned"), "{status}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_sets_fields_and_admin_state_in_one_write() {
    let bench = Bench::with_servers(1).await;
    let request = heavy("", "bbb1", Some(AdminState::Cordoned), false);
    let new = bench.servers().update_server(request).await.expect("is updated").into_inner().server;
    let new = new.expect("is shown");
    assert_eq!((new.weight, new.admin_state()), (5.0, AdminState::Cordoned));
    let request = heavy(&new.etag, "bbb1", Some(AdminState::Disabled), false);
    let new = bench.servers().update_server(request).await.expect("is empty").into_inner().server;
    assert_eq!(new.expect("is shown").admin_state(), AdminState::Disabled);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_only_checks_everything_and_returns_the_server_as_it_would_be() {
    let bench = Bench::with_servers(1).await;
    let before = bench.server("bbb1").await;
    let validate = async |etag: &str, id: &str, admin| {
        let answer = bench.servers().update_server(heavy(etag, id, admin, true)).await;
        answer.map(|answer| answer.into_inner().server.expect("is shown"))
    };
    let shown = validate(&before.etag, "bbb1", Some(AdminState::Cordoned)).await.expect("is valid");
    assert_eq!((shown.weight, shown.admin_state(), &shown.url), (5.0, AdminState::Cordoned, &before.url));
    assert_eq!(shown.etag, "", "it is not written");
    let refused = async |etag: &str, id: &str, admin| {
        validate(etag, id, admin).await.expect_err("would be refused").code()
    };
    assert_eq!(refused("1", "bbb1", None).await, Code::Aborted);
    assert_eq!(refused("", "none", None).await, Code::NotFound);
    bench.create("room").await;
    assert_eq!(refused("", "bbb1", Some(AdminState::Disabled)).await, Code::FailedPrecondition);

    // The address of another server, and an address at which the meeting does not run.
    let mut moved = heavy("", "bbb1", None, true);
    if let Some(server) = &mut moved.server {
        server.url = "http://127.0.0.1:1/bigbluebutton/api/".into();
    }
    moved.update_mask = Some(FieldMask { paths: vec!["url".into()] });
    let status = bench.servers().update_server(moved).await.expect_err("the meeting would be lost");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let twice = CreateServerRequest {
        server: Some(Server { url: before.url.clone(), secret: "s".into(), ..Server::default() }),
        server_id: "twice".into(),
        validate_only: true,
        request_id: String::new(),
    };
    let status = bench.servers().create_server(twice).await.expect_err("bbb1 has the address");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");

    let after = bench.server("bbb1").await;
    assert_eq!((after.weight, after.etag), (before.weight, before.etag), "no check writes");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_removal_is_for_the_server_that_its_etag_names() {
    let bench = Bench::with_servers(1).await;
    let old = bench.server("bbb1").await;
    bench.servers().update_server(heavy("", "bbb1", None, false)).await.expect("is updated");
    let stale = DeleteServerRequest { name: name("bbb1"), etag: old.etag };
    let status = bench.servers().delete_server(stale).await.expect_err("it has changed");
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert_eq!(bench.server("bbb1").await.admin_state(), AdminState::Enabled, "no step was made");
    bench.stop().await;
}
