//! `getRecordings`: all servers at once, the answers that arrive by the deadline, each recording
//! once and only those of the caller's tenant.

use std::time::{Duration, Instant};

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ServerReply as Parsed, recordings},
    secret::Secret,
};
use usher_bbb_sim::{BbbSim, FaultKind, SimFormat, SimOptions, SimRecording, SimRecordingState};
use usher_model::{
    routing::TenantRoute,
    server::{AdminState, Health},
    tenant::TenantPolicy,
};

use crate::support::{Answer, Cluster, SECRET, signed, tenant, tokens};

const API: &str = "/bigbluebutton/api";

fn ids(answer: &Answer) -> Vec<String> {
    assert!(answer.is_success(), "{answer:?}");
    let Ok(Parsed::Success(list)) = recordings(&answer.body) else { panic!("{answer:?}") };
    list.recordings.expect("is a list").into_iter().map(|recording| recording.meeting_id).collect()
}

/// Starts three servers: recordings `a` of time 1 and `d` of time 4 on the first, `b` on the
/// second, `c` on the third.
async fn fleet() -> Cluster {
    let cluster = Cluster::start(3).await;
    for (server, id, start) in [(0, "a", 1), (1, "b", 2), (2, "c", 3), (0, "d", 4)] {
        let recording = SimRecording::new(id, start).with("course", id).with("usher-tenant", "default");
        cluster.sims[server].add_recording(recording);
    }
    cluster
}

/// Returns the recording of the wire contract's example, as a server at `base` lists it.
fn example(base: &str, of_ours: &str) -> String {
    let record = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";
    format!(
        "<response><returncode>SUCCESS</returncode><recordings><recording><recordID>{record}</recordID>\
         <meetingID>room-42</meetingID><internalMeetingID>{record}</internalMeetingID><name>Room 42</name>\
         <isBreakout>false</isBreakout><published>true</published><state>published</state>\
         <startTime>1700000000000</startTime><endTime>1700003600000</endTime><participants>3</participants>\
         <rawSize>1048576</rawSize><metadata><meetingName>Room 42</meetingName><isBreakout>false</isBreakout>\
         <meetingId>room-42</meetingId>{of_ours}</metadata><size>524288</size><playback><format>\
         <type>presentation</type><url>{base}/playback/presentation/2.3/{record}</url>\
         <processingTime>7177</processingTime><length>60</length><size>524288</size><preview><images>\
         <image alt=\"Welcome\" height=\"136\" width=\"176\">{base}/presentation/{record}/thumb-1.png</image>\
         </images></preview></format></playback><data></data></recording></recordings>"
    )
}

fn room_42(tenant: &str) -> SimRecording {
    SimRecording { name: "Room 42".into(), ..SimRecording::new("room-42", 1_700_000_000_000) }
        .with("usher-tenant", tenant)
}

#[tokio::test]
async fn the_answer_is_element_by_element_that_of_one_server() {
    let cluster = Cluster::start(2).await;
    cluster.sims[1].add_recording(room_42("default"));
    let expected = example(cluster.sims[1].base(), "");
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!(answer.tokens(), tokens(&format!("{expected}</response>")));
    let page = "<pagination><pageable><offset>0</offset><limit>25</limit><paged>true</paged>\
        <unpaged>false</unpaged></pageable><totalElements>1</totalElements><empty>false</empty></pagination>\
        <totalElements>1</totalElements></response>";
    let answer = cluster.client.call("getRecordings", "offset=0&limit=25").await;
    assert_eq!(answer.tokens(), tokens(&format!("{expected}{page}")));
    let none = "<response><returncode>SUCCESS</returncode><recordings></recordings>\
        <messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message></response>";
    assert_eq!(cluster.client.call("getRecordings", "meetingID=none").await.tokens(), tokens(none));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = format!("{API}/getRecordings?{}", signed("getRecordings", "state=any"));
    let posted = cluster.client.send("POST", &path, &form, "meetingID=none").await;
    assert_eq!(ids(&posted), ["room-42"], "a form beside a signed query");
    let path = format!("{API}/getRecordings");
    let body = format!("meetingID=room-42&{}", signed("getRecordings", ""));
    assert_eq!(ids(&cluster.client.send("POST", &path, &form, body).await), ["room-42"]);
}

