//! Election within a cluster: the oldest candidate that keeps its lease alive leads.
//!
//! The keys are those of etcd's own election (`PREFIX/LEASE`). Its RPC is not used, because it
//! blocks on one endpoint and does not renew the lease of a waiting candidate.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{
    Compare, CompareOp, GetOptions, PutOptions, SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse,
};
use futures::StreamExt;
use tokio::time::timeout;
use usher_model::revision::FencingToken;

use super::{
    endpoint_pool::EndpointPool,
    key_space::{KeySpace, end_of, number},
    watch::watch,
};
use crate::{
    core::member_choice::CallKind,
    ports::{LeaderLease, StoreEntry, StoreError},
    store::keys,
};

/// Enters a candidate and waits until it is the oldest.
pub(super) async fn campaign(
    pool: Arc<EndpointPool>,
    space: &KeySpace,
    candidate: &str,
    ttl: Duration,
) -> Result<Box<dyn LeaderLease>, StoreError> {
    loop {
        let mut lease = EtcdLease::enter(Arc::clone(&pool), space, candidate, ttl).await?;
        if lease.wait(space).await? {
            return Ok(Box::new(lease));
        }
    }
}

/// Returns the candidates, oldest first, and the revision at which they were read.
pub(super) async fn candidates(
    pool: &EndpointPool,
    space: &KeySpace,
    limit: i64,
) -> Result<(Vec<StoreEntry>, u64), StoreError> {
    let prefix = space.full(keys::ELECTION);
    let get = |client: etcd_client::Client| {
        let options = GetOptions::new()
            .with_range(end_of(&prefix))
            .with_sort(SortTarget::Create, SortOrder::Ascend)
            .with_limit(limit);
        let prefix = prefix.clone();
        async move { client.kv_client().get(prefix, Some(options)).await }
    };
    let mut response = pool.call(CallKind::Read, get).await?;
    let at = response.header().map(|header| number(header.revision())).unwrap_or_default();
    Ok((response.take_kvs().into_iter().map(|pair| space.entry(pair)).collect(), at))
}

struct EtcdLease {
    pool: Arc<EndpointPool>,
    id: i64,
    ttl: Duration,
    token: FencingToken,
}

impl EtcdLease {
    /// Takes a lease and enters the candidate under it. A repeated call leaves a lease that runs
    /// out.
    async fn enter(
        pool: Arc<EndpointPool>,
        space: &KeySpace,
        candidate: &str,
        ttl: Duration,
    ) -> Result<Self, StoreError> {
        let seconds = ttl.as_millis().div_ceil(1000).max(1);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let grant =
            |client: etcd_client::Client| async move { client.lease_client().grant(seconds, None).await };
        let granted = pool.call(CallKind::Long, grant).await?;
        let (id, ttl) = (granted.id(), Duration::from_secs(number(granted.ttl())));
        let key = space.full(&format!("{}{id:016x}", keys::ELECTION));
        // The key belongs to this lease only, so a second attempt finds the key that the first one
        // may have written.
        let put = |client: etcd_client::Client| {
            let txn = Txn::new()
                .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
                .and_then([TxnOp::put(key.as_str(), candidate, Some(PutOptions::new().with_lease(id)))])
                .or_else([TxnOp::get(key.as_str(), None)]);
            async move { client.kv_client().txn(txn).await }
        };
        let entered = pool.call(CallKind::Long, put).await?;
        let created = if entered.succeeded() {
            entered.header().map(etcd_client::ResponseHeader::revision)
        } else {
            entered.op_responses().first().and_then(|answer| match answer {
                TxnOpResponse::Get(found) => found.kvs().first().map(etcd_client::KeyValue::create_revision),
                _ => None,
            })
        };
        let create_revision = created
            .map(number)
            .ok_or_else(|| StoreError::Unknown("etcd did not say when the candidate entered".into()))?;
        Ok(Self { pool, id, ttl, token: FencingToken { key, create_revision } })
    }

    /// Waits until this candidate is the oldest; `false` if its lease ran out meanwhile.
    async fn wait(&mut self, space: &KeySpace) -> Result<bool, StoreError> {
        loop {
            let (candidates, at) = candidates(&self.pool, space, 0).await?;
            let own = candidates.iter().position(|entry| space.full(&entry.key) == self.token.key);
            match own {
                Some(0) => return Ok(true),
                None => return Ok(false),
                Some(_) => {}
            }
            let mut changes = watch(&self.pool, space, keys::ELECTION, at + 1).await?;
            // A waiting candidate renews its lease. A change, or the end of the watch, leads to a
            // new listing.
            while timeout(self.ttl / 3, changes.next()).await.is_err() {
                match self.keep_alive().await {
                    Ok(_) => {}
                    Err(StoreError::Rejected(_)) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

#[async_trait]
impl LeaderLease for EtcdLease {
    fn token(&self) -> FencingToken {
        self.token.clone()
    }

    async fn keep_alive(&mut self) -> Result<Duration, StoreError> {
        let id = self.id;
        // A hung renewal must leave time for another one before the lease runs out.
        let limit = self.pool.timeout().min(self.ttl / 2);
        let renew =
            |client: etcd_client::Client| async move { client.lease_client().keep_alive(id).await.map(drop) };
        self.pool.call_within(limit, CallKind::Read, renew).await?;
        // A lease outlives its key if another program deletes the key. Every fenced write is
        // refused then, so the candidate must not go on leading.
        let key = self.token.key.as_str();
        let get = |client: etcd_client::Client| async move { client.kv_client().get(key, None).await };
        let found = self.pool.call_within(limit, CallKind::Read, get).await?.answer;
        let created = found.kvs().first().map(|pair| number(pair.create_revision()));
        if created == Some(self.token.create_revision) {
            Ok(self.ttl)
        } else {
            Err(StoreError::Rejected("the candidate's key is gone".into()))
        }
    }

    async fn resign(self: Box<Self>) -> Result<(), StoreError> {
        let id = self.id;
        let revoke =
            |client: etcd_client::Client| async move { client.lease_client().revoke(id).await.map(drop) };
        match self.pool.call(CallKind::Long, revoke).await {
            // The lease ran out before.
            Err(StoreError::Rejected(_)) => Ok(()),
            done => done,
        }
    }
}
