//! Creates at one control plane with a real etcd, beside what etcd itself commits at most.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use usher_common::proto::v1::{self, placement_service_client::PlacementServiceClient};
use usher_harness::cluster::Cluster;

use crate::{load::Seen, raw_etcd, report::Report};

const CLIENTS: usize = 256;
const SERVERS: usize = 20;
const TIME: Duration = Duration::from_secs(6);

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let cluster = Cluster::builder()
        .control_planes(1)
        .edges(0)
        .servers(SERVERS)
        .set("placement.max_inflight_creates", "1000000")
        .set("meetings.create_timeout", "20s")
        .set("health.unhealthy_after", "60s")
        .start()
        .await?;
    let raw = raw_etcd::measure(&cluster.etcd().endpoints(), TIME).await?;
    let creates = create(&cluster).await?;
    report.load("etcd: guarded puts, 64 to a transaction, 4 under way", &raw, None);
    let writes = Seen { rate: creates.rate * 2.0, micros: creates.micros.clone() };
    report.load("creates at one control plane (place, then confirm)", &creates, Some(&raw));
    report.load("  the same, as writes", &writes, Some(&raw));
    Ok(())
}

async fn create(cluster: &Cluster) -> Result<Seen> {
    let next = Arc::new(AtomicU64::new(0));
    let (begin, mut clients) = (Instant::now(), JoinSet::new());
    let end = begin + TIME;
    for _ in 0..CLIENTS {
        let (client, next) = (PlacementServiceClient::new(cluster.admin(0).channel()), Arc::clone(&next));
        clients.spawn(async move {
            let (mut client, mut micros) = (client, Histogram::<u64>::new(3)?);
            while Instant::now() < end {
                let sent = Instant::now();
                one(&mut client, next.fetch_add(1, Ordering::Relaxed)).await?;
                micros.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
            }
            Ok::<_, anyhow::Error>(micros)
        });
    }
    let mut micros = Histogram::new(3)?;
    while let Some(seen) = clients.join_next().await {
        micros.add(seen??)?;
    }
    Ok(Seen { rate: micros.len() as f64 / begin.elapsed().as_secs_f64(), micros })
}

/// What an edge does for a new id, but for the call to the server.
async fn one(client: &mut PlacementServiceClient<tonic::transport::Channel>, number: u64) -> Result<()> {
    let key = v1::MeetingKey { tenant: "default".to_owned(), meeting_id: format!("bench-{number}") };
    let ask = v1::PlaceMeetingRequest { key: Some(key.clone()), ..Default::default() };
    let placed = client.place_meeting(ask).await?.into_inner();
    let server = placed.server.context("a placement names its server")?;
    let confirm = v1::ConfirmMeetingRequest {
        key: Some(key),
        server_id: server.id,
        token: placed.token,
        internal_id: format!("{number:040x}-1700000000000"),
        create_time_ms: 1_700_000_000_000,
    };
    client.confirm_meeting(confirm).await?;
    Ok(())
}
