//! A client of the BBB API, which signs requests and does not follow redirects.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ReplyHeader, json_outcome, outcome},
    query::RawQuery,
    secret::Secret,
};

use super::SECRET;

/// The longest time that a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the edge.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Reads the answer as BBB's XML.
    pub(crate) fn outcome(&self) -> ReplyHeader {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.headers["content-type"], "text/xml;charset=utf-8");
        assert_eq!(self.headers["cache-control"], "no-cache");
        outcome(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns the `messageKey` of the answer.
    pub(crate) fn key(&self) -> String {
        self.outcome().key
    }

    /// Returns whether the call succeeded.
    pub(crate) fn is_success(&self) -> bool {
        self.outcome().success
    }

    /// Returns whether the answer is the complete retryable error.
    pub(crate) fn is_retryable(&self) -> bool {
        let outcome = self.outcome();
        !outcome.success && outcome.key == "serverUnavailable" && self.headers.contains_key("retry-after")
    }

    /// Returns the text of an element.
    pub(crate) fn text(&self, element: &str) -> &str {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let start = self.body.find(&open).unwrap_or_else(|| panic!("no {element}: {}", self.body));
        let rest = &self.body[start + open.len()..];
        &rest[..rest.find(&close).expect("the element ends")]
    }

    /// Returns the markup and the texts of the answer in order, without the white space between
    /// them.
    pub(crate) fn tokens(&self) -> Vec<String> {
        tokens(&self.body)
    }

    /// Reads the answer as the JSON of a call about text tracks: return code, key and message.
    pub(crate) fn json(&self) -> ReplyHeader {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json;charset=utf-8");
        json_outcome(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns the target of the redirect: the address, and separately its raw query.
    pub(crate) fn location(&self) -> (String, String) {
        assert_eq!(self.status, StatusCode::FOUND, "{self:?}");
        let location = self.headers["location"].to_str().expect("is ASCII");
        let (address, query) = location.split_once('?').expect("has a query");
        (address.to_owned(), query.to_owned())
    }

    /// Returns the query of the redirect without the checksum.
    pub(crate) fn redirected_query(&self) -> String {
        let (_, query) = self.location();
        let signed = RawQuery::new(&query).take_checksum().expect("is signed");
        signed.query.into_owned()
    }
}

/// Splits XML into its markup and its texts, as [`Answer::tokens`] does.
pub(crate) fn tokens(xml: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for part in xml.split_inclusive('>') {
        let (text, tag) = part.split_at(part.find('<').unwrap_or(part.len()));
        tokens.extend(
            [text.trim(), tag.trim()].into_iter().filter(|token| !token.is_empty()).map(str::to_owned),
        );
    }
    tokens
}

/// Returns a query with its checksum.
pub(crate) fn signed(call: &str, query: &str) -> String {
    sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &Secret::new(SECRET))
}

/// A client of one edge.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
    pub(crate) address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { http: legacy::Client::builder(TokioExecutor::new()).build_http(), address }
    }

    /// Sends a signed GET.
    pub(crate) async fn call(&self, call: &str, query: &str) -> Answer {
        self.get(&format!("/bigbluebutton/api/{call}?{}", signed(call, query))).await
    }

    /// Sends a GET for an unchanged path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Bytes::new()).await
    }

    /// Sends a request of any kind.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("is a request");
        let exchange = async {
            let (head, body) = self.http.request(request).await.expect("is answered").into_parts();
            let body = body.collect().await.expect("is whole").to_bytes();
            let body = String::from_utf8(body.into()).expect("is text");
            Answer { status: head.status, headers: head.headers, body }
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("is answered in time")
    }

    /// Creates a meeting, which must succeed.
    pub(crate) async fn create(&self, id: &str) -> Answer {
        let answer = self.call("create", &format!("meetingID={id}&name=Room")).await;
        assert!(answer.is_success(), "{answer:?}");
        answer
    }

    /// Joins a meeting as a moderator.
    pub(crate) async fn join(&self, id: &str) -> Answer {
        self.call("join", &format!("meetingID={id}&fullName=Ada&role=MODERATOR")).await
    }
}

/// Sends bytes unchanged and returns all bytes until the connection is closed.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        // The edge may close the connection during the write: only its answer counts.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("the connection ends in time")
}
