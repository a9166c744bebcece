//! Callbacks that edges hand over: in the store before the answer, delivered by the leader.

use std::{sync::Arc, time::Duration};

use tonic::{Code, transport::Channel};
use usher_bbb::secret::Secret;
use usher_control_plane::{
    notifications::{
        application_client::{ApplicationClient, OwnAddressCheck},
        ports::{ApplicationCalls, DeliveryResult, OutgoingCallback},
        rules::delivery::{DeliveryForm, TryOutcome, address::AllowedAddresses},
        store::deliveries::KEY,
    },
    ports::{Store, StoreTxn, TxnWrite},
    store::embedded::EmbeddedStore,
};
use usher_harness::application::TestApplication;
use usher_proto::v1::{
    callback_service_client::CallbackServiceClient, delivery_service_client::DeliveryServiceClient, *,
};
use usher_runtime::ops::OpsHandle;

use crate::bench::{Bench, key, settings, until};

const SECRET: &str = "tenant-secret";

fn local() -> usher_model::settings::Settings {
    let mut settings = settings();
    settings.callbacks.allow = vec!["127.0.0.1".into()];
    settings.secrets = vec![Secret::new(SECRET)];
    settings
}

fn callbacks(bench: &Bench) -> CallbackServiceClient<Channel> {
    CallbackServiceClient::new(bench.channel.clone())
}

fn deliveries(bench: &Bench) -> DeliveryServiceClient<Channel> {
    DeliveryServiceClient::new(bench.channel.clone())
}

