//! Voice bridges of meetings: the numbers that servers receive, and the answers to a telephone
//! system about its callers.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::StatusCode;
use quick_xml::{Reader, XmlVersion, events::Event};
use usher_bbb::{query::encode, secret::Secret};
use usher_model::{
    routing::TenantRoute,
    server::{AdminState, Health},
    tenant::TenantPolicy,
};

use crate::support::{Answer, Cluster, Heard, SECRET, key, tenant};

const PASSWORD: &str = "dial-in-password";

async fn with_telephones(servers: usize) -> Cluster {
    Cluster::start_with(servers, |settings| {
        settings.voice.fsapi_password = Some(Secret::new(PASSWORD));
        settings.voice.max_call = std::time::Duration::from_hours(2);
    })
    .await
}

async fn ask_as(cluster: &Cluster, user: &str, form: &str) -> Answer {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(user));
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    cluster.client.send("POST", "/fsapi", &headers, form.to_owned()).await
}

/// Returns the actions that a `FreeSWITCH` receives for a caller who typed `pin`.
async fn told(cluster: &Cluster, pin: &str) -> Vec<(String, String)> {
    let form = format!(
        "hostname=fs&section=dialplan&tag_name=&Event-Name=REQUEST_PARAMS&Caller-Destination-Number={pin}\
         &Caller-Caller-ID-Name=%22Ann%22%20%3CB%3E%20%24%7Bsystem(id)%7D&variable_pin={pin}&variable_x=%00%ff"
    );
    actions(&ask_as(cluster, &format!("fsapi:{PASSWORD}"), &form).await)
}

/// Returns the actions of a dial plan, read with an XML parser.
fn actions(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/xml; charset=utf-8");
    let mut reader = Reader::from_str(&answer.body);
    let mut actions = Vec::new();
    loop {
        match reader.read_event().expect("is well-formed") {
            Event::Eof => return actions,
            Event::Empty(element) if element.name().as_ref() == "action" => {
                let value = |name: &str| {
                    let attribute = element.try_get_attribute(name).expect("attributes");
                    attribute.map_or_else(String::new, |attribute| {
                        attribute.normalized_value(XmlVersion::Implicit1_0).expect("a value").into_owned()
                    })
                };
                actions.push((value("application"), value("data")));
            }
            _ => {}
        }
    }
}

fn last(actions: &[(String, String)]) -> (&str, &str) {
    let (application, data) = actions.last().expect("an action");
    (application, data)
}

/// Returns the voice bridges of the meetings that a server runs.
fn number_at(cluster: &Cluster, server: usize) -> Vec<String> {
    let calls = cluster.sims[server].calls().into_iter().filter(|call| call.name == "create");
    let query = |query: String| {
        let pairs = usher_bbb::query::RawQuery::new(&query);
        pairs.first("voiceBridge").unwrap_or_default().into_owned()
    };
    calls.map(|call| query(call.query)).collect()
}

#[tokio::test]
async fn servers_get_the_number_of_the_meeting_in_place_of_the_applications() {
    let cluster = Cluster::start(1).await;
    cluster.plane.give_numbers(&[12_345]);
    let created = cluster.client.call("create", "meetingID=room&name=Room&voiceBridge=70001").await;
    assert_eq!(created.text("voiceBridge"), "12345");
    cluster.confirmed("room").await;
    for again in ["meetingID=room&name=Room", "meetingID=room&name=Room&voiceBridge=70002"] {
        assert_eq!(cluster.client.call("create", again).await.text("voiceBridge"), "12345");
    }
    assert_eq!(number_at(&cluster, 0), ["12345", "12345", "12345"]);
    let shown = cluster.client.call("getMeetingInfo", "meetingID=room").await;
    assert_eq!(shown.text("voiceBridge"), "12345");
    let breakout = "meetingID=b1&name=Breakout&isBreakout=true&parentMeetingID=room&sequence=1&voiceBridge=7";
    let policy = TenantPolicy { dial_number: "+49 30 1".into(), ..TenantPolicy::default() };
    assert!(cluster.client.call("create", breakout).await.is_success());
    assert_eq!(number_at(&cluster, 0).last().map(String::as_str), Some("7"), "the server makes its number");
    cluster.plane.set_tenant(TenantRoute { policy, ..tenant("default", &[SECRET], &[]) });
    cluster.settled().await;
    cluster.plane.give_numbers(&[]);
    let other =
        cluster.client.call("create", "meetingID=other&name=Room&dialNumber=123&voiceBridge=70002").await;
    assert_eq!((other.text("dialNumber"), other.text("voiceBridge")), ("+49 30 1", "70002"));
}

#[tokio::test]
async fn a_number_that_a_meeting_on_the_server_has_gives_way_to_another() {
    let cluster = Cluster::start(1).await;
    assert!(
        cluster.client.call("create", "meetingID=foreign&name=Room&voiceBridge=12345").await.is_success()
    );
    cluster.plane.give_numbers(&[12_345, 12_346]);
    let created = cluster.client.call("create", "meetingID=room&name=Room").await;
    assert_eq!(created.text("voiceBridge"), "12346");
    let abandoned = |heard: &Heard| matches!(heard, Heard::Abandoned { definite: true, .. });
    assert_eq!(cluster.plane.count(abandoned), 1);
}

