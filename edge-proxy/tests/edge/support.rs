//! The parts that every test needs: a fake control plane, an edge, servers, and a client that
//! signs.

mod client;
mod cluster;
mod plane;

use std::{future::Future, time::Duration};

pub(crate) use client::{Answer, Client, raw, signed, tokens};
pub(crate) use cluster::{Cluster, SECRET, key, settings, tenant, with_time_for_documents};
pub(crate) use plane::{FakePlane, Heard, ended};

/// Waits until a condition holds, and fails the test if it never does.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "never came true: {what}");
}
