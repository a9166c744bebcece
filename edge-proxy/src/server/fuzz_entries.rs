//! Entries of the fuzz targets to readers of bytes that only the server itself needs.

use bytes::Bytes;
use futures::FutureExt;

use super::admission::multipart;
pub use super::transport::{ProxyHeaderVerdict, proxy_header};

/// Returns the text parts of a multipart body of this content type as a form; `None` if the content type
/// names no boundary, or the body is refused.
pub fn multipart_form(content_type: &str, body: &[u8]) -> Option<String> {
    let boundary = multipart::boundary(content_type)?;
    let body = Bytes::copy_from_slice(body);
    // The whole body is there, so that the reader never waits.
    multipart::as_form(body, boundary).now_or_never()?.ok()
}
