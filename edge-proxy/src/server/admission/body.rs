//! Request bodies: limited in size, not waited for forever, and XML where they are to be.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::{
    core::document_body::{BodyFault, DocumentBody},
    upstream::{RequestPayload, UploadBody, is_too_large, payload},
};

/// Largest body that is held in memory; what is larger is passed on as it comes.
pub(in crate::server) const BUFFER_MAX: usize = 1 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum BodyError {
    #[error("the body is larger than allowed")]
    TooLarge,
    #[error("the client sends too slowly")]
    Slow,
    #[error("the client's body broke off")]
    Broken,
    #[error(transparent)]
    Faulty(#[from] BodyFault),
}

/// A body that fails when its client is silent for too long.
struct Patient {
    inner: Incoming,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Patient {
    fn new(inner: Incoming, patience: Duration) -> Self {
        Self { inner, patience, timer: Box::pin(tokio::time::sleep(patience)) }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let next = tokio::time::Instant::now() + self.patience;
            self.timer.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.timer.poll_unpin(cx));
        Poll::Ready(Some(Err(BodyError::Slow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a body that must be small, all of it within twice the patience for one silence.
pub(in crate::server) async fn read_small(
    body: Incoming,
    limit: u64,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(BUFFER_MAX);
    let whole = Limited::new(Patient::new(body, patience), limit).collect();
    let whole = tokio::time::timeout(patience * 2, whole)
        .await
        .map_err(|_| BodyError::Slow)?
        .map_err(|error| fault_of(error.as_ref()))?;
    Ok(whole.to_bytes())
}

/// Reads a body and keeps nothing of it, so that whoever sends it hears the answer.
pub(in crate::server) async fn discard(body: Incoming, patience: Duration) -> Result<(), BodyError> {
    let mut body = Patient::new(body, patience);
    let read = async {
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| fault_of(error.as_ref()))?;
        }
        Ok(())
    };
    tokio::time::timeout(patience * 2, read).await.unwrap_or(Err(BodyError::Slow))
}

/// A document on its way to a server.
pub(in crate::server) enum Document {
    /// None.
    None,
    /// In memory: it can be sent again.
    Held(Bytes),
    /// As it comes, once; it breaks off where it is found to be no document.
    Streamed(Option<RequestPayload>, Arc<OnceLock<BodyFault>>),
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Held(_) => "Held",
            Self::Streamed(..) => "Streamed",
        })
    }
}

impl Document {
    /// Takes a body: into memory if it is small enough, else as it comes, up to `limit` bytes. `check` reads
    /// it too, so that nothing is passed on, or not all of it, that no server takes.
    pub(in crate::server) async fn take(
        body: Incoming,
        mut check: Option<DocumentBody>,
        limit: u64,
        patience: Duration,
    ) -> Result<Self, BodyError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rest = Limited::new(Patient::new(body, patience), limit);
        let mut held = BytesMut::new();
        while held.len() <= BUFFER_MAX {
            match rest.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        check.as_mut().map_or(Ok(()), |check| check.read(&data))?;
                        held.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(fault_of(error.as_ref())),
                None => {
                    check.map_or(Ok(()), |check| check.end())?;
                    return Ok(Self::Held(held.freeze()));
                }
            }
        }
        let fault = Arc::new(OnceLock::new());
        let rest = Checked { inner: rest, check, fault: Arc::clone(&fault) };
        let begun = Full::new(held.freeze()).into_data_stream();
        let stream = futures::StreamExt::chain(
            futures::StreamExt::map(begun, |data| data.map_err(|never| match never {})),
            rest.into_data_stream(),
        );
        let frames = futures::StreamExt::map(stream, |data: Result<Bytes, BoxError>| data.map(Frame::data));
        Ok(Self::Streamed(Some(payload(StreamBody::new(frames))), fault))
    }

    /// Returns the body for one call; `None` when it was sent already and cannot be sent again.
    pub(in crate::server) fn upload(&mut self) -> Option<UploadBody> {
        match self {
            Self::None => Some(UploadBody::None),
            Self::Held(bytes) => Some(UploadBody::xml(bytes.clone())),
            Self::Streamed(body, _) => body.take().map(UploadBody::Xml),
        }
    }

    /// Tells whether it brings nothing.
    pub(in crate::server) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Held(bytes) => bytes.is_empty(),
            Self::Streamed(..) => false,
        }
    }

    /// Returns the body as `multipart/form-data`, with its own `Content-Type`.
    pub(in crate::server) fn multipart(mut self, kind: Option<HeaderValue>) -> UploadBody {
        match (self.upload(), kind) {
            (Some(UploadBody::Xml(body)), Some(kind)) => UploadBody::Multipart(body, kind),
            _ => UploadBody::None,
        }
    }

    /// Tells whether it can be sent once more.
    pub(in crate::server) fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Streamed(None, _))
    }

    /// Returns why it broke off on its way, if it was no document.
    pub(in crate::server) fn fault(&self) -> Option<BodyFault> {
        match self {
            Self::Streamed(_, fault) => fault.get().copied(),
            Self::None | Self::Held(_) => None,
        }
    }
}

/// The rest of a body on its way to a server, read once more.
struct Checked<B> {
    inner: B,
    check: Option<DocumentBody>,
    fault: Arc<OnceLock<BodyFault>>,
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for Checked<B> {
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
        if let Err(fault) = judged {
            // The server gets no whole body, and acts on none.
            let _ = self.fault.set(fault);
            return Poll::Ready(Some(Err(BodyError::Faulty(fault).into())));
        }
        Poll::Ready(frame)
    }
}

fn fault_of(error: &(dyn std::error::Error + 'static)) -> BodyError {
    if is_too_large(error) {
        BodyError::TooLarge
    } else if matches!(error.downcast_ref(), Some(BodyError::Slow)) {
        BodyError::Slow
    } else {
        BodyError::Broken
    }
}
