//! What etcd commits at most in the way the control plane writes: guarded puts, gathered.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::load::Seen;

const GATHERED: usize = 64;
const UNDER_WAY: usize = 4;

/// Commits for `time`; the rate is of guarded puts, the times are of whole transactions.
pub(crate) async fn measure(endpoints: &[String], time: Duration) -> Result<Seen> {
    let client = Client::connect(endpoints, None).await?;
    let (begin, mut writers) = (Instant::now(), JoinSet::new());
    for writer in 0..UNDER_WAY {
        let client = client.clone();
        writers.spawn(commit(client, writer, begin + time));
    }
    let (mut micros, mut puts) = (Histogram::new(3)?, 0);
    while let Some(seen) = writers.join_next().await {
        let seen = seen??;
        puts += seen.len() * GATHERED as u64;
        micros.add(seen)?;
    }
    Ok(Seen { rate: puts as f64 / begin.elapsed().as_secs_f64(), micros })
}

async fn commit(mut client: Client, writer: usize, end: Instant) -> Result<Histogram<u64>> {
    let mut micros = Histogram::new(3)?;
    let value = [b'v'; 120];
    for round in 0.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let puts = (0..GATHERED).map(|number| {
            let key = format!("raw/{writer}/{round}/{number}");
            let absent = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
            TxnOp::txn(Txn::new().when([absent]).and_then([TxnOp::put(key, value, None)]))
        });
        let done = client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await?;
        ensure!(done.succeeded(), "a transaction without a guard succeeds");
        micros.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
    }
    Ok(micros)
}
