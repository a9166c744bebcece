//! The cell of a callback or event. Each cell has a key of its own, which opens the addresses that the cell sealed
//! and no others; so the number of keys that are tried is bounded by the number of cells (ADR 40).

use futures::future::join_all;
use http::{Request, StatusCode};
use hyper::body::Incoming as Body;
use tracing::debug;

use super::{callbacks::CallbackReceiver, server_answer::answer};
use crate::{core::callbacks::sealed, server::transport::HttpResponse};

/// Gives callbacks and events to the receivers of their cells.
#[derive(Debug)]
pub(in crate::server) struct CallbackCells {
    /// The receivers of all cells, in the order of the configuration; there is at least one.
    receivers: Vec<CallbackReceiver>,
}

impl CallbackCells {
    /// Returns the cells of these receivers; `None` if there are none.
    pub(in crate::server) fn new(receivers: Vec<CallbackReceiver>) -> Option<Self> {
        (!receivers.is_empty()).then_some(Self { receivers })
    }

    /// Answers a request to an address of callbacks.
    pub(in crate::server) async fn answer(&self, request: Request<Body>) -> HttpResponse {
        match &*self.receivers {
            [only] => only.answer(request).await,
            _ => self.answer_in_cell(request).await,
        }
    }

    async fn answer_in_cell(&self, request: Request<Body>) -> HttpResponse {
        let sealed = sealed(request.uri().path()).unwrap_or_default();
        let is_delivery = |receiver: &&CallbackReceiver| receiver.is_own_delivery(&request);
        if self.receivers.iter().any(|receiver| is_delivery(&receiver)) {
            debug!("a callback that a cell of this edge delivers comes back to it, and is not taken");
            return self.refuse(StatusCode::LOOP_DETECTED);
        }
        if let Some(receiver) = self.owner(sealed) {
            return receiver.answer(request).await;
        }
        let keyless = || self.receivers.iter().filter(|receiver| !receiver.addresses.has_key());
        if keyless().next().is_none() {
            return self.refuse(StatusCode::NOT_FOUND);
        }
        join_all(keyless().map(|receiver| receiver.addresses.first_key())).await;
        match self.owner(sealed) {
            Some(receiver) => receiver.answer(request).await,
            // It may be one of the cell whose key is not known yet, and a server forgets an address that does
            // not exist.
            None if keyless().next().is_some() => self.refuse(StatusCode::SERVICE_UNAVAILABLE),
            None => self.refuse(StatusCode::NOT_FOUND),
        }
    }

    fn owner(&self, sealed: &str) -> Option<&CallbackReceiver> {
        self.receivers.iter().find(|receiver| receiver.addresses.opens(sealed))
    }

    fn refuse(&self, status: StatusCode) -> HttpResponse {
        if let [first, ..] = &*self.receivers {
            first.metrics.callback(status);
        }
        answer(status)
    }
}