#[tokio::test]
async fn recordings_of_all_servers_are_one_list_the_newest_first() {
    let cluster = fleet().await;
    cluster.sims[1].add_recording(SimRecording::new("d", 4)); // a copy on another server
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!(ids(&answer), ["d", "c", "b", "a"]);
    assert!(!answer.body.contains("usher") && !answer.headers.contains_key("usher-missing-servers"));
    for (query, expected) in [
        ("meetingID=a%2Cc", vec!["c", "a"]),
        ("meta_course=b", vec!["b"]),
        ("meta_course=%25c%25&meetingID=c,a", vec!["c"]),
        ("meta_course=", vec!["d", "c", "b", "a"]),
        ("meta_usher-tenant=default", vec![]),
        ("offset=1&limit=2", vec!["c", "b"]),
        ("offset=3&limit=2", vec!["a"]),
        ("offset=4&limit=2", vec![]),
        ("offset=99&limit=2", vec![]),
        ("state=deleted", vec![]),
    ] {
        assert_eq!(ids(&cluster.client.call("getRecordings", query).await), expected, "{query}");
    }
    let record = cluster.sims[2].recordings()[0].record_id.clone();
    for query in [format!("recordID={record}"), format!("recordID={}&meetingID=a", &record[..40])] {
        assert_eq!(ids(&cluster.client.call("getRecordings", &query).await), ["c"], "{query}");
    }
    let page = cluster.client.call("getRecordings", "offset=1&limit=2").await;
    assert_eq!(page.text("totalElements"), "4");
}

#[tokio::test]
async fn states_and_odd_ids_reach_the_servers_as_they_are_meant() {
    let cluster = Cluster::start(1).await;
    let unready = SimRecording { ready_at_ms: u64::MAX, ..SimRecording::new("c", 3) };
    for recording in [
        SimRecording::new("100% a+b", 1),
        SimRecording::new("b", 2).in_state(SimRecordingState::Unpublished),
        unready.in_state(SimRecordingState::Processing),
        SimRecording::new("d", 4).in_state(SimRecordingState::Deleted),
    ] {
        cluster.sims[0].add_recording(recording);
    }
    for (query, expected) in [
        ("", vec!["b", "100% a+b"]),
        ("state=any", vec!["d", "c", "b", "100% a+b"]),
        ("state=processing,deleted", vec!["d", "c"]),
        ("meetingID=100%25%20a%2Bb", vec!["100% a+b"]),
        ("meetingID=100%2525%2520a%252Bb", vec!["100% a+b"]),
    ] {
        assert_eq!(ids(&cluster.client.call("getRecordings", query).await), expected, "{query}");
    }
    let many: Vec<String> = (0..400).map(|index| format!("meeting-number-{index}")).collect();
    let query = format!("meetingID=b,{}", many.join(","));
    assert_eq!(ids(&cluster.client.call("getRecordings", &query).await), ["b"]);
    let last = cluster.sims[0].calls().pop().expect("was asked");
    assert_eq!(last.method, "POST", "too long for a URL");
}

/// Lets the lists of the tenant `default` be partial.
async fn tolerate_missing_parts(cluster: &Cluster) {
    let policy = TenantPolicy { partial_recordings: true, ..TenantPolicy::default() };
    cluster.plane.set_tenant(TenantRoute { policy, ..tenant("default", &[SECRET], &[]) });
    cluster.settled().await;
}

