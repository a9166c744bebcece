//! The bodies of requests to servers.

use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::BoxBody};

pub(super) type PayloadError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a request to a server.
pub type RequestPayload = BoxBody<Bytes, PayloadError>;

/// A body that the application sent with its call.
pub enum UploadBody {
    /// There is no body. Parameters that do not fit into the URL become a form.
    None,
    /// XML in memory, byte for byte.
    HeldXml(Bytes),
    /// XML that is passed on as it comes, byte for byte.
    Xml(RequestPayload),
    /// `multipart/form-data`, byte for byte, with the `Content-Type` that names the boundary.
    Multipart(RequestPayload, HeaderValue),
}

impl UploadBody {
    /// Returns the size of a body in memory, bytes; 0 if it is passed on as it comes.
    pub(super) fn size_in_memory(&self) -> usize {
        match self {
            Self::HeldXml(body) => body.len(),
            Self::None | Self::Xml(_) | Self::Multipart(..) => 0,
        }
    }
}

impl std::fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::HeldXml(_) => "HeldXml",
            Self::Xml(_) => "Xml",
            Self::Multipart(..) => "Multipart",
        })
    }
}

/// Makes a body from bytes in memory.
pub(super) fn in_memory(body: Bytes) -> RequestPayload {
    Full::new(body).map_err(|never| match never {}).boxed()
}

/// Boxes a stream of body parts.
pub fn payload<B>(body: B) -> RequestPayload
where
    B: Body<Data = Bytes, Error: Into<PayloadError>> + Send + Sync + 'static,
{
    body.map_err(Into::into).boxed()
}
