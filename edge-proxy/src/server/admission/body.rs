//! The limits of request bodies: their size, and the silence of a client that sends one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::{
    core::{
        admission::{ByteHolder, OverByteBudget},
        document_body::BodyFault,
    },
    upstream::is_too_large,
};

/// Largest body that is held in memory, bytes. A larger document is passed on as it comes, and other
/// bodies are refused.
pub(in crate::server) const BUFFER_MAX: usize = 1 << 20;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The reasons why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum BodyError {
    #[error("the body is larger than allowed")]
    TooLarge,
    #[error("the client sends too slowly")]
    Slow,
    #[error("the client's body broke off")]
    Broken,
    #[error(transparent)]
    Faulty(#[from] BodyFault),
    #[error(transparent)]
    OverBudget(#[from] OverByteBudget),
}

/// The limits of one request body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Largest body, bytes.
    pub(crate) largest: u64,
    /// Longest silence of the client between two parts of the body.
    pub(crate) silence: Duration,
}

/// A body that fails if its client is silent for too long.
pub(in crate::server) struct TimedBody {
    inner: Incoming,
    silence: Duration,
    timer: Pin<Box<Sleep>>,
}

impl TimedBody {
    /// Wraps a body whose client may be silent for `silence`.
    pub(in crate::server) fn new(inner: Incoming, silence: Duration) -> Self {
        Self { inner, silence, timer: Box::pin(tokio::time::sleep(silence)) }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let next = tokio::time::Instant::now() + self.silence;
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

/// Reads a body into memory, and takes its bytes from the budget as they come. All of it has to come within
/// twice the longest silence: a client that sends one byte at a time would otherwise hold its request open for
/// as long as it likes.
///
/// # Errors
/// Returns an error if the body is larger than the limits or [`BUFFER_MAX`] allow, slow, or broken off, or
/// if the budget has no further bytes for its owner.
pub(in crate::server) async fn read_small(
    body: Incoming,
    limits: BodyLimits,
    bytes: &mut ByteHolder,
) -> Result<Bytes, BodyError> {
    let largest = usize::try_from(limits.largest).unwrap_or(usize::MAX).min(BUFFER_MAX);
    let mut body = Limited::new(TimedBody::new(body, limits.silence), largest);
    let read = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|error| body_error(error.as_ref()))?.into_data() {
                bytes.add(data.len())?;
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    };
    tokio::time::timeout(limits.silence * 2, read).await.unwrap_or(Err(BodyError::Slow))
}

/// Reads a body to its end and keeps none of it, so that its sender reads the answer: a sender whose
/// connection closes while it still sends sees a failed request.
///
/// # Errors
/// Returns an error if the body is slow or broken off.
pub(in crate::server) async fn discard(body: Incoming, silence: Duration) -> Result<(), BodyError> {
    let mut body = TimedBody::new(body, silence);
    let read = async {
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| body_error(error.as_ref()))?;
        }
        Ok(())
    };
    tokio::time::timeout(silence * 2, read).await.unwrap_or(Err(BodyError::Slow))
}

/// Returns the reason in an error of [`Limited`] or [`TimedBody`].
pub(super) fn body_error(error: &(dyn std::error::Error + 'static)) -> BodyError {
    if is_too_large(error) {
        BodyError::TooLarge
    } else if matches!(error.downcast_ref(), Some(BodyError::Slow)) {
        BodyError::Slow
    } else {
        BodyError::Broken
    }
}