fn callback(number: u32, meeting: &str, url: String) -> AcceptCallbackRequest {
    let mut request = AcceptCallbackRequest {
        id: format!("{number:032x}"),
        key: Some(key(meeting)),
        server_id: "bbb1".into(),
        url,
        body: format!(r#"{{"meeting_id":"{meeting}","n":{number}}}"#).into(),
        ..AcceptCallbackRequest::default()
    };
    request.set_kind(CallbackKind::RecordingReady);
    request.set_form(CallbackForm::SignedForm);
    request
}

async fn waiting(bench: &Bench) -> Vec<Delivery> {
    let list = deliveries(bench).list_deliveries(ListDeliveriesRequest::default()).await;
    list.expect("is listed").into_inner().deliveries
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_callback_is_in_the_store_before_it_is_answered_and_delivered_once_however_often_it_is_sent() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let bench = Bench::on(local(), store.clone()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    let request = callback(1, "room", application.url("/ready?token=secret"));
    for _ in 0..3 {
        callbacks(&bench).accept_callback(request.clone()).await.expect("is accepted");
        assert_eq!(store.read_prefix("deliveries/").await.expect("reads").entries.len(), 1);
    }
    let tried = until("a failed try", async || {
        waiting(&bench).await.into_iter().find(|delivery| delivery.attempts > 0)
    })
    .await;
    assert_eq!(tried.last_error, "HTTP status 503");
    assert!(!format!("{tried:?}").contains("token"), "I14: {tried:?}");
    application.answer(200);
    until("everything to be taken", async || waiting(&bench).await.is_empty().then_some(())).await;
    let taken = application.accepted();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].claims(SECRET).expect("is signed by the tenant")["n"], 1);
    assert!(store.read_prefix("deliveries/").await.expect("reads").entries.is_empty());
    // The leader counts an end after the store shows it.
    until("the end to be counted", async || {
        ((bench.metric("usher_deliveries_ended_total{outcome=\"taken\"}") - 1.0).abs() < 0.1).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_of_a_meeting_arrive_in_order_and_one_application_holds_up_no_other() {
    let bench = Bench::on(local(), Arc::new(EmbeddedStore::open(None).expect("opens in memory"))).await;
    let (sick, well) =
        (TestApplication::start().await.expect("listens"), TestApplication::start().await.expect("listens"));
    sick.answer(503);
    for number in 0..20_u32 {
        let (sick, well) = (sick.url("/cb"), well.url("/cb"));
        callbacks(&bench).accept_callback(callback(100 + number, "room", sick)).await.expect("is accepted");
        callbacks(&bench).accept_callback(callback(200 + number, "room", well)).await.expect("is accepted");
    }
    until("the well one to have all", async || (well.accepted().len() == 20).then_some(())).await;
    assert!(sick.accepted().is_empty());
    sick.answer(200);
    until("the sick one to have all", async || (sick.accepted().len() >= 20).then_some(())).await;
    for (application, first) in [(&well, 200), (&sick, 100)] {
        let numbers: Vec<i64> = application
            .accepted()
            .iter()
            .map(|heard| heard.claims(SECRET).expect("is signed")["n"].as_i64().expect("is a number"))
            .collect();
        assert_eq!(numbers, (first..first + 20).collect::<Vec<i64>>(), "in order");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_for_good_is_over_and_an_operator_can_drop_and_retry() {
    let bench = Bench::on(local(), Arc::new(EmbeddedStore::open(None).expect("opens in memory"))).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(410);
    callbacks(&bench).accept_callback(callback(1, "gone", application.url("/"))).await.expect("is accepted");
    until("the refusal", async || {
        let refused = bench.metric("usher_deliveries_ended_total{outcome=\"refused\"}");
        (refused > 0.5 && waiting(&bench).await.is_empty()).then_some(())
    })
    .await;
    application.answer(500);
    for number in 2..4 {
        let request = callback(number, &format!("room-{number}"), application.url("/"));
        callbacks(&bench).accept_callback(request).await.expect("is accepted");
    }
    let two = until("both to have failed", async || {
        let list = waiting(&bench).await;
        (list.len() == 2 && list.iter().all(|one| one.attempts > 0)).then_some(list)
    })
    .await;
    let drop_it = DeleteDeliveryRequest { name: two[0].name.clone() };
    until("it to be dropped", async || {
        // An attempt may be under way and change the delivery; the next pass drops it.
        match deliveries(&bench).delete_delivery(drop_it.clone()).await {
            Ok(_) => Some(()),
            Err(status) => (status.code() == Code::NotFound).then_some(()),
        }
    })
    .await;
    until("one to be left", async || (waiting(&bench).await.len() == 1).then_some(())).await;
    application.answer(200);
    let retry = RetryDeliveryRequest { name: two[1].name.clone() };
    until("the retry to be taken", async || {
        let retried = deliveries(&bench).retry_delivery(retry.clone()).await;
        (retried.is_ok() || waiting(&bench).await.is_empty()).then_some(())
    })
    .await;
    until("it to be taken", async || waiting(&bench).await.is_empty().then_some(())).await;
    let unknown = deliveries(&bench).get_delivery(GetDeliveryRequest { name: two[0].name.clone() }).await;
    assert_eq!(unknown.expect_err("is gone").code(), Code::NotFound);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_callback_frees_the_record_of_an_ended_meeting_at_once_and_of_no_other() {
    let mut rare = local();
    rare.health.interval = Duration::from_mins(1); // whatever is polled was asked for
    rare.health.healthy_threshold = 1;
    let bench = Bench::with(rare, 1).await;
    for id in ["over", "runs"] {
        bench.create(id).await;
    }
    assert!(bench.sims[0].end_meeting("over"));
    for (number, id) in [(1, "over"), (2, "runs")] {
        let mut request = callback(number, id, String::new());
        request.set_kind(CallbackKind::Ended);
        callbacks(&bench).accept_callback(request).await.expect("is accepted");
    }
    until("the record to be free", async || bench.meeting("over").await.is_none().then_some(())).await;
    assert!(bench.meeting("runs").await.is_some(), "a poll decides, not the callback");
    assert!(waiting(&bench).await.is_empty(), "nobody wanted to know");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_turned_away_and_what_is_no_callback_is_refused() {
    let mut small = local();
    small.callbacks.max_waiting = 2000;
    let bench = Bench::on(small, Arc::new(EmbeddedStore::open(None).expect("opens in memory"))).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    let mut large = callback(1, "room", application.url("/"));
    large.body = vec![b' '; 1500].into();
    callbacks(&bench).accept_callback(large.clone()).await.expect("is accepted");
    until("it to be known here", async || (waiting(&bench).await.len() == 1).then_some(())).await;
    large.id = format!("{:032x}", 2);
    let full = callbacks(&bench).accept_callback(large).await.expect_err("there is no room");
    assert_eq!(full.code(), Code::Unavailable);
    let bad: [fn(&mut AcceptCallbackRequest); 5] = [
        |request| request.id = "x".into(),
        |request| request.url = "ftp://app.test/".into(),
        |request| request.set_kind(CallbackKind::Unspecified),
        |request| request.set_form(CallbackForm::Unspecified),
        |request| request.key = None,
    ];
    for spoil in bad {
        let mut request = callback(3, "room", application.url("/"));
        spoil(&mut request);
        let refused = callbacks(&bench).accept_callback(request).await.expect_err("is refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_addresses_is_one_and_is_kept() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let (one, other) = (Bench::on(local(), store.clone()).await, Bench::on(local(), store.clone()).await);
    let key = async |bench: &Bench| {
        callbacks(bench).get_callback_key(GetCallbackKeyRequest {}).await.expect("is told").into_inner().key
    };
    let before = key(&one).await;
    assert_eq!(before, key(&other).await);
    assert!(before.len() >= 43, "32 bytes");
    one.stop().await;
    other.stop().await;
    let again = Bench::on(local(), store).await;
    assert_eq!(key(&again).await, before, "it is kept");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_addresses_that_the_store_lost_is_put_back_by_whoever_knows_it() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let bench = Bench::on(local(), store.clone()).await;
    let key = async |bench: &Bench| {
        callbacks(bench).get_callback_key(GetCallbackKeyRequest {}).await.expect("is told").into_inner().key
    };
    let before = key(&bench).await;
    let stored = async || store.read_prefix(KEY).await.expect("reads").entries;
    let lost = stored().await;
    let gone = StoreTxn { guards: Vec::new(), writes: vec![TxnWrite::Delete(KEY.into())] };
    store.commit(vec![gone]).await.expect("is written");
    assert_eq!(key(&bench).await, before, "it is told all the while");
    let back = until("the key to be back", async || stored().await.first().cloned()).await;
    assert_eq!(back.value, lost[0].value);
    let other = Bench::on(local(), store).await;
    assert_eq!(key(&other).await, before);
    other.stop().await;
    bench.stop().await;
}

/// Returns the result of a delivery by a client with the addresses of `allow`.
async fn delivered(allow: &[&str], url: String, form: DeliveryForm) -> DeliveryResult {
    let settings = local().callbacks;
    let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
    let allowed = AllowedAddresses::new(&allow, Vec::new());
    let home = OwnAddressCheck::new(|url| url.contains("/home"));
    let client =
        ApplicationClient::new(&settings, allowed, home, OpsHandle::new().pending()).expect("builds");
    let (body, secrets) = (b"{}".to_vec().into(), vec![Secret::new(SECRET)]);
    client.deliver(&OutgoingCallback { url, form, body, secrets, now_ms: 0, mark: "abc".into() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_to_the_edges_is_not_called_at_once_nor_after_a_redirect() {
    let application = TestApplication::start().await.expect("listens");
    let at_once =
        delivered(&["127.0.0.1"], application.url("/homewards/usher/callback/1abc"), DeliveryForm::Get).await;
    assert_eq!(
        (at_once.outcome, at_once.reason.as_str()),
        (TryOutcome::Failed, "the address leads to Usher itself")
    );
    assert!(application.received().is_empty());
    for status in [301, 302, 303, 307, 308] {
        application.redirect(status, &application.url("/home"));
        let led = delivered(&["127.0.0.1"], application.url("/cb"), DeliveryForm::Get).await;
        assert_eq!((led.outcome, led.reason), (TryOutcome::Failed, at_once.reason.clone()), "{status}");
    }
    let heard = application.received();
    assert_eq!(heard.len(), 5, "each once: {heard:?}");
    assert!(
        heard.iter().all(|heard| heard.path == "/cb" && heard.headers["usher-delivery"] == "abc"),
        "{heard:?}"
    );
}

/// An application whose answers the test sends, so that the test can act while the application
/// works.
struct Slow(tokio::net::TcpListener);

impl Slow {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/cb", listener.local_addr().expect("is bound"));
        (Self(listener), url)
    }

    /// Takes one request, awaits `meanwhile`, and answers with 200.
    async fn take(&self, meanwhile: impl Future<Output = ()>) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let request = async {
            let (mut stream, _) = self.0.accept().await.expect("connects");
            let mut text = Vec::new();
            while !is_whole(&String::from_utf8_lossy(&text)) {
                assert!(stream.read_buf(&mut text).await.expect("is readable") > 0, "the request is whole");
            }
            meanwhile.await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("is writable");
            String::from_utf8_lossy(&text).into_owned()
        };
        tokio::time::timeout(Duration::from_secs(20), request).await.expect("comes in time")
    }
}

/// Returns whether a request has the body that its head announces.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.expect("a form has a length").parse().expect("is a number")
}

/// Number of repetitions of one callback.
const REPETITIONS: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_again_is_one_delivery_that_is_tried_again_after_it_was_said() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let bench = Bench::on(local(), store.clone()).await;
    let (application, url) = Slow::start().await;
    let request = callback(1, "room", url);
    let accept = async || callbacks(&bench).accept_callback(request.clone()).await.expect("is accepted");
    let stored = async || store.read_prefix("deliveries/").await.expect("reads").entries.len();
    accept().await;
    // The second format of the recording is ready while the application handles the first.
    let first = application
        .take(async {
            for _ in 0..REPETITIONS {
                accept().await;
                assert_eq!(stored().await, 1);
            }
        })
        .await;
    assert!(first.contains("usher-delivery: "), "it is marked: {first}");
    let over = until("it to be over", async || (stored().await == 0).then_some(()));
    // The leader may learn of each repetition on its own, and then attempts the delivery after each.
    let mut attempts = 0;
    let further = async {
        loop {
            application.take(async {}).await;
            attempts += 1;
        }
    };
    tokio::select! {
        () = over => {}
        never = further => never,
    }
    assert!((1..=REPETITIONS).contains(&attempts), "{attempts} after {REPETITIONS} repetitions");
    until("the end to be known here", async || waiting(&bench).await.is_empty().then_some(())).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_meeting_that_is_said_again_while_it_is_told_is_told_once() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let bench = Bench::on(local(), store.clone()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    let mut request = callback(1, "room", application.url("/end"));
    request.set_kind(CallbackKind::EndedMeta);
    request.set_form(CallbackForm::Get);
    for _ in 0..5 {
        callbacks(&bench).accept_callback(request.clone()).await.expect("is accepted");
    }
    application.answer(200);
    until("it to be taken", async || waiting(&bench).await.is_empty().then_some(())).await;
    assert_eq!(application.accepted().len(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_redirects_lead_to_allowed_addresses_only() {
    let inner = TestApplication::start().await.expect("listens");
    let by_name = |path: &str| format!("http://localhost:{}{path}", inner.port());
    for url in [by_name("/"), inner.url("/"), format!("http://[::ffff:127.0.0.1]:{}/", inner.port())] {
        let refused = delivered(&["10.0.0.0/8"], url, DeliveryForm::Get).await;
        assert_eq!(refused.outcome, TryOutcome::Down);
        assert!(refused.reason.contains("callbacks.allow"), "{refused:?}");
    }
    assert!(inner.received().is_empty());
    assert_eq!(
        delivered(&["127.0.0.1", "::1"], by_name("/"), DeliveryForm::Get).await.outcome,
        TryOutcome::Taken
    );

    // 127.0.0.2 plays the public address that redirects inwards.
    let outer = TestApplication::start().await.expect("listens");
    outer.redirect(302, "http://127.0.0.2:1/inwards");
    let led = delivered(&["127.0.0.1"], outer.url("/"), DeliveryForm::Get).await;
    assert!(led.reason.contains("callbacks.allow"), "{led:?}");
    outer.redirect(307, &inner.url("/moved"));
    assert_eq!(
        delivered(&["127.0.0.1"], outer.url("/"), DeliveryForm::SignedForm).await.outcome,
        TryOutcome::Taken
    );
    let moved = inner.accepted().pop().expect("came");
    assert!(moved.path == "/moved" && moved.claims(SECRET).is_some(), "{moved:?}");
    outer.redirect(302, &inner.url("/moved"));
    let posted = delivered(&["127.0.0.1"], outer.url("/"), DeliveryForm::SignedForm).await;
    assert_eq!(posted.reason, "HTTP status 302", "a POST does not become a GET");
    outer.redirect(302, &outer.url("/again"));
    assert!(delivered(&["127.0.0.1"], outer.url("/"), DeliveryForm::Get).await.reason.contains("too often"));
}

fn unsigned(number: u32, meeting: &str, url: String) -> AcceptCallbackRequest {
    let mut request = AcceptCallbackRequest { body: Vec::new().into(), ..callback(number, meeting, url) };
    request.set_kind(CallbackKind::Other);
    request.set_form(CallbackForm::Get);
    request
}

/// 1,144 unsigned requests of 60 KiB once filled the queue of all tenants, and the recording of
/// another tenant was lost.
#[tokio::test(flavor = "multi_thread")]
async fn unsigned_callbacks_of_one_address_leave_space_for_every_other_callback() {
    let bench = Bench::on(local(), Arc::new(EmbeddedStore::open(None).expect("opens in memory"))).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    let mut accepted = 0;
    for number in 0..1_144 {
        let url = application.url(&format!("/cb?n={number}&x={}", "x".repeat(60 << 10)));
        match callbacks(&bench).accept_callback(unsigned(number, "room", url)).await {
            Ok(_) => accepted += 1,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
        }
    }
    assert!((1..=64).contains(&accepted), "{accepted} of 1,144");
    let mut other = callback(2_000, "lecture", application.url("/ready"));
    other.key = Some(MeetingKey { tenant: "school".into(), ..key("lecture") });
    other.body = vec![b' '; 1 << 20].into();
    callbacks(&bench).accept_callback(other).await.expect("another tenant's recording is accepted");
    let own = callback(2_001, "room", application.url("/ready"));
    callbacks(&bench).accept_callback(own).await.expect("and the tenant's own");
    let turned_away = bench.metric("usher_deliveries_turned_away_total{reason=\"address\"}");
    assert!((turned_away - f64::from(1_144 - accepted)).abs() < 0.1, "{turned_away}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_application_is_down_leaves_half_of_the_space_to_others() {
    let mut small = local();
    small.callbacks.max_waiting = 256 << 10;
    let bench = Bench::on(small, Arc::new(EmbeddedStore::open(None).expect("opens in memory"))).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    let of = |tenant: &str, number: u32| {
        let meeting = format!("room-{number}");
        let mut request = callback(number, &meeting, application.url("/ready"));
        request.key = Some(MeetingKey { tenant: tenant.into(), ..key(&meeting) });
        request.body = vec![b' '; 4 << 10].into();
        request
    };
    let mut number = 0;
    let full = loop {
        number += 1;
        match callbacks(&bench).accept_callback(of("school", number)).await {
            Ok(_) => {
                let waits = number as usize;
                until("it to be known here", async || (waiting(&bench).await.len() == waits).then_some(()))
                    .await;
            }
            Err(status) => break status,
        }
    };
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    assert!((24..40).contains(&number), "{number} of 4 KiB are half");
    callbacks(&bench).accept_callback(of("faculty", 1_000)).await.expect("another tenant has space");
    bench.stop().await;
}
