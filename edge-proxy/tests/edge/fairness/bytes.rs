//! The bytes of bodies and answers in memory.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_bbb_sim::SimRecording;

use super::crowd::{cluster, crowd_call, is_served, shed};
use crate::support::{Cluster, eventually, raw, signed};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];

fn document(size: usize) -> String {
    let begin = "<modules><module name=\"presentation\"><document name=\"a.pdf\">";
    format!("{begin}{}</document></module></modules>", "QUJD".repeat(size / 4))
}

/// An upload of tenant `crowd` that stops before its end.
async fn unfinished_upload(cluster: &Cluster) -> TcpStream {
    let mut stream = TcpStream::connect(cluster.client.address).await.expect("connects");
    let query = signed("insertDocument", "meetingID=theirs");
    let body = document(300 << 10);
    let head = format!(
        "POST /crowd/bigbluebutton/api/insertDocument?{query} HTTP/1.1\r\nhost: bbb.test\r\n\
         content-type: application/xml\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("writes");
    stream.write_all(&body.as_bytes()[..body.len() - 10]).await.expect("writes");
    stream
}

#[tokio::test]
async fn bodies_of_one_tenant_take_half_of_the_memory_and_others_are_served() {
    let cluster = cluster(1, |settings| settings.edge.memory_budget = Some(1 << 20)).await;
    assert!(crowd_call(&cluster, "create", "meetingID=theirs&name=Room").await.is_success());
    let uploads = [unfinished_upload(&cluster).await, unfinished_upload(&cluster).await];
    eventually("one of them is refused", async || shed(&cluster, "byte_budget") >= 1.0).await;
    let [mut one, mut other] = uploads;
    let (mut of_one, mut of_other) = ([0; 1024], [0; 1024]);
    let answer = tokio::select! {
        length = one.read(&mut of_one) => &of_one[..length.expect("is answered")],
        length = other.read(&mut of_other) => &of_other[..length.expect("is answered")],
    };
    let answer = String::from_utf8_lossy(answer);
    assert!(answer.contains("serverUnavailable") && answer.contains("retry-after"), "{answer}");
    is_served(&cluster, "beside").await;
    let path = format!("/bigbluebutton/api/insertDocument?{}", signed("insertDocument", "meetingID=room"));
    let inserted = cluster.client.send("POST", &path, &XML, document(200 << 10)).await;
    assert!(inserted.is_success(), "{inserted:?}");
    drop((one, other));
    let path =
        format!("/crowd/bigbluebutton/api/insertDocument?{}", signed("insertDocument", "meetingID=theirs"));
    eventually("the tenant has its memory again", async || {
        cluster.client.send("POST", &path, &XML, document(300 << 10)).await.is_success()
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_fit_into_the_memory_is_refused_and_leaves_none_of_it_in_use() {
    let cluster = cluster(1, |settings| settings.edge.memory_budget = Some(256 << 10)).await;
    for number in 0..600 {
        cluster.sims[0].add_recording(SimRecording::new("room", number));
    }
    for _ in 0..3 {
        assert!(cluster.client.call("getRecordings", "").await.is_retryable());
    }
    assert!(shed(&cluster, "byte_budget") >= 3.0);
    is_served(&cluster, "beside").await;
    let one = format!("recordID={}", cluster.sims[0].recordings()[7].record_id);
    assert!(cluster.client.call("getRecordings", &one).await.is_success());
}

#[tokio::test]
async fn requests_over_a_fixed_limit_are_counted_under_it() {
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.max_head = 16 << 10;
        settings.edge.max_body = 1000;
    })
    .await;
    let head = format!("GET /bigbluebutton/api/join?x={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(40 << 10));
    assert!(raw(cluster.client.address, head.as_bytes()).await.contains("Request head is too large"));
    eventually("the head is counted", async || shed(&cluster, "head_size") >= 1.0).await;
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let too_large = cluster.client.send("POST", &path, &XML, document(2000)).await;
    assert_eq!((too_large.key().as_str(), shed(&cluster, "body_size")), ("validationError", 1.0));
    let many = format!("meetingID=room&{}", vec!["a=1"; 1000].join("&"));
    let too_many = cluster.client.call("getMeetingInfo", &many).await;
    assert_eq!((too_many.key().as_str(), shed(&cluster, "parameters")), ("validationError", 1.0));
}

/// Sends a request that begins as given and has no end, and returns its answer.
async fn answer_to(cluster: &Cluster, begin: &str) -> String {
    let (call, query) = begin.split_once('?').expect("has a query");
    let (query, rest) = query.split_once(' ').expect("has a version");
    let begin = format!("POST /bigbluebutton/api/{call}?{} {rest}", signed(call, query));
    raw(cluster.client.address, begin.as_bytes()).await
}

/// A large document has no announced size, or stops on its way to the server: it is refused as a small one is.
#[tokio::test]
async fn documents_that_exceed_a_limit_on_their_way_are_refused_and_counted() {
    let cluster = Cluster::start_with(1, |settings| {
        settings.edge.max_body = 2 << 20;
        settings.edge.client_timeout = Duration::from_millis(500);
    })
    .await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster.sims[0].add_recording(SimRecording::new("room", 1));
    let recording = cluster.sims[0].recordings()[0].record_id.clone();
    let xml = document(3 << 20);
    let file =
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{xml}");
    let calls = [
        ("insertDocument?meetingID=room".to_owned(), "application/xml", &xml),
        ("create?meetingID=new&name=Room".to_owned(), "application/xml", &xml),
        (
            format!("putRecordingTextTrack?recordID={recording}&kind=captions&lang=de"),
            "multipart/form-data; boundary=b",
            &file,
        ),
    ];
    for (number, (call, kind, body)) in calls.iter().enumerate() {
        let head = format!("{call} HTTP/1.1\r\nhost: bbb.test\r\ncontent-type: {kind}\r\n");
        let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}", body.len());
        let answer = answer_to(&cluster, &format!("{head}{chunked}")).await;
        assert!(answer.contains("validationError") && answer.contains("too large"), "{call}: {answer}");
        assert_eq!(
            shed(&cluster, "body_size"),
            f64::from(u32::try_from(number + 1).expect("is small")),
            "{call}"
        );
        let stopped = format!("content-length: {}\r\n\r\n{}", 2 << 20, &body[..3 << 19]);
        let answer = answer_to(&cluster, &format!("{head}{stopped}")).await;
        assert!(answer.contains("validationError") && answer.contains("took too long"), "{call}: {answer}");
        assert_eq!(
            shed(&cluster, "body_time"),
            f64::from(u32::try_from(number + 1).expect("is small")),
            "{call}"
        );
    }
    assert_eq!(cluster.sims[0].meetings().len(), 1, "no server acts on a part of a document");
}

#[tokio::test]
async fn a_document_that_trickles_in_is_refused_after_the_time_of_an_upload() {
    let cluster = Cluster::start_with(1, |settings| {
        settings.meetings.upload_timeout = Duration::from_millis(700);
        settings.edge.client_timeout = Duration::from_secs(10);
    })
    .await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let mut stream = TcpStream::connect(cluster.client.address).await.expect("connects");
    let head = format!(
        "POST /bigbluebutton/api/insertDocument?{} HTTP/1.1\r\nhost: bbb.test\r\n\
         content-type: application/xml\r\ncontent-length: 65536\r\n\r\n<modules>",
        signed("insertDocument", "meetingID=room")
    );
    stream.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = vec![0; 1024];
    let length = loop {
        stream.write_all(b" ").await.expect("the edge reads on until its answer");
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer)).await;
        if let Ok(length) = read {
            break length.expect("is answered");
        }
    };
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("validationError") && answer.contains("took too long"), "{answer}");
    assert_eq!(shed(&cluster, "body_time"), 1.0);
}
