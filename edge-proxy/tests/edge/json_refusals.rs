//! Refusals of calls that answer JSON: the edge refuses them in JSON, for every reason.

use usher_bbb::call::{ApiCall, CallStrategy};
use usher_model::server::Health;

use crate::support::{Cluster, SECRET, signed, tenant};

const API: &str = "/bigbluebutton/api";

#[tokio::test]
async fn calls_of_sessions_are_refused_in_json() {
    let cluster = Cluster::start(0).await;
    let calls: Vec<ApiCall> = ApiCall::all()
        .filter(|call| call.strategy() == CallStrategy::Session && call.answers_json())
        .collect();
    assert_eq!(calls.len(), 6);
    for call in calls {
        for (method, tenant) in [("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/nobody")] {
            let path = format!("{tenant}{API}/{call}?sessionToken=x");
            let answer = cluster.client.send(method, &path, &[], "").await.json();
            assert_eq!(
                (answer.success, answer.key.as_str()),
                (false, "unsupportedRequest"),
                "{method} {path}"
            );
        }
    }
    let sign_out = cluster.client.get(&format!("{API}/signOut?sessionToken=x")).await;
    assert_eq!(sign_out.key(), "unsupportedRequest", "it answers XML");
}

#[tokio::test]
async fn calls_about_text_tracks_are_refused_in_json_for_most_reasons() {
    let cluster = Cluster::start_with(1, |settings| settings.edge.max_body = 1 << 10).await;
    cluster.plane.set_tenant(tenant("school", &[SECRET], &[]));
    cluster.plane.set_tenant({
        let mut off = tenant("off", &[SECRET], &[]);
        off.enabled = false;
        off
    });
    cluster.settled().await;
    let get =
        |query: &str| format!("{API}/getRecordingTextTracks?{}", signed("getRecordingTextTracks", query));
    let put = signed("putRecordingTextTrack", "recordID=a&kind=captions&lang=en");
    let put = format!("{API}/putRecordingTextTrack?{put}");
    let kind = [("content-type", "multipart/form-data; boundary=b")];
    let text = [("content-type", "text/plain")];
    let wide = format!("recordID=a{}", "&b".repeat(1000));
    for (method, path, headers, body, key) in [
        ("GET", get(&wide), &[][..], String::new(), "validationError"),
        ("DELETE", get("recordID=a"), &[], String::new(), "unsupportedRequest"),
        ("GET", format!("/nobody{}", get("recordID=a")), &[], String::new(), "unsupportedRequest"),
        ("GET", format!("/off{}", get("recordID=a")), &[], String::new(), "apiNotEnabled"),
        ("GET", put.clone(), &[], String::new(), "unsupportedRequest"),
        ("POST", put.clone(), &text, "x".into(), "unsupportedContentType"),
        ("POST", put.clone(), &kind, "x".repeat(2 << 10), "validationError"),
    ] {
        let answer = cluster.client.send(method, &path, headers, body).await.json();
        assert_eq!((answer.success, answer.key.as_str()), (false, key), "{method} {path}");
    }
    // As a genuine server does.
    for (path, key) in [
        (get(""), "missingParamRecordID"),
        (format!("{API}/getRecordingTextTracks?recordID=a"), "checksumError"),
    ] {
        let answer = cluster.client.get(&path).await;
        assert!(answer.body.starts_with("<response>"), "{path}: {answer:?}");
        assert_eq!(answer.key(), key, "{path}");
    }
    cluster.plane.alter_server("s0", |server| server.health = Health::Offline);
    cluster.settled().await;
    let answer = cluster.client.get(&get("recordID=a")).await;
    assert_eq!(answer.json().key, "serverUnavailable");
    assert!(answer.headers.contains_key("retry-after"));
}
