//! HTTP 4xx of a server's front end: final for the caller where another try cannot help, and no
//! evidence that the server is unhealthy.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimRecording};
use usher_model::server::Health;
use usher_runtime::tasks::TaskGroup;

use crate::support::{Answer, Cluster, Heard, key, signed};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];
const FILE: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=b")];
const SLIDES: &str = "<modules><module name=\"presentation\"><document name=\"a.pdf\">";

/// The calls that a front end refuses, and the status; it passes all others on.
type RefusedCalls = Arc<Mutex<Option<(u16, Option<ApiCall>)>>>;

/// The front end of a server.
#[derive(Debug)]
struct FrontEnd {
    status: RefusedCalls,
    refused: Arc<AtomicUsize>,
    tasks: TaskGroup,
}

impl FrontEnd {
    /// Puts a front end before server `index` of the cluster.
    async fn before(cluster: &Cluster, index: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let front = Self { status: Arc::default(), refused: Arc::default(), tasks: TaskGroup::new() };
        let (status, refused, tasks) = (front.status.clone(), front.refused.clone(), front.tasks.clone());
        let server = cluster.sims[index].address();
        front.tasks.spawn("front-end", async move |stop| {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted?.0,
                    () = stop.cancelled() => return Ok(()),
                };
                tasks.spawn_short(
                    "connection",
                    serve(stream, server, status.clone(), refused.clone(), tasks.clone()),
                );
            }
        });
        cluster.plane.alter_server(&format!("s{index}"), |route| {
            route.url = format!("http://{address}/bigbluebutton/api/");
        });
        cluster.settled().await;
        front
    }

    /// Refuses every call from now on; 0 means none.
    fn refuse(&self, status: u16) {
        *self.status.lock().expect("no test panics here") = (status > 0).then_some((status, None));
    }

    /// Refuses one call from now on, and passes all others on.
    fn refuse_only(&self, status: u16, call: ApiCall) {
        *self.status.lock().expect("no test panics here") = Some((status, Some(call)));
    }

    /// Returns the number of calls refused since the last time.
    fn refused(&self) -> usize {
        self.refused.swap(0, Ordering::SeqCst)
    }
}

