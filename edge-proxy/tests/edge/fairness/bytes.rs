//! The bytes of bodies and answers in memory.

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
