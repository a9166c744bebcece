//! Webhooks: registered once, kept on servers, and the fate of the events that servers send.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tonic::{Code, Status, transport::Channel};
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    secret::Secret,
};
use usher_bbb_sim::SimOptions;
use usher_control_plane::{ports::Store, store::embedded::EmbeddedStore};
use usher_harness::application::TestApplication;
use usher_model::settings::Settings;
use usher_proto::v1::{
    callback_service_client::CallbackServiceClient, delivery_service_client::DeliveryServiceClient,
    hook_service_client::HookServiceClient, tenant_service_client::TenantServiceClient, *,
};

use crate::bench::{Bench, key, settings, until};

const SECRET: &str = "tenant-secret";

pub(crate) fn reachable() -> Settings {
    let mut settings = settings();
    settings.public_url = Some("https://usher.test".into());
    settings.callbacks.allow = vec!["127.0.0.1".into()];
    settings.secrets = vec![Secret::new(SECRET)];
    settings
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open(None).expect("opens in memory"))
}

pub(crate) fn hooks(bench: &Bench) -> HookServiceClient<Channel> {
    HookServiceClient::new(bench.channel.clone())
}

pub(crate) async fn create(bench: &Bench, tenant: &str, hook: Hook) -> Result<CreateHookResponse, Status> {
    let request = CreateHookRequest {
        parent: format!("tenants/{tenant}"),
        hook: Some(hook),
        request_id: String::new(),
    };
    hooks(bench).create_hook(request).await.map(tonic::Response::into_inner)
}

pub(crate) fn at(url: &str) -> Hook {
    Hook { callback_url: url.into(), ..Hook::default() }
}

async fn listed(bench: &Bench, parent: &str, view: HookView) -> Vec<Hook> {
    let request = ListHooksRequest { parent: parent.into(), view: view.into(), ..Default::default() };
    hooks(bench).list_hooks(request).await.expect("is listed").into_inner().hooks
}

pub(crate) async fn add_tenant(bench: &Bench, id: &str) {
    let tenant = Tenant { secrets: vec![format!("{id}-secret")], ..Tenant::default() };
    let request =
        CreateTenantRequest { tenant: Some(tenant), tenant_id: id.into(), request_id: String::new() };
    TenantServiceClient::new(bench.channel.clone()).create_tenant(request).await.expect("is created");
}

async fn remove_tenant(bench: &Bench, id: &str) {
    let request = DeleteTenantRequest { name: format!("tenants/{id}"), ..Default::default() };
    TenantServiceClient::new(bench.channel.clone()).delete_tenant(request).await.expect("is deleted");
}

pub(crate) async fn waiting(bench: &Bench) -> Vec<Delivery> {
    let request = ListDeliveriesRequest { page_size: 1000, ..Default::default() };
    let mut client = DeliveryServiceClient::new(bench.channel.clone());
    client.list_deliveries(request).await.expect("is listed").into_inner().deliveries
}

/// Returns an event of a meeting, as `bbb1` sends it.
pub(crate) fn event(meeting: &str, name: &str, at_ms: i64) -> AcceptEventsRequest {
    let event = json!({ "data": { "type": "event", "id": name, "attributes": { "meeting":
        { "internal-meeting-id": "i-1", "external-meeting-id": meeting } }, "event": { "ts": at_ms } } });
    AcceptEventsRequest {
        server_id: "bbb1".into(),
        raw: false,
        events: format!("[{event}]"),
        timestamp: "1700000000123".into(),
        domain: "bbb1.internal".into(),
    }
}