#[tokio::test]
async fn a_caller_with_a_pin_reaches_the_right_server_and_any_other_gets_the_prompt() {
    let cluster = with_telephones(2).await;
    cluster.plane.alter_server("s1", |route| route.url = route.url.replace("127.0.0.1", "localhost"));
    cluster.settled().await;
    cluster.plane.give_numbers(&[12_345]);
    cluster.client.create("room").await;
    cluster.plane.give_numbers(&[23_456]);
    cluster.client.create("other%20room").await;
    cluster.confirmed("other room").await;
    let host = |id: &str| if cluster.home(id) == 0 { "127.0.0.1" } else { "localhost" };
    for (pin, id) in
        [("12345", "room"), ("23456", "other room"), ("234561", "other room"), ("2345616", "other room")]
    {
        let told = told(&cluster, pin).await;
        let expected = [
            ("set", format!("meeting_id={id}")),
            ("set", "effective_caller_id_name=\"Ann\" <B> _{system(id)}".to_owned()),
            ("bridge", format!("sofia/external/{pin}@{}", host(id))),
        ];
        assert_eq!(told, expected.map(|(application, data)| (application.to_owned(), data)));
    }
    // The edge calls no control plane, because the table is enough.
    let heard = cluster.plane.heard().len();
    cluster.plane.kill().await;
    assert_eq!(last(&told(&cluster, "12345").await).0, "bridge");
    for pin in ["99999", "12346", "1234", "abc", "%2A1", "123450"] {
        let told = told(&cluster, pin).await;
        assert_eq!(told[0], ("playback".into(), "conference/conf-bad-pin.wav".into()), "{pin}");
        assert_eq!(last(&told), ("transfer", "${pin} XML public"), "{pin}");
    }
    assert_eq!(cluster.plane.heard().len(), heard);
    assert!(cluster.metric("usher_edge_dial_ins_total{answer=\"connected\"}") >= 5.0);
}

#[tokio::test]
async fn a_caller_gets_the_prompt_for_a_pin_first() {
    let cluster = with_telephones(0).await;
    let form = "section=dialplan&Caller-Destination-Number=%2B49301";
    let answer = ask_as(&cluster, &format!("fsapi:{PASSWORD}"), form).await;
    let actions = actions(&answer);
    assert_eq!(actions[1], ("sched_hangup".into(), "+7200 normal_clearing".into()));
    let digits = r"5 11 3 7000 # conference/conf-enter_conf_pin.wav conference/conf-bad-pin.wav pin \d+";
    assert!(actions.contains(&("play_and_get_digits".into(), digits.into())), "{actions:?}");
    let other = ask_as(&cluster, &format!("fsapi:{PASSWORD}"), "section=directory&user=1").await;
    assert!(
        other.status == StatusCode::OK && other.body.contains("<result status=\"not found\"/>"),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_offline_is_not_rung_up() {
    let cluster = with_telephones(1).await;
    cluster.plane.give_numbers(&[12_345]);
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    for (admin, health) in [(AdminState::Enabled, Health::Offline), (AdminState::Disabled, Health::Online)] {
        cluster.plane.alter_server("s0", |route| (route.admin, route.health) = (admin, health));
        cluster.settled().await;
        assert_eq!(last(&told(&cluster, "12345").await), ("hangup", "NORMAL_TEMPORARY_FAILURE"));
    }
    cluster.plane.alter_server("s0", |route| route.admin = AdminState::Enabled);
    cluster.plane.change(false, |delta| {
        delta.meetings.insert(key("room"), None);
    });
    cluster.settled().await;
    assert_eq!(last(&told(&cluster, "12345").await).0, "transfer", "the number is nobody's");
}

#[tokio::test]
async fn dial_in_answers_only_with_the_password_and_never_without_a_configured_one() {
    let cluster = with_telephones(1).await;
    let form = "section=dialplan&Caller-Destination-Number=1&variable_pin=12345";
    let users = [
        format!("fsapi:{SECRET}"),
        "fsapi:".to_owned(),
        format!("admin:{PASSWORD}"),
        format!("fsapi:{PASSWORD}x"),
        PASSWORD.to_owned(),
    ];
    for user in users {
        let answer = ask_as(&cluster, &user, form).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"usher\"");
        assert_eq!(answer.body, "");
    }
    let bare = cluster.client.send("POST", "/fsapi", &[], form).await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cluster.client.get("/fsapi").await.key(), "unsupportedRequest");
    let large = format!("{form}&x={}", encode(&"y".repeat(2 << 20)));
    assert_eq!(ask_as(&cluster, &format!("fsapi:{PASSWORD}"), &large).await.status, StatusCode::BAD_REQUEST);
    assert!((cluster.metric("usher_edge_shed_total{reason=\"body_size\"}") - 1.0).abs() < 0.1);
    let closed = Cluster::start(1).await;
    assert_eq!(ask_as(&closed, &format!("fsapi:{PASSWORD}"), form).await.key(), "unsupportedRequest");
}
