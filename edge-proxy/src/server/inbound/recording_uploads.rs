//! Uploads of recordings: requests of servers that the edge passes on to the recordings library as they are. The library
//! verifies their signatures.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rand::seq::IndexedRandom as _;
use tokio::sync::Semaphore;
use tracing::warn;
use usher_runtime::{
    repeated_warnings::RequestWarnings,
    server_connector::{ConnectorError, ServerConnector},
};

use crate::{
    control::library::LibraryClient,
    metrics::RequestMetrics,
    server::{
        admission::body::TimedBody,
        transport::{HttpResponse, ResponseBody},
    },
};

/// Where the addresses of uploads begin.
const ROOT: &str = "/usher/recordings/";
/// The most uploads under way. An upload holds a connection and a few buffers for its whole length.
const UPLOADS_MAX: usize = 64;
/// The longest time to connect to a library.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time after which idle connections are closed.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Seconds after which a server may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");
/// The headers that are passed on, there and back.
const PASSED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("upload-offset"),
    header::RETRY_AFTER,
];

/// Passes uploads on to the library.
#[derive(Debug)]
pub(in crate::server) struct RecordingUploads {
    libraries: Vec<LibraryClient>,
    client: Client<ServerConnector, TimedBody>,
    /// The longest silence of a server within a request.
    silence: Duration,
    places: Semaphore,
    warnings: RequestWarnings,
    metrics: RequestMetrics,
}

impl RecordingUploads {
    /// Returns the uploads to `libraries`.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub(in crate::server) fn new(
        libraries: Vec<LibraryClient>,
        silence: Duration,
        metrics: RequestMetrics,
    ) -> Result<Self, ConnectorError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .build(ServerConnector::new(CONNECT_TIMEOUT)?);
        let (places, warnings) = (Semaphore::new(UPLOADS_MAX), RequestWarnings::default());
        Ok(Self { libraries, client, silence, places, warnings, metrics })
    }

    /// Returns whether an address is one of uploads.
    pub(in crate::server) fn is_address(path: &str) -> bool {
        path.starts_with(ROOT)
    }

    /// Passes a request on and its answer back. If the library does not answer, the server may try again: what it has
    /// sent is stored, or is sent once more.
    pub(in crate::server) async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let mut response = self.passed_on(request).await.unwrap_or_else(unavailable);
        // The transport knows the answers of handlers by this header.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.metrics.recording_upload(response.status());
        response
    }

    async fn passed_on(&self, request: Request<Incoming>) -> Option<HttpResponse> {
        let _place = self.places.try_acquire().ok()?;
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query()?;
        let library = self.libraries.iter().find(|library| !library.addresses().is_empty())?;
        let address = library.addresses().choose(&mut rand::rng()).cloned()?;
        let uri: Uri = format!("{}{path}", address.trim_end_matches('/')).parse().ok()?;
        let mut passed = Request::new(TimedBody::new(body, self.silence));
        (*passed.method_mut(), *passed.uri_mut()) = (parts.method, uri);
        copy(&parts.headers, passed.headers_mut());
        match self.client.request(passed).await {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let mut response = HttpResponse::new(ResponseBody::streamed(body));
                *response.status_mut() = parts.status;
                copy(&parts.headers, response.headers_mut());
                Some(response)
            }
            Err(error) => {
                if let Some(held_back) = self.warnings.admit("recording upload", "") {
                    warn!(%error, held_back, "the recordings library does not answer an upload");
                }
                None
            }
        }
    }
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for name in &PASSED {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

fn unavailable() -> HttpResponse {
    let mut response = HttpResponse::new(ResponseBody::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}
