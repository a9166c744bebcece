//! The answer with a file or a part of it (RFC 9110).

use std::{io, ops::Range};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom},
};
use tokio_util::io::ReaderStream;
use tracing::warn;

use crate::{
    core::{
        admission::ByteHolder,
        playback::{FilePlace, RangeAnswer, content_type, requested_range},
    },
    server::transport::{HttpResponse, ResponseBody},
};

/// The bytes that are read at once.
const CHUNK: usize = 128 << 10;
/// Seconds after which a browser may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// Pages of recordings run scripts only if they are the player of their format.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
const PLAYER_SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox allow-scripts allow-same-origin allow-downloads");

/// A file as the answer to a request.
#[derive(Debug)]
pub(super) struct FileAnswer<'p> {
    pub(super) place: &'p FilePlace,
    /// The size, bytes.
    pub(super) size: u64,
    /// The entity tag, with its quotes.
    pub(super) etag: Option<String>,
    /// The path, whose ending decides the content type.
    pub(super) path: &'p str,
    pub(super) is_download: bool,
}

/// Returns an answer without a body.
pub(super) fn status_answer(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(ResponseBody::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

/// Answers a GET or HEAD with a file, which takes its parts in memory from `holder`, the part of it that the request asks for, or that the browser has it already.
pub(super) async fn file_answer(
    request: &Request<Incoming>,
    file: FileAnswer<'_>,
    mut holder: ByteHolder,
) -> HttpResponse {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = file.etag.as_deref();
    if let (Some(etag), Some(known)) = (etag, text(header::IF_NONE_MATCH))
        && known.split(',').any(|known| ["*", etag].contains(&known.trim().trim_start_matches("W/")))
    {
        let mut response = status_answer(StatusCode::NOT_MODIFIED);
        describe(&mut response, &file);
        return response;
    }
    // A part of another version must not be joined to the parts that the browser has.
    let is_same = text(header::IF_RANGE).is_none_or(|known| Some(known) == etag);
    let range = text(header::RANGE).filter(|_| is_same);
    let (status, range) = match requested_range(range, file.size) {
        RangeAnswer::Whole => (StatusCode::OK, 0..file.size),
        RangeAnswer::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        RangeAnswer::Unsatisfiable => {
            let mut response = status_answer(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut response, header::CONTENT_RANGE, format!("bytes */{}", file.size));
            return response;
        }
    };
    let in_memory = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(2 * CHUNK);
    if request.method() != Method::HEAD && holder.add(in_memory).is_err() {
        return status_answer(StatusCode::SERVICE_UNAVAILABLE);
    }
    let body = if request.method() == Method::HEAD {
        Ok(ResponseBody::default())
    } else {
        body(file.place, range.clone(), holder).await
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            warn!(%error, file = file.path, "a file of a recording cannot be read");
            return status_answer(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end.saturating_sub(1));
        set(&mut response, header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", file.size));
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    describe(&mut response, &file);
    response
}

/// Adds the headers that say how a file is used and kept.
fn describe(response: &mut HttpResponse, file: &FileAnswer<'_>) {
    let kind = content_type(file.path);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A browser asks again before it uses its copy, so that a recording that is taken back is gone (R9).
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if kind.starts_with("text/html") || kind == "image/svg+xml" {
        let is_player = file.path == "index.html";
        headers.insert(header::CONTENT_SECURITY_POLICY, if is_player { PLAYER_SANDBOX } else { SANDBOX });
    }
    if file.is_download {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    if let Some(etag) = &file.etag {
        set(response, header::ETAG, etag.clone());
    }
}

fn set(response: &mut HttpResponse, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// Returns the bytes of a range. A file is opened before the answer begins, so that a file that is gone is no cut answer.
async fn body(place: &FilePlace, range: Range<u64>, holder: ByteHolder) -> io::Result<ResponseBody> {
    match place {
        FilePlace::Content(bytes) => {
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let part = bytes.get(at(range.start)..at(range.end)).unwrap_or_default();
            Ok(Bytes::copy_from_slice(part).into())
        }
        FilePlace::Path(path) => {
            let mut file = File::open(path).await?;
            file.seek(SeekFrom::Start(range.start)).await?;
            let part = file.take(range.end - range.start);
            let chunks = ReaderStream::with_capacity(part, CHUNK).map(move |chunk| {
                // The stream holds its part of the budget until it is dropped.
                let _ = &holder;
                chunk.map(Frame::data)
            });
            Ok(ResponseBody::streamed(StreamBody::new(chunks)))
        }
    }
}