/// Applications delete the recordings that a list does not contain: a list without the part of a
/// server that has not answered would be a deletion.
#[tokio::test]
async fn a_list_without_a_servers_part_is_refused_as_retryable() {
    let cluster = fleet().await;
    for kind in [FaultKind::Refuse, FaultKind::Status500, FaultKind::Html, FaultKind::ChecksumError] {
        cluster.sims[1].faults().set(kind).await;
        for query in ["", "meetingID=b", "state=any&offset=0&limit=2"] {
            let answer = cluster.client.call("getRecordings", query).await;
            assert!(answer.is_retryable(), "{kind:?} {query}: {answer:?}");
        }
        cluster.sims[1].faults().clear().await;
    }
    assert_eq!(ids(&cluster.client.call("getRecordings", "").await), ["d", "c", "b", "a"]);
    assert!(cluster.metric("usher_edge_refused_lists_total") >= 12.0);
    cluster.sims[1].faults().set(FaultKind::HangOnAccept).await;
    let begun = Instant::now();
    assert!(cluster.client.call("getRecordings", "").await.is_retryable());
    assert!(begun.elapsed().as_millis() < 1_900, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_healthy_server_may_take_longer_for_its_recordings_than_for_other_calls() {
    let cluster = Cluster::start_with(2, |settings| {
        settings.meetings.call_timeout = Duration::from_millis(500);
        settings.meetings.recordings_timeout = Duration::from_secs(20);
    })
    .await;
    for (server, id) in [(0, "a"), (1, "b")] {
        cluster.sims[server].add_recording(SimRecording::new(id, 1 + server as u64));
    }
    cluster.sims[1].faults().set(FaultKind::Slow(Duration::from_millis(1200))).await;
    assert_eq!(ids(&cluster.client.call("getRecordings", "").await), ["b", "a"]);
}

#[tokio::test]
async fn s8_a_slow_or_dead_server_makes_the_list_partial_and_marked_and_neither_late_nor_a_failure() {
    let cluster = fleet().await;
    tolerate_missing_parts(&cluster).await;
    cluster.sims[1].faults().set(FaultKind::HangOnAccept).await;
    let begun = Instant::now();
    let answer = cluster.client.call("getRecordings", "").await;
    assert!(begun.elapsed().as_millis() < 1_900, "{:?}", begun.elapsed());
    assert_eq!(ids(&answer), ["d", "c", "a"]);
    assert_eq!(answer.headers["usher-missing-servers"], "1");
    assert!(cluster.metric("usher_edge_partial_lists_total") >= 1.0);
    for kind in [FaultKind::Status500, FaultKind::Html, FaultKind::CutXml, FaultKind::ChecksumError] {
        cluster.sims[1].faults().clear().await;
        cluster.sims[1].faults().set(kind).await;
        let answer = cluster.client.call("getRecordings", "").await;
        assert_eq!(ids(&answer), ["d", "c", "a"], "{kind:?}");
        assert_eq!(answer.headers["usher-missing-servers"], "1", "{kind:?}");
    }
    for sim in &cluster.sims {
        sim.faults().set(FaultKind::Status500).await;
    }
    assert!(cluster.client.call("getRecordings", "").await.is_retryable(), "an empty list would be a lie");
}

#[tokio::test]
async fn an_offline_server_is_missing_at_once_and_a_disabled_one_still_has_its_recordings() {
    let cluster = fleet().await;
    cluster.plane.alter_server("s0", |server| server.admin = AdminState::Disabled);
    cluster.plane.alter_server("s1", |server| server.health = Health::Offline);
    cluster.settled().await;
    assert!(cluster.client.call("getRecordings", "").await.is_retryable());
    tolerate_missing_parts(&cluster).await;
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!(ids(&answer), ["d", "c", "a"]);
    assert_eq!(answer.headers["usher-missing-servers"], "1");
    assert!(cluster.sims[1].calls().is_empty());
}

/// A server that is off for long must not make every list fail: an operator gives its part up by
/// disabling it.
#[tokio::test]
async fn a_disabled_server_need_not_answer_and_a_cordoned_one_must() {
    let cluster = fleet().await;
    let set = async |admin, health| {
        cluster.plane.alter_server("s1", |server| (server.admin, server.health) = (admin, health));
        cluster.settled().await;
    };
    for admin in [AdminState::Enabled, AdminState::Cordoned] {
        set(admin, Health::Offline).await;
        assert!(cluster.client.call("getRecordings", "").await.is_retryable(), "{admin:?}");
    }
    set(AdminState::Disabled, Health::Offline).await;
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!(ids(&answer), ["d", "c", "a"]);
    assert_eq!(answer.headers["usher-missing-servers"], "1");
    set(AdminState::Disabled, Health::Online).await;
    cluster.sims[1].faults().set(FaultKind::Refuse).await;
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!((ids(&answer).len(), &answer.headers["usher-missing-servers"]), (3, &"1".parse().unwrap()));
}

#[tokio::test]
async fn a_server_that_lists_only_pages_is_read_to_the_end() {
    let cluster = Cluster::start(1).await;
    let recordings = (0..230).map(|index| {
        let mut recording = SimRecording::new(&format!("m{index}"), index);
        let video = SimFormat { kind: "video".into(), ..recording.formats[0].clone() };
        recording.formats.push(video);
        recording
    });
    let options = SimOptions {
        recordings: recordings.collect(),
        fetch_all: false,
        ..SimOptions::new("server-secret-0")
    };
    let sim = BbbSim::start(options).await.expect("a free port");
    cluster.plane.alter_server("s0", |server| server.url = sim.url());
    cluster.settled().await;
    let answer = cluster.client.call("getRecordings", "").await;
    assert_eq!(ids(&answer).len(), 230);
    assert_eq!(answer.body.matches("<type>video</type>").count(), 230);
    assert!(!answer.headers.contains_key("usher-missing-servers"));
}

#[tokio::test]
async fn two_tenants_with_equal_ids_see_each_its_own() {
    let cluster = Cluster::start(2).await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    cluster.sims[0].add_recording(SimRecording::new("room", 1));
    cluster.sims[0].add_recording(SimRecording::new("school~room", 2).with("usher-tenant", "school"));
    cluster.sims[1].add_recording(SimRecording::new("room", 3).with("usher-tenant", "default"));
    cluster.sims[1].add_recording(SimRecording::new("other~room", 4).with("usher-tenant", "other"));
    let school = async |query: &str| {
        let query = sign_query(
            ChecksumAlgorithm::Sha256,
            "getRecordings",
            query.to_owned(),
            &Secret::new("school-secret"),
        );
        cluster.client.get(&format!("/school{API}/getRecordings?{query}")).await
    };
    for query in ["", "meetingID=room", "state=any"] {
        let answer = school(query).await;
        assert_eq!((ids(&answer), answer.text("startTime")), (vec!["room".to_owned()], "2"), "{query}");
        assert!(!answer.body.contains(">school~") && !answer.body.contains("usher"), "{answer:?}");
    }
    for query in ["meetingID=other~room", "meetingID=school~room", "meta_usher-tenant=default"] {
        assert!(ids(&school(query).await).is_empty(), "{query}");
    }
    let default = cluster.client.call("getRecordings", "state=any").await;
    assert_eq!(ids(&default), ["room", "room"]);
    assert!(ids(&cluster.client.call("getRecordings", "meetingID=school~room").await).is_empty());
    let theirs = cluster.sims[0].recordings()[1].record_id.clone();
    assert!(ids(&cluster.client.call("getRecordings", &format!("recordID={theirs}")).await).is_empty());
}

#[tokio::test]
async fn faults_of_a_call_are_refused_in_bbbs_words_and_order() {
    let cluster = Cluster::start(1).await;
    for call in ["getRecordings", "publishRecordings", "updateRecordings", "deleteRecordings"] {
        for query in ["", "&checksum=", &format!("&checksum={}", "0".repeat(64))] {
            let answer = cluster.client.get(&format!("{API}/{call}?recordID=a&publish=true{query}")).await;
            let said = (answer.key(), answer.text("message").to_owned());
            let expected = ("checksumError".into(), "You did not pass the checksum security check".into());
            assert_eq!(said, expected, "{call} {query}");
        }
        for repeated in ["recordID=a&recordID=b&publish=true", "recordID=a&record%49D=b&publish=true"] {
            assert_eq!(cluster.client.call(call, repeated).await.key(), "validationError", "{call}");
        }
    }
    let wrong = "0".repeat(40);
    for (call, query, key) in [
        ("publishRecordings", "publish=true", "missingParamRecordID"),
        ("publishRecordings", "recordID=a", "missingParamPublish"),
        ("deleteRecordings", "recordID=", "missingParamRecordID"),
        ("updateRecordings", "meta_a=b", "missingParamRecordID"),
    ] {
        assert_eq!(cluster.client.call(call, query).await.key(), key, "{call}");
        let unsigned = cluster.client.get(&format!("{API}/{call}?{query}&checksum={wrong}")).await;
        assert_eq!(unsigned.key(), key, "{call}: parameters before the checksum's value");
        let without = cluster.client.get(&format!("{API}/{call}?{query}")).await;
        assert_eq!(without.key(), "checksumError", "{call}: its presence before parameters");
    }
    for call in ["publishRecordings", "deleteRecordings"] {
        let path = format!("{API}/{call}?{}", signed(call, "recordID=a&publish=true"));
        assert_eq!(cluster.client.send("POST", &path, &[], "").await.key(), "unsupportedRequest");
    }
    assert!(cluster.sims[0].calls().is_empty());
}
