//! An HTTP receiver that records requests and answers as a test requires.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use usher_runtime::tasks::TaskGroup;

/// One request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    /// Path and query of the request.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct ReceiverState {
    received: Vec<ReceivedRequest>,
    next: VecDeque<u16>,
    always: Option<u16>,
}

/// A receiver on a free port of the loopback interface; dropping it closes the listener.
#[derive(Debug)]
pub(crate) struct RequestReceiver {
    address: SocketAddr,
    state: Arc<Mutex<ReceiverState>>,
    tasks: TaskGroup,
}

impl RequestReceiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), TaskGroup::new());
        let state: Arc<Mutex<ReceiverState>> = Arc::default();
        let (noting, connections) = (Arc::clone(&state), tasks.clone());
        tasks.spawn("receiver", |stop| async move {
            loop {
                let stream = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted?.0,
                };
                let (noting, stop) = (Arc::clone(&noting), stop.clone());
                connections.spawn_connection(async move {
                    let service = service_fn(move |request| note(Arc::clone(&noting), request));
                    tokio::select! {
                        () = stop.cancelled() => {}
                        // A failed connection is of no interest: the clients of these tests open
                        // and close many.
                        _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
                    }
                });
            }
        });
        Self { address, state, tasks }
    }

    /// Returns an address of the receiver; `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets the statuses of the next answers; redirects lead to `/elsewhere`.
    pub(crate) fn answer_next<const N: usize>(&self, statuses: [u16; N]) {
        self.state.lock().unwrap().next.extend(statuses);
    }

    /// Sets the status of all answers.
    pub(crate) fn answer_all(&self, status: u16) {
        self.state.lock().unwrap().always = Some(status);
    }

    /// Returns the requests that arrived, oldest first.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.state.lock().unwrap().received.clone()
    }
}

impl Drop for RequestReceiver {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn note(
    state: Arc<Mutex<ReceiverState>>,
    request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.received.push(ReceivedRequest {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let status = state.next.pop_front().or(state.always).unwrap_or(200);
    let response = Response::builder().status(status).header("location", "/elsewhere");
    Ok(response.body(Full::default()).unwrap())
}
