//! Documents that clients upload: small ones are held in memory, large ones are passed on as they come.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::body::{BUFFER_MAX, BodyError, BodyLimits, BoxError, TimedBody, body_error};
use crate::{
    core::{
        admission::ByteHolder,
        document_body::{BodyFault, DocumentBody, PresentationEdit},
    },
    upstream::{RequestPayload, UploadBody, payload},
};

/// A document on its way to a server.
pub(in crate::server) enum RequestDocument {
    /// The request brings no document.
    None,
    /// The document is in memory and can be sent again.
    Held(Bytes),
    /// The document is passed on as it comes, and can be sent once.
    Streamed(StreamedDocument),
}

/// A document that is passed on as it comes.
pub(in crate::server) struct StreamedDocument {
    /// The body; `None` once it was sent.
    body: Option<RequestPayload>,
    /// The reason for which the body breaks off, if it is not the client that ends it.
    fault: Arc<OnceLock<BodyError>>,
    /// The size that the client has announced, bytes.
    announced: Option<u64>,
}

impl std::fmt::Debug for RequestDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Held(_) => "Held",
            Self::Streamed(_) => "Streamed",
        })
    }
}

impl RequestDocument {
    /// Takes a body: into memory if it is small enough, else as it comes. The part in memory has to come within
    /// `whole`: a client that sends one byte at a time would otherwise keep its share of the edge. `check` reads the same bytes, so
    /// that no server receives a whole body that it would answer with an error page.
    ///
    /// # Errors
    /// Returns an error if the beginning of the body is too large, slow, broken off or no document, or if the
    /// budget of `bytes` has no further ones.
    pub(in crate::server) async fn take(
        body: Incoming,
        mut check: Option<DocumentBody>,
        limits: BodyLimits,
        whole: Duration,
        bytes: &mut ByteHolder,
    ) -> Result<Self, BodyError> {
        let deadline = Instant::now() + whole;
        let announced = body.size_hint().exact();
        let limit = usize::try_from(limits.largest).unwrap_or(usize::MAX);
        let mut rest = Limited::new(TimedBody::new(body, limits.silence), limit);
        let mut held = BytesMut::new();
        while held.len() <= BUFFER_MAX {
            match timeout_at(deadline, rest.frame()).await.map_err(|_| BodyError::Slow)? {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        check.as_mut().map_or(Ok(()), |check| check.read(&data))?;
                        bytes.add(data.len())?;
                        held.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(body_error(error.as_ref())),
                None => {
                    check.map_or(Ok(()), |check| check.end())?;
                    return Ok(Self::Held(held.freeze()));
                }
            }
        }
        let fault = Arc::new(OnceLock::new());
        let rest = CheckedBody { inner: rest, check, fault: Arc::clone(&fault) };
        let begun = Full::new(held.freeze()).into_data_stream();
        let stream = futures::StreamExt::chain(
            futures::StreamExt::map(begun, |data| data.map_err(|never| match never {})),
            rest.into_data_stream(),
        );
        let frames = futures::StreamExt::map(stream, |data: Result<Bytes, BoxError>| data.map(Frame::data));
        let body = Some(payload(StreamBody::new(frames)));
        Ok(Self::Streamed(StreamedDocument { body, fault, announced }))
    }

    /// Returns the body for one call; `None` if it was sent already and cannot be sent again.
    pub(in crate::server) fn upload(&mut self) -> Option<UploadBody> {
        match self {
            Self::None => Some(UploadBody::None),
            Self::Held(bytes) => Some(UploadBody::HeldXml(bytes.clone())),
            Self::Streamed(document) => document.body.take().map(UploadBody::Xml),
        }
    }

    /// Returns the document after `edit`, also if it is still on its way.
    ///
    /// # Errors
    /// Returns the fault of a body that no server accepts. [`RequestDocument::take`] has refused such a body
    /// already.
    pub(in crate::server) fn edited(self, mut edit: PresentationEdit) -> Result<Self, BodyFault> {
        Ok(match self {
            Self::None => Self::None,
            Self::Held(bytes) => {
                let mut out = Vec::with_capacity(bytes.len());
                edit.pass(&bytes, &mut out)?;
                edit.end()?;
                Self::Held(out.into())
            }
            Self::Streamed(StreamedDocument { body, fault, announced }) => {
                let fault_of_edit = Arc::clone(&fault);
                let body = body.map(|inner| payload(EditedBody { inner, edit, fault: fault_of_edit }));
                Self::Streamed(StreamedDocument { body, fault, announced })
            }
        })
    }

    /// Returns whether there are no bytes to send.
    pub(in crate::server) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Held(bytes) => bytes.is_empty(),
            Self::Streamed(_) => false,
        }
    }

    /// Returns the body as `multipart/form-data` for one call; `kind` is its `Content-Type`, which names the boundary.
    pub(in crate::server) fn multipart(&mut self, kind: Option<HeaderValue>) -> UploadBody {
        match (self.upload(), kind) {
            (Some(UploadBody::HeldXml(body)), Some(kind)) => {
                UploadBody::Multipart(payload(Full::new(body)), kind)
            }
            (Some(UploadBody::Xml(body)), Some(kind)) => UploadBody::Multipart(body, kind),
            _ => UploadBody::None,
        }
    }

    /// Returns whether the document can be sent once more.
    pub(in crate::server) fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Streamed(StreamedDocument { body: None, .. }))
    }

    /// Returns the size of the document in bytes, as far as it is known.
    pub(in crate::server) fn size(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Held(bytes) => Some(bytes.len() as u64),
            Self::Streamed(document) => document.announced,
        }
    }

    /// Returns the fault of the document, or the limit that it exceeded, for which it broke off on its way.
    pub(in crate::server) fn fault(&self) -> Option<BodyError> {
        match self {
            Self::Streamed(document) => document.fault.get().copied(),
            Self::None | Self::Held(_) => None,
        }
    }
}

/// The rest of a body on its way to a server, which `check` reads too.
struct CheckedBody<B> {
    inner: B,
    check: Option<DocumentBody>,
    fault: Arc<OnceLock<BodyError>>,
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for CheckedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let judged = match (&mut self.check, &frame) {
            (Some(check), Some(Ok(frame))) => frame.data_ref().map_or(Ok(()), |data| check.read(data)),
            (Some(check), None) => check.end(),
            (None, _) | (_, Some(Err(_))) => Ok(()),
        };
        let broken = match (judged, &frame) {
            (Err(fault), _) => Some(BodyError::Faulty(fault)),
            (Ok(()), Some(Err(error))) => Some(body_error(error.as_ref())),
            (Ok(()), _) => None,
        };
        if let Some(error) = broken {
            // An error here aborts the request, so that the server never receives a whole body and does
            // not act on the part that it has.
            let _ = self.fault.set(error);
            return Poll::Ready(Some(Err(error.into())));
        }
        Poll::Ready(frame)
    }
}

/// A body on its way to a server, with the tenant's presentation.
struct EditedBody {
    inner: RequestPayload,
    edit: PresentationEdit,
    fault: Arc<OnceLock<BodyError>>,
}

impl Body for EditedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            let Some(data) = frame.data_ref() else { return Poll::Ready(Some(Ok(frame))) };
            let mut out = Vec::new();
            if let Err(fault) = self.edit.pass(data, &mut out) {
                let error = BodyError::Faulty(fault);
                let _ = self.fault.set(error);
                return Poll::Ready(Some(Err(error.into())));
            }
            // All bytes of a part may be held or left out.
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }
}
