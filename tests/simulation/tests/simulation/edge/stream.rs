//! The routing stream, followed by the rules of `edge-proxy/src/control/subscriber.rs`, over a
//! simulated link.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use usher_edge_proxy::control::{
    intake::{IntakeStep, StreamIntake},
    subscriber::SubscriberTimeouts,
};
use usher_proto::{
    SharedFrame,
    v1::{Ack, Hello, Resync, StreamRoutesRequest, stream_routes_request::Message as Outgoing},
};

use super::SimEdge;
use crate::{network::NodeLife, replica::RunningReplica};

/// The number of messages that may be in transit.
const OUTBOX: usize = 16;
/// Longest time that a cut link holds frames before the connection is closed.
const HELD: Duration = Duration::from_secs(15);

type Frames = mpsc::Receiver<Result<SharedFrame, Status>>;

impl SimEdge {
    /// Keeps a subscription to one of the control planes.
    pub(super) async fn subscribe(self: Arc<Self>) {
        let patience = SubscriberTimeouts::default();
        let mut next = self.chance.below(self.replicas.len() as u64) as usize;
        let mut failures = 0_u32;
        loop {
            let before = self.current.revision();
            if let Some(plane) = self.replicas[next % self.replicas.len()].running() {
                self.follow(&plane, &patience).await;
            }
            failures = if self.current.revision() == before { failures.saturating_add(1) } else { 0 };
            next += 1;
            let longest = match self.current.revision() {
                Some(_) => patience.spread,
                None => Duration::from_millis(50 << failures.min(6)).min(patience.eager),
            };
            sleep(self.chance.between(Duration::ZERO, longest)).await;
        }
    }

    async fn follow(self: &Arc<Self>, plane: &Arc<RunningReplica>, patience: &SubscriberTimeouts) {
        let mut intake = StreamIntake::new(self.current.clone(), false);
        let opened = timeout(patience.open, self.open(plane)).await;
        let Ok(Some((outbox, mut frames))) = opened else { return };
        loop {
            let Ok(Some(Ok(frame))) = timeout(patience.idle, frames.recv()).await else { return };
            self.net.moves(self.life.node).await;
            let Some(message) = frame.into_message().ok().and_then(|frame| frame.message) else { continue };
            let answer = match intake.take(message) {
                Ok(IntakeStep::Quiet) => continue,
                Ok(IntakeStep::Applied(revision)) => {
                    Outgoing::Ack(Ack { applied: Some(revision.into()), ..Ack::default() })
                }
                Ok(IntakeStep::Resync(reason)) => {
                    self.witness.note(&format!("e{} requests a snapshot: {reason}", self.index));
                    Outgoing::Resync(Resync { reason: reason.to_owned() })
                }
                Err(error) => {
                    self.witness.note(&format!("e{} leaves {}: {error}", self.index, plane.candidate));
                    return;
                }
            };
            drop(outbox.try_send(answer)); // the next acknowledgement covers a dropped one
        }
    }

    /// Opens a stream. Its messages take the delay of the link, and it ends with either process.
    async fn open(self: &Arc<Self>, plane: &Arc<RunningReplica>) -> Option<(mpsc::Sender<Outgoing>, Frames)> {
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let (sent, inbound) = mpsc::channel(OUTBOX);
        self.carry(&self.life, &plane.life, ReceiverStream::new(outgoing), sent);
        let hello = Hello {
            edge_id: format!("e{}", self.index),
            have: self.current.revision().map(Into::into),
            seal: self.current.seal(),
            ..Hello::default()
        };
        drop(outbox.try_send(Outgoing::Hello(hello))); // the channel has room for the first message
        let (there, plane_) = (plane.life.clone(), plane.clone());
        let inbound =
            ReceiverStream::new(inbound).map(|message| Ok(StreamRoutesRequest { message: Some(message) }));
        let patience = SubscriberTimeouts::default().open;
        let opened =
            self.net.call(&self.life, &there, patience, async move { plane_.routing()?.open(inbound).await });
        let frames = opened.await.ok()?.ok()?;
        let (delivered, received) = mpsc::channel(OUTBOX);
        self.carry(&plane.life, &self.life, frames, delivered);
        Some((outbox, received))
    }

    /// Carries a stream of messages over a link, in order.
    fn carry<T: Send + 'static>(
        &self,
        from: &NodeLife,
        to: &NodeLife,
        mut messages: impl futures::Stream<Item = T> + Send + Unpin + 'static,
        into: mpsc::Sender<T>,
    ) {
        let (net, from, to) = (self.net.clone(), from.clone(), to.clone());
        tokio::spawn(async move {
            let carried = async {
                while let Some(message) = messages.next().await {
                    sleep(net.one_way(from.node, to.node)).await;
                    net.moves(from.node).await;
                    if !net.passes(from.node, to.node, HELD).await || into.send(message).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                () = from.crashed.cancelled() => {}
                () = to.crashed.cancelled() => {}
                () = into.closed() => {}
                () = carried => {}
            }
        });
    }
}
