//! The calls of edges for new ids, without the call to the server: place, then confirm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use usher_proto::v1::{
    ConfirmMeetingRequest, MeetingKey, PlaceMeetingRequest, placement_service_client::PlacementServiceClient,
};

use crate::{control_plane::BenchControlPlane, machine::CpuWorker, measurement::LoadSlice, synthetic};

/// The number of creates in progress.
const UNDER_WAY: usize = 256;

/// The number of connections, as from so many edges.
const CONNECTIONS: usize = 4;

/// The size of a request digest in bytes.
const DIGEST: usize = 32;

/// A load of creates that uses each id once.
pub(crate) struct CreateLoad {
    connections: Vec<Channel>,
    control_plane: CpuWorker,
    next: Arc<AtomicUsize>,
}

impl CreateLoad {
    pub(crate) fn connect(plane: &BenchControlPlane) -> Self {
        Self {
            connections: (0..CONNECTIONS).map(|_| plane.admin().channel()).collect(),
            control_plane: plane.worker(),
            next: Arc::default(),
        }
    }

    /// Creates meetings for `time`.
    pub(crate) async fn run(&self, time: Duration) -> Result<LoadSlice> {
        let (before, begin) = (self.control_plane.cpu()?, Instant::now());
        let mut creating = JoinSet::new();
        for number in 0..UNDER_WAY {
            let client = PlacementServiceClient::new(self.connections[number % CONNECTIONS].clone());
            creating.spawn(create_until(begin + time, client, Arc::clone(&self.next)));
        }
        let mut micros = Histogram::new(3)?;
        while let Some(seen) = creating.join_next().await {
            micros.add(seen??)?;
        }
        let (took, used) = (begin.elapsed(), self.control_plane.cpu()?.saturating_sub(before));
        Ok(LoadSlice::new(micros, took, Some(used)))
    }
}

async fn create_until(
    end: Instant,
    mut client: PlacementServiceClient<Channel>,
    next: Arc<AtomicUsize>,
) -> Result<Histogram<u64>> {
    let mut micros = Histogram::new(3)?;
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(micros);
        }
        create(&mut client, next.fetch_add(1, Ordering::Relaxed)).await?;
        micros.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
    }
}

async fn create(client: &mut PlacementServiceClient<Channel>, number: usize) -> Result<()> {
    let meeting_id = synthetic::meeting_id(number);
    let internal_id = synthetic::internal_id(&meeting_id);
    let key = MeetingKey { tenant: "default".to_owned(), meeting_id };
    let ask = PlaceMeetingRequest {
        key: Some(key.clone()),
        request_digest: vec![7; DIGEST].into(),
        ..Default::default()
    };
    let placed = client.place_meeting(ask).await.context("place")?.into_inner();
    ensure!(!placed.existing, "an unused id was placed already");
    let confirm = ConfirmMeetingRequest {
        key: Some(key),
        server_id: placed.server.context("a placement names its server")?.id,
        token: placed.token,
        internal_id,
        create_time_ms: synthetic::CREATED_AT_MS,
        breakout: false,
    };
    let confirmed = client.confirm_meeting(confirm).await.context("confirm")?.into_inner();
    ensure!(confirmed.routed, "a confirmed meeting is not routed");
    Ok(())
}
