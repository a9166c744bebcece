//! The routing stream of one edge.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message as _;
use tokio::{
    sync::{Semaphore, broadcast, broadcast::error::RecvError, mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{debug, info};
use usher_model::{revision::Revision, routing::RoutingDelta};
use usher_proto::{
    SharedFrame,
    v1::{
        Heartbeat, LibraryList, RoutesDelta, Seal, StreamRoutesRequest, StreamRoutesResponse,
        stream_routes_request::Message, stream_routes_response::Message as Body,
    },
};
use usher_runtime::clock;

use super::{fan_out::RouteFanOut, shrink, snapshot};
use crate::{
    core::{fleet::Fleet, history::ResumePoint},
    tasks::{
        edges::EdgeSession,
        fleet_handle::{FleetHandle, PublishedChange},
    },
};

/// Longest time in which this replica must catch up with an edge that is ahead of it.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// Longest time that an edge waits for records that are being rebuilt; shorter than the edge's own
/// patience.
const REBUILD_WITHIN: Duration = Duration::from_secs(10);
/// Longest time in which an edge must take a frame. A slower edge is disconnected and returns with
/// the revision it has.
const TAKE_WITHIN: Duration = Duration::from_secs(10);

type Frame = Result<SharedFrame, Status>;

pub(super) struct RouteSession {
    pub(super) edge: EdgeSession,
    pub(super) fleet: FleetHandle,
    /// Addresses of the recordings libraries.
    pub(super) libraries: watch::Receiver<Vec<String>>,
    pub(super) fan_out: RouteFanOut,
    /// The revision that the edge holds, by its last acknowledgement.
    pub(super) held: Option<Revision>,
    pub(super) heartbeat: Duration,
    pub(super) snapshots: Arc<Semaphore>,
    pub(super) stopping: CancellationToken,
    pub(super) sender: mpsc::Sender<Frame>,
}

/// The reason why a stream ends.
enum SessionEnd {
    /// The edge closed the connection.
    Gone,
    /// The edge receives this status and reconnects.
    Told(Status),
}

/// Shortest time between two seals of one stream. A seal costs a hash and a frame for each edge, so
/// a burst of changes shares one.
const SEAL_EVERY: Duration = Duration::from_millis(100);

impl RouteSession {
    /// Serves the edge until either side ends the stream.
    pub(super) async fn run<I>(mut self, inbound: I)
    where
        I: Stream<Item = Result<StreamRoutesRequest, Status>> + Send + Unpin,
    {
        let stopping = self.stopping.clone();
        let end = tokio::select! {
            () = stopping.cancelled() => SessionEnd::Told(Status::unavailable("this control plane is shutting down")),
            end = self.serve(inbound) => end,
        };
        match end {
            SessionEnd::Gone => debug!("edge stream ended"),
            SessionEnd::Told(status) => {
                info!(reason = status.message(), "edge stream ended");
                let _ = self.sender.try_send(Err(status)); // a full or closed stream ends all the same
            }
        }
    }

    async fn serve<I>(&mut self, mut inbound: I) -> SessionEnd
    where
        I: Stream<Item = Result<StreamRoutesRequest, Status>> + Send + Unpin,
    {
        let mut changes = self.fan_out.subscribe();
        let mut sent = match self.bring_up_to_date(self.held).await {
            Ok(sent) => sent,
            Err(end) => return end,
        };
        if let Err(end) = self.seal().await {
            return end;
        }
        if !self.libraries.borrow_and_update().is_empty()
            && let Err(end) = self.name_libraries().await
        {
            return end;
        }
        let mut libraries = self.libraries.clone();
        let mut beat = tokio::time::interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sealing = tokio::time::interval(SEAL_EVERY);
        sealing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sealed = sent;
        loop {
            let step = tokio::select! {
                // A seal follows a change at once if the last seal is old enough, because a control
                // plane cannot trust a revision that the edge holds without a seal (ADR 19).
                _ = sealing.tick(), if sealed != sent => {
                    sealed = sent;
                    self.seal().await.map(|()| sent)
                }
                request = inbound.next() => match request {
                    Some(Ok(request)) => self.heard(request, &mut changes, sent).await,
                    None | Some(Err(_)) => Err(SessionEnd::Gone),
                },
                change = changes.recv() => self.changed(change, sent).await,
                Ok(()) = libraries.changed() => self.name_libraries().await.map(|()| sent),
                _ = beat.tick() => self.beat(sent).await,
            };
            match step {
                Ok(revision) => sent = revision,
                Err(end) => return end,
            }
        }
    }

    async fn heard(
        &mut self,
        request: StreamRoutesRequest,
        changes: &mut broadcast::Receiver<PublishedChange>,
        sent: Revision,
    ) -> Result<Revision, SessionEnd> {
        match request.message {
            Some(Message::Ack(ack)) => {
                if let Some(applied) = ack.applied.map(Revision::from) {
                    self.held = Some(applied);
                    self.edge.acknowledged(applied, sent, clock::now());
                }
                if !ack.shed.is_empty() {
                    self.edge.reported(ack.shed.into_iter().map(|shed| (shed.reason, shed.count)));
                }
                Ok(sent)
            }
            Some(Message::Resync(resync)) => {
                info!(reason = resync.reason, "edge asks for a snapshot");
                *changes = self.fan_out.subscribe();
                self.send_snapshot().await
            }
            Some(Message::Hello(_)) | None => Err(SessionEnd::Told(Status::invalid_argument(
                "after `hello` only `ack` and `resync` follow",
            ))),
        }
    }

    async fn changed(
        &mut self,
        change: Result<PublishedChange, RecvError>,
        sent: Revision,
    ) -> Result<Revision, SessionEnd> {
        match change {
            Ok(PublishedChange::Delta(delta)) if sent.reaches(delta.revision()) => Ok(sent),
            Ok(PublishedChange::Delta(delta)) if delta.base() == sent => {
                self.send(Ok(SharedFrame::Encoded(delta.encoded(delta_frame)))).await?;
                self.edge.sent(clock::now());
                Ok(delta.revision())
            }
            // The stream was brought past `base` meanwhile. The part of the delta that it lacks leads
            // it to where the other streams are, so that they share the next frame again.
            Ok(PublishedChange::Delta(delta)) => {
                let missing = self.fleet.between(sent, delta.revision());
                self.resume(missing, sent).await
            }
            // The stream fell behind, or another epoch began.
            Ok(PublishedChange::Reset) | Err(RecvError::Lagged(_)) => self.bring_up_to_date(Some(sent)).await,
            Err(RecvError::Closed) => Err(SessionEnd::Told(Status::unavailable("the fleet is gone"))),
        }
    }

    /// Continues from `have` by one delta if the history reaches back far enough, else by a
    /// snapshot.
    async fn bring_up_to_date(&mut self, have: Option<Revision>) -> Result<Revision, SessionEnd> {
        let Some(have) = have else { return self.send_snapshot().await };
        // An edge never goes back (I10), so an edge that comes from a newer replica waits for this
        // one.
        let behind = self.fleet.revision().epoch == have.epoch && !self.fleet.revision().reaches(have);
        if behind && self.alive_during(self.fleet.reach(have, CATCH_UP_WITHIN)).await.is_err() {
            return Err(SessionEnd::Told(Status::unavailable(
                "this control plane is behind the edge's table",
            )));
        }
        self.resume(self.fleet.since(have), have).await
    }

    /// Sends the way that leads on from `have`.
    async fn resume(&mut self, way: ResumePoint, have: Revision) -> Result<Revision, SessionEnd> {
        match way {
            ResumePoint::UpToDate => Ok(have),
            ResumePoint::Snapshot => self.send_snapshot().await,
            ResumePoint::Delta(delta) => {
                let message = Some(Body::Delta(RoutesDelta::from(&delta)));
                self.send(Ok(SharedFrame::Decoded(StreamRoutesResponse { message }))).await?;
                self.edge.sent(clock::now());
                Ok(delta.revision)
            }
        }
    }

    /// Sends the whole table that is current when the stream's turn comes.
    async fn send_snapshot(&mut self) -> Result<Revision, SessionEnd> {
        let snapshots = self.snapshots.clone();
        let (turn, (table, shrink_allowed)) = loop {
            self.alive_during(self.rebuilt()).await?;
            let turn = self.alive_during(snapshots.acquire()).await;
            // Another epoch may have begun while the stream waited for its turn.
            let fit = |fleet: &Fleet| (fleet.routing().clone(), shrink::is_genuine(fleet, self.held));
            if let Some(fit) = self.fleet.read(|fleet| self.is_fit(fleet).then(|| fit(fleet))) {
                break (turn, fit);
            }
        };
        for message in snapshot::frames(&table, shrink_allowed) {
            self.send(Ok(SharedFrame::Decoded(message))).await?;
        }
        drop(turn);
        self.edge.sent(clock::now());
        Ok(table.revision())
    }

    /// Waits until a store that lost its records is rebuilt. Until then the edge's own table is the
    /// better one (design 8).
    async fn rebuilt(&self) -> Result<(), SessionEnd> {
        let mut revisions = self.fleet.revisions();
        let until = clock::now() + REBUILD_WITHIN;
        while !self.fleet.read(|fleet| self.is_fit(fleet)) {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(SessionEnd::Told(Status::unavailable("records are being rebuilt from polls")));
            }
            let _ = tokio::time::timeout(left, revisions.changed()).await;
        }
        Ok(())
    }

    /// Returns whether the edge may replace its table by this fleet's: a store that lost its
    /// records must not replace it.
    fn is_fit(&self, fleet: &Fleet) -> bool {
        self.held.is_none_or(|held| held.epoch == fleet.revision().epoch)
            || (shrink::is_genuine(fleet, self.held) && !self.fleet.awaits_more(fleet, clock::now()))
    }

    /// Sends heartbeats during a wait, because an edge leaves a stream that is silent for several
    /// heartbeats.
    async fn alive_during<T>(&self, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        let mut beat = tokio::time::interval(self.heartbeat);
        beat.reset();
        loop {
            tokio::select! {
                done = &mut wait => return done,
                _ = beat.tick() => {
                    let alive = StreamRoutesResponse { message: None };
                    // A full stream needs no heartbeat: the edge has frames to read.
                    let _ = self.sender.try_send(Ok(SharedFrame::Decoded(alive)));
                }
            }
        }
    }

    /// Sends a heartbeat with the digest of the table that the edge must hold now. Revisions that
    /// changed no route are sent first, so that an idle edge does not look behind.
    async fn beat(&mut self, sent: Revision) -> Result<Revision, SessionEnd> {
        let sent = self.bring_up_to_date(Some(sent)).await?;
        let (revision, digest) =
            self.fleet.read(|fleet| (fleet.routing().revision(), fleet.routing().digest().0));
        if revision == sent {
            let heartbeat = Heartbeat { revision: Some(revision.into()), digest };
            let message = Some(Body::Heartbeat(heartbeat));
            self.send(Ok(SharedFrame::Decoded(StreamRoutesResponse { message }))).await?;
        }
        self.seal().await?;
        Ok(sent)
    }

    /// Sends the seal of the fleet's revision, which the edge brings back if the store loses its
    /// past.
    async fn seal(&mut self) -> Result<(), SessionEnd> {
        let Some(seal) = self.fleet.seal() else { return Ok(()) };
        let seal = Seal { revision: Some(seal.revision.into()), mac: seal.mac };
        let message = Some(Body::Seal(seal));
        self.send(Ok(SharedFrame::Decoded(StreamRoutesResponse { message }))).await
    }

    /// Sends the addresses of the recordings libraries.
    async fn name_libraries(&mut self) -> Result<(), SessionEnd> {
        let addresses = self.libraries.borrow().clone();
        let message = Some(Body::Libraries(LibraryList { addresses }));
        self.send(Ok(SharedFrame::Decoded(StreamRoutesResponse { message }))).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), SessionEnd> {
        match tokio::time::timeout(TAKE_WITHIN, self.sender.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SessionEnd::Gone),
            Err(_) => Err(SessionEnd::Told(Status::resource_exhausted("the edge takes frames too slowly"))),
        }
    }
}

/// Encodes a delta as a frame.
fn delta_frame(base: Revision, delta: &RoutingDelta) -> Bytes {
    let wire = RoutesDelta { base: Some(base.into()), ..RoutesDelta::from(delta) };
    StreamRoutesResponse { message: Some(Body::Delta(wire)) }.encode_to_vec().into()
}
