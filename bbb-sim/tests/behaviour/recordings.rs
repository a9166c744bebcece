//! Recordings: their origin, their lists, and their changes.

use std::time::Duration;

use usher_bbb_sim::{SimOptions, SimRecording, SimRecordingState};

use crate::support::{SECRET, call, client, end, fetch, start, start_with, until};

/// Returns the `recordID`s of an answer, in order.
fn ids(body: &str) -> Vec<&str> {
    let parts = body.split("<recordID>").skip(1);
    parts.filter_map(|part| part.split_once("</recordID>").map(|(id, _)| id)).collect()
}

fn options(recordings: Vec<SimRecording>) -> SimOptions {
    SimOptions { recordings, ..SimOptions::new(SECRET) }
}

#[tokio::test]
async fn a_recorded_meeting_becomes_a_recording_once_it_was_processed() {
    let sim = start_with(SimOptions { processing: Duration::from_millis(50), ..options(Vec::new()) }).await;
    call(&sim, "create", "meetingID=room-42&name=Room&record=true&meta_Course=math").await;
    call(&sim, "create", "meetingID=other&name=Other").await;
    for id in ["room-42", "other"] {
        assert!(end(&sim, &format!("meetingID={id}")).await.succeeded());
    }
    let known = sim.recordings();
    assert_eq!(known.len(), 1, "{known:?}");
    until(|| sim.recordings()[0].state == SimRecordingState::Published).await;
    let listed = call(&sim, "getRecordings", "meetingID=room-42").await;
    assert_eq!(listed.text("internalMeetingID"), known[0].record_id);
    assert_eq!((listed.text("course"), listed.text("type")), ("math", "presentation"));
}

#[tokio::test]
async fn lists_are_filtered_as_bbb_filters_them() {
    let sim = start_with(options(vec![
        SimRecording::new("room-42", 17).with("course", "math 101"),
        SimRecording::new("room+1", 18).in_state(SimRecordingState::Unpublished),
        SimRecording {
            ready_at_ms: u64::MAX,
            ..SimRecording::new("other", 19).in_state(SimRecordingState::Processing)
        },
    ]))
    .await;
    sim.add_recording(SimRecording::new("gone", 20).in_state(SimRecordingState::Deleted));
    for (query, count) in [
        ("", 2),
        ("state=any", 4),
        ("state=deleted,unpublished", 2),
        ("meetingID=other,room-42&state=any", 2),
        ("meetingID=room%252B1", 1),
        ("meetingID=room%2B1", 0),
        ("recordID=6fea&meetingID=other", 1),
        ("meta_course=math+101", 1),
        ("meta_Course=%25th%25&state=any", 1),
        ("meta_course=math%25", 1),
        ("meta_course=%25101", 1),
        ("meta_course=math", 0),
    ] {
        let answer = call(&sim, "getRecordings", query).await;
        assert_eq!(ids(&answer.body).len(), count, "{query}: {}", answer.body);
    }
    assert_eq!(call(&sim, "getRecordings", "meta_course=").await.status, 500);
}

#[tokio::test]
async fn pages_count_formats_and_end_in_an_exception() {
    let mut twice = SimRecording::new("b", 2);
    twice.formats.push(twice.formats[0].clone());
    let sim = start_with(SimOptions {
        fetch_all: false,
        ..options(vec![SimRecording::new("a", 1), twice, SimRecording::new("c", 3)])
    })
    .await;
    let refused = call(&sim, "getRecordings", "").await;
    assert_eq!((refused.succeeded(), refused.key()), (true, "noRecordings"));
    assert!(!refused.body.contains("<recordings"), "{}", refused.body);
    let page = call(&sim, "getRecordings", "limit=2&offset=1").await;
    assert_eq!((ids(&page.body).len(), page.text("totalElements")), (1, "4"));
    assert_eq!(call(&sim, "getRecordings", "limit=0").await.text("limit"), "1");
    assert_eq!(call(&sim, "getRecordings", "limit=5&offset=5").await.status, 500);
}

#[tokio::test]
async fn recordings_are_published_updated_and_deleted() {
    let recording = SimRecording::new("room-42", 17).in_state(SimRecordingState::Unpublished).with("a", "1");
    let id = recording.record_id.clone();
    let sim = start_with(options(vec![recording])).await;
    let answer = call(&sim, "publishRecordings", &format!("recordID=none,{id}&publish=True")).await;
    assert_eq!(
        answer.body,
        "<response><returncode>SUCCESS</returncode><published>True</published></response>"
    );
    assert_eq!(sim.recordings()[0].state, SimRecordingState::Published);
    let update = format!("recordID={id}&meta_A=&meta_B=2&meta_c_d=3");
    assert_eq!(call(&sim, "updateRecordings", &update).await.text("updated"), "true");
    assert_eq!(sim.recordings()[0].metadata, [("b".to_owned(), "2".to_owned())]);
    let delete = format!("recordID={id}");
    assert_eq!(call(&sim, "deleteRecordings", &delete).await.text("deleted"), "true");
    assert_eq!(call(&sim, "deleteRecordings", &delete).await.key(), "notFound");
    for (query, key) in [("publish=true", "missingParamRecordID"), ("recordID=x", "missingParamPublish")] {
        assert_eq!(call(&sim, "publishRecordings", query).await.key(), key);
        let unsigned = format!("{}publishRecordings?{query}&checksum={}", sim.url(), "0".repeat(64));
        assert_eq!(fetch(client().get(unsigned)).await.unwrap().key(), key, "before the checksum's value");
        let without = format!("{}publishRecordings?{query}", sim.url());
        assert_eq!(fetch(client().get(without)).await.unwrap().key(), "checksumError");
    }
}

#[tokio::test]
async fn text_tracks_are_put_and_listed_in_json() {
    let sim = start().await;
    sim.add_recording(SimRecording::new("room-42", 17));
    let id = sim.recordings()[0].record_id.clone();
    let tracks = format!("recordID={id}");
    assert!(call(&sim, "getRecordingTextTracks", &tracks).await.body.contains("noCaptionsFound"));
    let put = async |query: String, file: &str| {
        let body = format!(
            "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{file}\r\n--X--\r\n"
        );
        let request = client().post(sim.signed_url("putRecordingTextTrack", &query)).body(body);
        fetch(request.header("content-type", "multipart/form-data; boundary=X")).await.unwrap().body
    };
    let good = format!("{tracks}&kind=subtitles&lang=en_US&label=English");
    assert!(put(good.clone(), "").await.contains("empty_uploaded_text_track"));
    assert!(put(good.clone(), "WEBVTT").await.contains("upload_text_track_success"));
    assert!(put(format!("{tracks}&kind=noise&lang=en"), "x").await.contains("invalidKind"));
    assert!(put(format!("{tracks}&kind=captions&lang=xx__"), "x").await.contains("invalidLang"));
    assert!(put(good.replace("recordID=", "recordID=0"), "x").await.contains("noRecordings"));
    let listed = call(&sim, "getRecordingTextTracks", &tracks).await.body;
    assert!(listed.contains("\"en-US\"") && listed.contains("/subtitles_en-US.vtt"), "{listed}");
    assert_eq!(sim.recordings()[0].tracks[0].text, "WEBVTT");
}