/// Serves one connection: refusals are answered before the body is read, as nginx does.
async fn serve(
    stream: TcpStream,
    server: SocketAddr,
    calls: RefusedCalls,
    refused: Arc<AtomicUsize>,
    tasks: TaskGroup,
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let tasks = tasks.clone();
        let (calls, refused) = (*calls.lock().expect("no test panics here"), refused.clone());
        async move {
            let is_refused =
                |only: Option<ApiCall>| only.is_none_or(|call| request.uri().path().ends_with(call.name()));
            let Some((status, _)) = calls.filter(|(_, only)| is_refused(*only)) else {
                return forward(request, server).await;
            };
            refused.fetch_add(1, Ordering::SeqCst);
            // nginx goes on reading for a while, so that its answer is not lost with the connection.
            tasks.spawn_short("lingering", async move { request.into_body().collect().await.is_ok() });
            let mut answer = Response::new(Full::new(Bytes::from_static(b"<html>refused</html>")));
            *answer.status_mut() = StatusCode::from_u16(status).expect("is a status");
            Ok::<_, hyper::Error>(answer)
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn forward(
    request: http::Request<Incoming>,
    server: SocketAddr,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let stream = TcpStream::connect(server).await.expect("the server listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends once its sender is dropped.
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}

/// Starts a cluster with front ends, a running meeting `room` and one recording.
async fn start(servers: usize) -> (Cluster, Vec<FrontEnd>, String) {
    let cluster = Cluster::start(servers).await;
    let recording = SimRecording::new("recorded", 17);
    let id = recording.record_id.clone();
    cluster.sims[0].add_recording(recording);
    let mut fronts = Vec::new();
    for index in 0..servers {
        fronts.push(FrontEnd::before(&cluster, index).await);
    }
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    (cluster, fronts, id)
}

/// Makes every call that is sent to a server, each with a body if it takes one.
async fn call_of(cluster: &Cluster, call: ApiCall, recording: &str) -> Answer {
    let post = async |query: &str, headers: &[(&str, &str)], body: String| {
        let path = format!("/bigbluebutton/api/{call}?{}", signed(call.name(), query));
        cluster.client.send("POST", &path, headers, body).await
    };
    match call {
        ApiCall::Create => {
            post("meetingID=new&name=Room", &XML, format!("{SLIDES}QUJD</document></module></modules>")).await
        }
        ApiCall::InsertDocument => {
            post("meetingID=room", &XML, format!("{SLIDES}QUJD</document></module></modules>")).await
        }
        ApiCall::SendChatMessage => cluster.client.call("sendChatMessage", "meetingID=room&message=Hi").await,
        _ => {
            let query = format!("meetingID=room&recordID={recording}&publish=true");
            cluster.client.call(call.name(), &query).await
        }
    }
}

fn failures(cluster: &Cluster) -> usize {
    cluster.plane.count(|heard| matches!(heard, Heard::Failure { .. }))
}

#[tokio::test]
async fn a_size_that_a_server_refuses_is_final_and_named() {
    let (cluster, fronts, recording) = start(3).await;
    let home = cluster.home("room");
    for (status, name, message) in [
        (413, "validationError", "Request body is too large for the server ("),
        (414, "validationError", "Request address is too long for the server ("),
        (431, "validationError", "Request address is too long for the server ("),
        (415, "unsupportedContentType", "POST request Content-Type is missing or unsupported"),
    ] {
        for front in &fronts {
            front.refuse(status);
        }
        for one in [ApiCall::Create, ApiCall::InsertDocument] {
            let answer = call_of(&cluster, one, &recording).await;
            assert_eq!(answer.key(), name, "{status} {one}: {answer:?}");
            assert!(answer.text("message").starts_with(message), "{status} {one}: {answer:?}");
            assert!(!answer.headers.contains_key("retry-after"), "{status} {one}");
            let asked: usize = fronts.iter().map(FrontEnd::refused).sum();
            assert_eq!(asked, 1, "{status} {one}: no second server is asked");
        }
        assert!(cluster.plane.meeting(&key("new")).is_none(), "its record is gone");
        let answer = call_of(&cluster, ApiCall::GetMeetingInfo, &recording).await;
        assert_eq!(answer.key(), name, "{status}");
        assert_eq!(fronts[home].refused(), 1);
        for front in &fronts {
            front.refuse(0);
        }
        assert!(
            call_of(&cluster, ApiCall::GetMeetingInfo, &recording).await.is_success(),
            "and nothing is remembered"
        );
    }
    assert_eq!(failures(&cluster), 0, "the caller chose the size");
}

/// A body beyond 1 MiB, which stock nginx refuses, is a stream at the edge.
#[tokio::test]
async fn a_large_body_that_a_server_refuses_is_answered_with_its_size() {
    let (cluster, fronts, recording) = start(2).await;
    for front in &fronts {
        front.refuse(413);
    }
    let body = [SLIDES, &"QUJD".repeat(1 << 20), "</document></module></modules>"].concat();
    for (call, query) in [("create", "meetingID=new&name=Room"), ("insertDocument", "meetingID=room")] {
        let path = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
        let answer = cluster.client.send("POST", &path, &XML, body.clone()).await;
        let message = format!("Request body is too large for the server ({} bytes)", body.len());
        assert_eq!((answer.key().as_str(), answer.text("message")), ("validationError", message.as_str()));
        assert!(!answer.headers.contains_key("retry-after"));
        assert_eq!(fronts.iter().map(FrontEnd::refused).sum::<usize>(), 1, "{call}");
    }
    fronts[0].refuse_only(413, ApiCall::PutRecordingTextTrack);
    let query = format!("recordID={recording}&kind=captions&lang=en");
    let path =
        format!("/bigbluebutton/api/putRecordingTextTrack?{}", signed("putRecordingTextTrack", &query));
    let file = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(2 << 20)
    );
    let refused = cluster.client.send("POST", &path, &FILE, file.clone()).await;
    let (json, message) =
        (refused.json(), format!("Request body is too large for the server ({} bytes)", file.len()));
    assert_eq!((json.key, json.message), ("validationError".into(), message));
    fronts[0].refuse_only(404, ApiCall::PublishRecordings);
    let answer = call_of(&cluster, ApiCall::PublishRecordings, &recording).await;
    assert_eq!(answer.key(), "unsupportedRequest");
    assert_eq!(failures(&cluster), 0);
}

#[tokio::test]
async fn a_call_that_a_server_does_not_know_is_unsupported() {
    let (cluster, fronts, recording) = start(1).await;
    for status in [404, 405] {
        for one in [
            ApiCall::SendChatMessage,
            ApiCall::InsertDocument,
            ApiCall::IsMeetingRunning,
            ApiCall::GetMeetingInfo,
            ApiCall::End,
            ApiCall::Create,
        ] {
            fronts[0].refuse(status);
            let answer = call_of(&cluster, one, &recording).await;
            assert_eq!(answer.key(), "unsupportedRequest", "{status} {one}: {answer:?}");
            assert!(!answer.headers.contains_key("retry-after"), "{status} {one}");
            assert_eq!(fronts[0].refused(), 1, "{status} {one}");
        }
    }
    assert_eq!(failures(&cluster), 0);
    assert!(cluster.plane.meeting(&key("room")).is_some(), "the meeting of a refused end runs");
}

/// Every release has `create`: a server that does not know it is set up wrong, and another may be
/// right.
#[tokio::test]
async fn a_create_that_one_server_does_not_know_goes_to_another() {
    let (cluster, fronts, _) = start(2).await;
    fronts[0].refuse(404);
    for index in 0..4 {
        cluster.client.create(&format!("room-{index}")).await;
        assert_eq!(cluster.home(&format!("room-{index}")), 1);
    }
    // A server that takes no connection may be back soon.
    cluster.sims[1].faults().set(FaultKind::Refuse).await;
    fronts[1].refuse(503);
    let answer = cluster.client.call("create", "meetingID=last&name=Room").await;
    assert!(answer.is_retryable(), "{answer:?}");
}

#[tokio::test]
async fn other_refusals_stay_retryable() {
    let (cluster, fronts, recording) = start(1).await;
    for status in [400, 401, 403, 408, 429] {
        fronts[0].refuse(status);
        for one in [ApiCall::Create, ApiCall::GetMeetingInfo, ApiCall::End, ApiCall::InsertDocument] {
            let answer = call_of(&cluster, one, &recording).await;
            assert!(answer.is_retryable(), "{status} {one}: {answer:?}");
        }
    }
    cluster.plane.alter_server("s0", |server| server.health = Health::Online);
    cluster.settled().await;
    assert_eq!(failures(&cluster), 0);
}
