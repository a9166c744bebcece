//! Bodies of answers: sent at once, or one byte at a time.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Interval, interval};

/// The body of an answer, sent at once or as a trickle.
#[derive(Debug)]
pub(crate) struct SimBody {
    rest: Bytes,
    pace: Option<Interval>,
}

impl SimBody {
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self { rest: body.into(), pace: None }
    }

    /// Returns a body that sends one byte per `pause` (at least 1 ms) until the body is complete.
    pub(crate) fn trickle(body: impl Into<Bytes>, pause: Duration) -> Self {
        Self { rest: body.into(), pace: Some(interval(pause.max(Duration::from_millis(1)))) }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = match &mut self.pace {
            None => self.rest.len(),
            Some(pace) => {
                ready!(pace.poll_tick(cx));
                1
            }
        };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
