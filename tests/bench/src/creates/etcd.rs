//! The maximum that etcd commits for the writes of Usher: guarded puts, single and grouped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::measurement::LoadSlice;

/// The size of a value in bytes, similar to that of a stored record.
pub(super) const VALUE: usize = 160;

/// The form in which puts reach etcd.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PutShape {
    /// The number of guarded puts in one transaction, each decided independently.
    pub(crate) gathered: usize,
    /// The number of transactions in progress.
    pub(crate) under_way: usize,
}

impl PutShape {
    /// One guarded put in each transaction.
    pub(crate) const ALONE: Self = Self { gathered: 1, under_way: 128 };

    /// The groups that the control plane's committer sends.
    pub(crate) const GATHERED: Self = Self { gathered: 64, under_way: 4 };
}

/// Writes puts for `time`, each with a new key.
pub(crate) async fn puts(endpoints: &[String], shape: PutShape, time: Duration) -> Result<LoadSlice> {
    let mut client = Client::connect(endpoints, None).await?;
    // The revision distinguishes the keys of this slice from those of earlier ones.
    let revision = client.get("raw", None).await?.header().context("an answer has a header")?.revision();
    let (begin, mut writers) = (Instant::now(), JoinSet::new());
    for writer in 0..shape.under_way {
        let prefix = format!("raw/{revision}/{writer}");
        writers.spawn(write(client.clone(), shape.gathered, prefix, begin + time));
    }
    let mut micros = Histogram::new(3)?;
    while let Some(seen) = writers.join_next().await {
        micros.add(seen??)?;
    }
    Ok(LoadSlice::new(micros, begin.elapsed(), None))
}

async fn write(mut client: Client, gathered: usize, prefix: String, end: Instant) -> Result<Histogram<u64>> {
    let (mut micros, value) = (Histogram::new(3)?, [b'v'; VALUE]);
    for round in 0.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let guarded = |number: usize| {
            let key = format!("{prefix}/{round}/{number}");
            let absent = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
            Txn::new().when([absent]).and_then([TxnOp::put(key, value, None)])
        };
        let txn = match gathered {
            1 => guarded(0),
            _ => Txn::new().and_then((0..gathered).map(guarded).map(TxnOp::txn).collect::<Vec<_>>()),
        };
        ensure!(client.txn(txn).await?.succeeded(), "a put under a new key is not refused");
        micros.record_n(u64::try_from(sent.elapsed().as_micros())?.max(1), gathered as u64)?;
    }
    Ok(micros)
}
