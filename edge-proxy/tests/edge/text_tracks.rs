//! `getRecordingTextTracks` and `putRecordingTextTrack`: answers in JSON, and a file that is
//! streamed to the server.

use usher_bbb::parse::ReplyHeader;
use usher_bbb_sim::{FaultKind, SimRecording};

use crate::support::{Answer, Cluster, signed};

const API: &str = "/bigbluebutton/api";
const KIND: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"=_Part 1?\"");

async fn fleet() -> (Cluster, String) {
    let cluster = Cluster::start(2).await;
    cluster.sims[1].add_recording(SimRecording::new("room", 17));
    let id = cluster.sims[1].recordings()[0].record_id.clone();
    (cluster, id)
}

fn body(file: &str) -> String {
    format!(
        "--=_Part 1?\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\
         Content-Type: text/vtt\r\n\r\n{file}\r\n--=_Part 1?--\r\n"
    )
}

async fn put(cluster: &Cluster, query: &str, file: &str) -> Answer {
    let path = format!("{API}/putRecordingTextTrack?{}", signed("putRecordingTextTrack", query));
    cluster.client.send("POST", &path, &[KIND], body(file)).await
}

fn key(answer: &Answer) -> (bool, String) {
    let ReplyHeader { success, key, .. } = answer.json();
    (success, key)
}

#[tokio::test]
async fn tracks_are_put_where_the_recording_is_and_listed_from_there() {
    let (cluster, id) = fleet().await;
    let tracks = format!("recordID={id}");
    assert_eq!(key(&cluster.client.call("getRecordingTextTracks", &tracks).await).1, "noCaptionsFound");
    let query = format!("recordID={id}&kind=subtitles&lang=en_US&label=English");
    let answer = put(&cluster, &query, "WEBVTT").await;
    assert_eq!(key(&answer), (true, "upload_text_track_success".into()));
    let call = cluster.sims[1].calls().into_iter().find(|call| call.name == "putRecordingTextTrack").unwrap();
    assert_eq!((call.query.as_str(), call.body.as_ref()), (query.as_str(), body("WEBVTT").as_bytes()));
    assert_eq!(call.headers["content-type"], KIND.1);
    let listed = cluster.client.call("getRecordingTextTracks", &tracks).await;
    assert!(listed.json().success && listed.body.contains("/subtitles_en-US.vtt"), "{listed:?}");
    assert!(cluster.sims[0].calls().iter().all(|call| call.name == "getRecordings"));

    let large = "x".repeat(5 << 20);
    let query = format!("recordID={id}&kind=captions&lang=de");
    assert_eq!(key(&put(&cluster, &query, &large).await), (true, "upload_text_track_success".into()));
    assert_eq!(cluster.sims[1].recordings()[0].tracks[1].text, large, "streamed");
}

#[tokio::test]
async fn failures_have_the_format_of_each_call() {
    let (cluster, id) = fleet().await;
    let good = format!("recordID={id}&kind=subtitles&lang=en");
    for (query, expected, message) in [
        ("kind=subtitles&lang=en", "paramError", "Missing param recordID."),
        ("recordID=x&lang=en", "paramError", "Missing param kind."),
        ("recordID=x&kind=captions", "paramError", "Missing param lang."),
        ("recordID=x&kind=captions&lang=en", "noRecordings", "No recording was found for x"),
        (&good.replace("=en", "=xx__"), "invalidLang", "Malformed lang param, received=xx__"),
    ] {
        let ReplyHeader { success, key, message: said } = put(&cluster, query, "WEBVTT").await.json();
        assert_eq!((success, key.as_str(), said.as_str()), (false, expected, message), "{query}");
    }
    assert_eq!(key(&put(&cluster, &good.replace("subtitles", "noise"), "x").await).1, "invalidKind");
    assert_eq!(key(&put(&cluster, &good, "").await).1, "empty_uploaded_text_track");

    let path = format!("{API}/putRecordingTextTrack?{good}");
    let without = cluster.client.send("POST", &path, &[KIND], body("x")).await;
    assert_eq!(without.json().message, "Missing param checksum.");
    assert!(without.body.starts_with("{\n    \"response\": {\n        \"returncode\": \"FAILED\""));
    let path = format!("{path}&checksum={}", "0".repeat(64));
    let wrong = cluster.client.send("POST", &path, &[KIND], body("x")).await;
    assert_eq!(wrong.key(), "checksumError", "XML, as BBB does it");
    let negotiated =
        cluster.client.send("POST", &path, &[KIND, ("accept", "application/json")], body("x")).await;
    assert_eq!(key(&negotiated).1, "checksumError");
    let path = format!("{API}/putRecordingTextTrack?{}", signed("putRecordingTextTrack", &good));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(key(&cluster.client.send("POST", &path, &form, "file=x").await).1, "unsupportedContentType");
    assert_eq!(key(&cluster.client.get(&path).await).1, "unsupportedRequest");

    let get = async |query: &str| cluster.client.call("getRecordingTextTracks", query).await;
    assert_eq!(get("").await.key(), "missingParamRecordID");
    let ReplyHeader { key: said, message, .. } = get("recordID=none").await.json();
    assert_eq!((said.as_str(), message.as_str()), ("noRecordings", "No recording found for none"));
    let unsigned = cluster.client.get(&format!("{API}/getRecordingTextTracks?recordID={id}")).await;
    assert_eq!(unsigned.key(), "checksumError");
    assert_eq!(cluster.calls("putRecordingTextTrack"), 2, "only what the server has to judge");
}

#[tokio::test]
async fn with_its_server_unreachable_a_recording_is_not_reported_missing() {
    let (cluster, id) = fleet().await;
    cluster.sims[1].faults().set(FaultKind::Refuse).await;
    let query = format!("recordID={id}&kind=subtitles&lang=en");
    for answer in
        [cluster.client.call("getRecordingTextTracks", &query).await, put(&cluster, &query, "WEBVTT").await]
    {
        assert_eq!(key(&answer), (false, "serverUnavailable".into()));
        assert!(answer.headers.contains_key("retry-after"));
    }
}