pub(crate) async fn send(bench: &Bench, request: AcceptEventsRequest) {
    hooks(bench).accept_events(request).await.expect("is accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_of_a_tenant_is_one_hook_for_concurrent_registrations() {
    let store = memory();
    let first = Bench::on(reachable(), store.clone()).await;
    let second = Bench::on(reachable(), store.clone()).await;
    let url = "https://app.test/cb?token=abc";
    let all = (0..20).map(|number| {
        let bench = if number % 2 == 0 { &first } else { &second };
        create(bench, "default", Hook { meeting_id: format!("room-{number}"), ..at(url) })
    });
    let all: Vec<CreateHookResponse> = futures::future::join_all(all)
        .await
        .into_iter()
        .map(|created| created.expect("is created"))
        .collect();
    assert_eq!(all.iter().filter(|created| !created.existing).count(), 1);
    let standing = all.iter().find(|created| !created.existing).expect("there is one").hook.clone();
    assert!(all.iter().all(|created| created.hook == standing), "the first stands: {all:?}");
    assert_eq!(store.read_prefix("hooks/").await.expect("reads").entries.len(), 1);
    let shown = listed(&second, "tenants/default", HookView::Unspecified).await;
    assert_eq!((shown[0].target.as_str(), shown[0].callback_url.as_str()), ("https://app.test", ""), "I14");
    let shown = listed(&second, "tenants/-", HookView::RevealUrl).await;
    assert_eq!(shown[0].callback_url, url);
    let name = shown[0].name.clone();
    let gone = hooks(&first).delete_hook(DeleteHookRequest { name: name.clone() }).await;
    assert!(gone.is_ok(), "{gone:?}");
    let again = hooks(&second).delete_hook(DeleteHookRequest { name }).await.expect_err("is gone");
    assert_eq!(again.code(), Code::NotFound);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_registration_is_refused_with_the_reason() {
    let mut few = reachable();
    few.callbacks.max_hooks = 1;
    let bench = Bench::on(few, memory()).await;
    let refused =
        async |tenant: &str, hook: Hook| create(&bench, tenant, hook).await.expect_err("is refused");
    let wrong = refused("default", at("app.test")).await;
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert!(wrong.message().contains("hook.callback_url"), "{}", wrong.message());
    assert_eq!(refused("nobody", at("https://app.test/")).await.code(), Code::NotFound);
    create(&bench, "default", at("https://app.test/1")).await.expect("is created");
    let many = refused("default", at("https://app.test/2")).await;
    assert_eq!(many.code(), Code::FailedPrecondition);
    assert!(many.message().contains("callbacks.max_hooks"), "{}", many.message());
    for name in ["tenants/default/hooks/17", "hooks/x", "tenants/default/hooks/../../x"] {
        let wrong = hooks(&bench).delete_hook(DeleteHookRequest { name: name.into() }).await;
        assert_eq!(wrong.expect_err("is no name").code(), Code::InvalidArgument, "{name}");
    }
    bench.stop().await;
    let unreachable = Bench::on(settings(), memory()).await;
    let refused = create(&unreachable, "default", at("https://app.test/")).await.expect_err("is refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("public_url"), "{}", refused.message());
    unreachable.stop().await;
}

/// Users write into events, and applications choose metadata freely.
#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_address_in_an_event_is_opened_for_its_tenant_where_it_belongs_and_nowhere_else() {
    use usher_model::callback::{CallbackKey, CallbackKind as Sealed, CallbackState};
    let bench = Bench::with(reachable(), 1).await;
    let application = TestApplication::start().await.expect("listens");
    create(&bench, "default", at(&application.url("/events"))).await.expect("is created");
    bench.create("room").await;
    let mut client = CallbackServiceClient::new(bench.channel.clone());
    let told = client.get_callback_key(GetCallbackKeyRequest {}).await.expect("is told").into_inner().key;
    let sealer = CallbackKey::parse(&Secret::new(&told)).expect("is a key");
    let sealed = |tenant: &str, url: &str| {
        let tenant = usher_model::id::TenantId::parse(tenant).expect("is an id");
        let state = CallbackState {
            meeting: usher_model::meeting::MeetingKey::new(
                tenant,
                usher_model::id::MeetingId::parse("room").expect("is an id"),
            ),
            server: usher_model::id::ServerId::parse("bbb1").expect("is an id"),
            kind: Sealed::EndedMeta,
            parameter: Some("meta_endcallbackurl".into()),
            url: Some(url.into()),
            expires_ms: 7,
        };
        format!("https://usher.test/usher/callback/{}", sealer.seal(&state, [1; 12]))
    };
    let (own, others) = (sealed("default", "https://own.test/"), sealed("school", "https://theirs.test/"));
    for (name, metadata) in [
        ("first", json!({ "endcallbackurl": own, "x": own, "y": others })),
        ("second", json!({ "endcallbackurl": others })),
    ] {
        let mut request = event("room", name, 5);
        let mut events: serde_json::Value = serde_json::from_str(&request.events).expect("is JSON");
        events[0]["data"]["attributes"]["meeting"]["metadata"] = metadata;
        events[0]["data"]["attributes"]["chat-message"] = json!({ "message": others, "endcallbackurl": own });
        request.events = events.to_string();
        send(&bench, request).await;
    }
    until("both to be taken", async || (application.accepted().len() == 2).then_some(())).await;
    let heard: String = application
        .accepted()
        .iter()
        .map(|heard| String::from_utf8_lossy(&heard.body).into_owned())
        .collect();
    assert!(!heard.contains("theirs.test"), "{heard}");
    assert_eq!(heard.matches("own.test").count(), 1, "as the metadata that it is: {heard}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_to_the_edges_is_not_registered() {
    let bench = Bench::on(reachable(), memory()).await;
    let school =
        Tenant { secrets: vec!["s".into()], hosts: vec!["bbb.school.test".into()], ..Tenant::default() };
    let request =
        CreateTenantRequest { tenant: Some(school), tenant_id: "school".into(), request_id: String::new() };
    TenantServiceClient::new(bench.channel.clone()).create_tenant(request).await.expect("is created");
    for url in [
        "https://usher.test/",
        "http://USHER.test./usher/callback/1abc",
        "https://user@usher.test:443/x",
        "https://bbb.school.test/",
    ] {
        let refused = create(&bench, "default", at(url)).await.expect_err("is refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{url}");
        assert!(!refused.message().contains("usher.test"), "I14: {}", refused.message());
    }
    create(&bench, "default", at("https://app.usher.test/")).await.expect("is another host");
    bench.stop().await;
}

/// Usher removes its hooks from servers that are disabled, and from all servers when no tenant has
/// one.
#[tokio::test(flavor = "multi_thread")]
async fn servers_have_a_hook_of_each_kind_that_is_wanted_and_no_more() {
    let bench = Bench::with(reachable(), 2).await;
    let kinds = |id: &str| {
        let mut kinds: Vec<bool> = bench.sim(id).hooks().iter().map(|hook| hook.raw).collect();
        kinds.sort_unstable();
        kinds
    };
    create(&bench, "default", at("https://app.test/1")).await.expect("is created");
    until("both to have it", async || (kinds("bbb1") == [false] && kinds("bbb2") == [false]).then_some(()))
        .await;
    create(&bench, "default", Hook { meeting_id: "room".into(), ..at("https://app.test/2") })
        .await
        .expect("is created");
    let raw = Hook { raw: true, ..at("https://app.test/3") };
    create(&bench, "default", raw).await.expect("is created");
    until("one of each kind, whatever the number of hooks", async || {
        (kinds("bbb1") == [false, true] && kinds("bbb2") == [false, true]).then_some(())
    })
    .await;
    let name = "servers/bbb2".into();
    bench
        .servers()
        .disable_server(DisableServerRequest { name, etag: String::new() })
        .await
        .expect("is disabled");
    until("it to have none", async || kinds("bbb2").is_empty().then_some(())).await;
    let foreign = bench.sim("bbb1").signed_url("hooks/create", "callbackURL=https%3A%2F%2Fothers.test%2F");
    bench.http.get(foreign).send().await.expect("answers");
    for hook in listed(&bench, "tenants/default", HookView::Unspecified).await {
        hooks(&bench).delete_hook(DeleteHookRequest { name: hook.name }).await.expect("is deleted");
    }
    until("what is left to be others'", async || {
        let left = bench.sim("bbb1").hooks();
        (left.len() == 1 && left[0].callback_url == "https://others.test/").then_some(())
    })
    .await;
    bench.stop().await;
}

/// The leader is unreachable: the servers have their hooks all the same when the application is
/// answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_hook_of_a_kind_is_at_the_servers_when_its_application_is_answered() {
    let store = memory();
    let lease = store.campaign("another", Duration::from_mins(10)).await.expect("leads");
    let mut patient = reachable();
    patient.meetings.call_timeout = Duration::from_mins(1);
    let bench = Bench::on(patient, store).await;
    let sim = usher_bbb_sim::BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    create(&bench, "default", at("https://app.test/1")).await.expect("is created");
    assert_eq!(sim.hooks().len(), 1);
    sim.forget_hooks();
    until("this replica to see the hook", async || (bench.metric("usher_hooks") > 0.5).then_some(())).await;
    create(&bench, "default", at("https://app.test/2")).await.expect("is created");
    assert!(sim.hooks().is_empty(), "what is wanted already is left to whoever leads");
    lease.resign().await.expect("is let go");
    until("whoever leads to see to it", async || (sim.hooks().len() == 1).then_some(())).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_once_in_the_tenants_words_and_goes_out_in_order() {
    let bench = Bench::with(reachable(), 1).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&bench, "school").await;
    let (ours, school) = (application.url("/ours"), application.url("/school"));
    create(&bench, "default", at(&ours)).await.expect("is created");
    create(&bench, "school", at(&school)).await.expect("is created");
    bench.create("room").await;
    for _ in 0..3 {
        send(&bench, event("school~room", "user-left", 30)).await;
    }
    send(&bench, event("school~room", "meeting-created", 10)).await;
    send(&bench, event("school~room", "user-joined", 20)).await;
    send(&bench, event("room", "meeting-created", 5)).await;
    send(&bench, event("foreign", "meeting-created", 5)).await;
    until("all to be seen", async || (waiting(&bench).await.len() == 4).then_some(())).await;
    application.answer(200);
    until("all to be taken", async || waiting(&bench).await.is_empty().then_some(())).await;
    let heard = |path: &str| {
        let taken = application.accepted().into_iter();
        taken.filter(|heard| heard.path.starts_with(path)).collect::<Vec<_>>()
    };
    let of_school: Vec<String> = heard("/school")
        .iter()
        .map(|heard| {
            let body = std::str::from_utf8(&heard.body).expect("is text");
            let checksum = sign(ChecksumAlgorithm::Sha1, &school, body, &Secret::new("school-secret"));
            assert_eq!(heard.path, format!("/school?checksum={checksum}"));
            assert!(body.starts_with("domain=usher.test&event=%5B%7B%22data"), "{body}");
            assert!(body.ends_with("&timestamp=1700000000123") && !body.contains("school"), "{body}");
            body.split("%22id%22%3A%22").nth(1).expect("has a name")[..9].to_owned()
        })
        .collect();
    assert_eq!(of_school, ["meeting-c", "user-join", "user-left"], "as they happened");
    assert_eq!(heard("/ours").len(), 1, "{:?}", heard("/ours"));
    assert!((bench.metric("usher_hook_events_total{outcome=\"foreign\"}") - 1.0).abs() < 0.1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_signature_is_not_sent_again_and_a_deleted_hook_drops_its_events() {
    let bench = Bench::on(reachable(), memory()).await;
    let application = TestApplication::start().await.expect("listens");
    add_tenant(&bench, "school").await;
    application.answer(401);
    let created = create(&bench, "school", at(&application.url("/"))).await.expect("is created");
    send(&bench, event("school~room", "user-joined", 1)).await;
    until("the refusal", async || {
        (bench.metric("usher_deliveries_ended_total{outcome=\"refused\"}") > 0.5).then_some(())
    })
    .await;
    application.answer(503);
    send(&bench, event("school~room", "user-left", 2)).await;
    until("it to wait", async || (waiting(&bench).await.len() == 1).then_some(())).await;
    let name = created.hook.expect("is shown").name;
    hooks(&bench).delete_hook(DeleteHookRequest { name }).await.expect("is deleted");
    until("no event to wait", async || waiting(&bench).await.is_empty().then_some(())).await;
    send(&bench, event("school~room", "meeting-ended", 3)).await;
    assert!(waiting(&bench).await.is_empty(), "nobody wants it any more");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_goes_takes_its_hooks_along_and_another_of_its_name_gets_none() {
    let store = memory();
    let bench = Bench::on(reachable(), store.clone()).await;
    add_tenant(&bench, "school").await;
    create(&bench, "school", at("https://school.test/")).await.expect("is created");
    create(&bench, "default", at("https://app.test/")).await.expect("is created");
    remove_tenant(&bench, "school").await;
    add_tenant(&bench, "school").await;
    assert!(listed(&bench, "tenants/school", HookView::Unspecified).await.is_empty());
    assert_eq!(listed(&bench, "tenants/default", HookView::Unspecified).await.len(), 1);
    // The registration remains although its tenant is deleted: the replica stopped between the two
    // writes.
    let left = store.read_prefix("hooks/default/").await.expect("reads").entries.remove(0);
    let stray = left.key.replace("default", "gone");
    let txn = usher_control_plane::ports::StoreTxn {
        guards: Vec::new(),
        writes: vec![usher_control_plane::ports::TxnWrite::Put(stray.clone(), left.value)],
    };
    store.commit(vec![txn]).await.expect("is written");
    until("the stray to go", async || {
        store.read_prefix(&stray).await.expect("reads").entries.is_empty().then_some(())
    })
    .await;
    assert_eq!(listed(&bench, "tenants/default", HookView::Unspecified).await.len(), 1);
    bench.stop().await;
}

/// An application that is down fills its own share only, where its oldest events expire for the newer
/// ones: others' events and callbacks are accepted.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_application_that_is_down_leave_room_for_others() {
    let mut small = reachable();
    small.callbacks.max_waiting = 40 << 10;
    let bench = Bench::on(small, memory()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    for tenant in ["school", "other"] {
        add_tenant(&bench, tenant).await;
        create(&bench, tenant, at(&application.url(&format!("/{tenant}")))).await.expect("is created");
    }
    let displaced = || bench.metric("usher_deliveries_ended_total{outcome=\"displaced\"}");
    for number in 0..200 {
        send(&bench, event("school~room", "user-joined", 1 + number)).await;
    }
    until("every event to wait or to have expired", async || {
        let (of_school, lost) = (waiting(&bench).await.len(), displaced());
        (of_school > 5 && lost > 0.5 && (of_school as f64 + lost - 200.0).abs() < 0.1).then_some(())
    })
    .await;
    let (of_school, lost) = (waiting(&bench).await.len(), displaced());
    assert!(bench.metric("usher_hook_events_total{outcome=\"turned_away\"}") < 0.1);
    until("an operator to be told", async || {
        (bench.metric("usher_alarm{name=\"delivery_space\"}") > 0.5).then_some(())
    })
    .await;
    send(&bench, event("other~room", "user-joined", 1)).await;
    let mut callback = AcceptCallbackRequest {
        id: format!("{:032x}", 1),
        key: Some(key("room")),
        server_id: "bbb1".into(),
        url: application.url("/callback"),
        ..AcceptCallbackRequest::default()
    };
    callback.set_kind(CallbackKind::Ended);
    callback.set_form(CallbackForm::Get);
    let mut callbacks = CallbackServiceClient::new(bench.channel.clone());
    callbacks.accept_callback(callback).await.expect("there is room");
    until("both to wait", async || (waiting(&bench).await.len() == of_school + 2).then_some(())).await;
    assert!((displaced() - lost).abs() < 0.1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_whose_webhooks_accept_only_sha1_get_their_hooks_too() {
    let bench = Bench::on(reachable(), memory()).await;
    let old = usher_bbb_sim::HookOptions {
        version: Some(usher_bbb_sim::HooksVersion::V2),
        ..usher_bbb_sim::HookOptions::default()
    };
    let options = SimOptions { hooks: old, ..SimOptions::new("server-secret") };
    let sim = usher_bbb_sim::BbbSim::start(options).await.expect("listens");
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    bench.until_health("bbb1", Health::Online).await;
    create(&bench, "default", at("https://app.test/")).await.expect("is created");
    until("it to be there", async || (sim.hooks().len() == 1).then_some(())).await;
    sim.forget_hooks();
    until("it to be there again", async || (sim.hooks().len() == 1).then_some(())).await;
    bench.stop().await;
}
