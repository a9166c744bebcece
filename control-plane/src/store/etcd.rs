//! The store of a cluster: etcd 3.4 and newer.
//!
//! The adapter adds the configured prefix to every key and removes it again. Every call has a
//! deadline, and its error says whether the call is not done, perhaps done, or refused.

mod auth_failure;
mod call_failure;
mod connect;
mod election;
mod endpoint;
mod endpoint_pool;
mod key_space;
mod listing_pages;
mod txn;
mod watch;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Client, GetOptions, GetResponse, KeyValue, SortOrder, SortTarget};
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use usher_model::settings::StoreSettings;

pub use self::connect::ConnectError;
use self::{
    endpoint_pool::EndpointPool,
    key_space::{KeySpace, end_of, number, revision},
    listing_pages::{ListingPages, PageRead},
};
use super::keys;
use crate::core::{member_choice::CallKind, upkeep::StoreSpace};
use crate::ports::{
    ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnVerdict, WatchError,
};

/// Largest answer to one page, in bytes.
const ANSWER: usize = 1 << 30;

/// etcd's error text for a revision that is compacted already (`rpctypes/error.go`).
const COMPACTED: &str = "required revision has been compacted";

/// etcd's own default of `--quota-backend-bytes`.
const QUOTA: u64 = 2 << 30;

/// Number of times that a listing starts again because etcd compacted its revision meanwhile.
const RESTARTS: usize = 3;

/// An etcd cluster. Clones share the connections.
#[derive(Clone)]
pub struct EtcdStore {
    pool: Arc<EndpointPool>,
    space: KeySpace,
}

impl EtcdStore {
    /// Returns the store of a cluster; the first call opens the connections.
    ///
    /// # Errors
    /// The settings are contradictory, or a certificate is unreadable.
    pub fn connect(settings: &StoreSettings) -> Result<Self, ConnectError> {
        let pool = EndpointPool::new(connect::endpoints(settings)?, settings);
        Ok(Self { pool: Arc::new(pool), space: KeySpace::new(&settings.prefix) })
    }

    async fn get(&self, kind: CallKind, from: &[u8], options: GetOptions) -> Result<GetResponse, StoreError> {
        let get = |client: Client| {
            let (from, options) = (from.to_vec(), options.clone());
            async move { client.kv_client().max_decoding_message_size(ANSWER).get(from, Some(options)).await }
        };
        self.pool.call(kind, get).await
    }

    /// Returns the header of a linearizable read: the store's revision and its cluster.
    async fn header(&self) -> Result<(u64, u64), StoreError> {
        let (meta, counted) = (self.space.full(keys::META), GetOptions::new().with_count_only());
        let read = self.get(CallKind::Read, meta.as_bytes(), counted).await?;
        let header = read.header().ok_or_else(|| StoreError::Unavailable("no header".into()))?;
        Ok((number(header.revision()), header.cluster_id()))
    }

    /// Reads the next page of a listing, at the revision of the first page. `None` means that etcd
    /// compacted that revision meanwhile.
    async fn next_page(&self, listing: &mut EtcdListing) -> Result<Option<StoreListing>, StoreError> {
        let EtcdListing { pages, at, kind, .. } = listing;
        let mut found = loop {
            let limit = i64::try_from(pages.limit).unwrap_or(i64::MAX);
            let page = GetOptions::new().with_range(pages.until.clone()).with_limit(limit);
            let page = at.map_or_else(|| page.clone(), |at| page.clone().with_revision(revision(at)));
            match self.get(*kind, &pages.from, page).await {
                Ok(found) => break found,
                Err(StoreError::Rejected(_)) if at.is_some() => return Ok(None),
                Err(StoreError::Unavailable(_)) if pages.shrink() => {}
                Err(error) => return Err(error),
            }
        };
        let first = || found.header().map(|header| number(header.revision())).unwrap_or_default();
        let revision = *at.get_or_insert_with(first);
        let more = found.more();
        let pairs = found.take_kvs();
        let bytes = pairs.iter().map(|pair| pair.key().len() + pair.value().len()).sum::<usize>() as u64;
        let read =
            PageRead { last: pairs.last().map(KeyValue::key), entries: pairs.len() as u64, bytes, more };
        listing.goes_on = listing.pages.advance(read);
        let entries = pairs.into_iter().map(|pair| self.space.entry(pair)).collect();
        Ok(Some(StoreListing { revision, entries }))
    }

    fn listing(&self, prefix: &str) -> EtcdListing {
        // `meta` is one key, and is read each time a watch continues.
        let kind = if prefix == keys::META { CallKind::Read } else { CallKind::Long };
        let pages = ListingPages::new(&self.space.full(prefix), self.space.full("").len());
        EtcdListing { pages, at: None, kind, goes_on: true }
    }

    /// Reads all pages of a listing; `None` if etcd compacted its revision meanwhile.
    async fn list(&self, prefix: &str) -> Result<Option<StoreListing>, StoreError> {
        let mut listing = self.listing(prefix);
        let mut whole = StoreListing { revision: 0, entries: Vec::new() };
        while listing.goes_on {
            let Some(page) = self.next_page(&mut listing).await? else { return Ok(None) };
            whole.revision = page.revision;
            whole.entries.extend(page.entries);
        }
        Ok(Some(whole))
    }
}

/// A listing that is read page by page.
struct EtcdListing {
    pages: ListingPages,
    /// The revision of the first page.
    at: Option<u64>,
    kind: CallKind,
    /// Whether a further page may have entries.
    goes_on: bool,
}

fn compacted() -> StoreError {
    StoreError::Unavailable("etcd compacts faster than the entries can be read".into())
}

#[async_trait]
impl Store for EtcdStore {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        for _ in 0..RESTARTS {
            if let Some(listing) = self.list(prefix).await? {
                return Ok(listing);
            }
        }
        Err(compacted())
    }

    async fn read_parts(&self, prefix: &str, parts: mpsc::Sender<StoreListing>) -> Result<(), StoreError> {
        let mut listing = self.listing(prefix);
        while listing.goes_on {
            let page = self.next_page(&mut listing).await?.ok_or_else(compacted)?;
            if parts.send(page).await.is_err() {
                break; // a reader that is gone needs no further part
            }
        }
        Ok(())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.header().await.map(|(revision, _)| revision)
    }

    async fn newest_change(&self, prefix: &str) -> Result<u64, StoreError> {
        let start = self.space.full(prefix);
        let get = |client: Client| {
            let options = GetOptions::new()
                .with_range(end_of(&start))
                .with_sort(SortTarget::Mod, SortOrder::Descend)
                .with_limit(1)
                .with_keys_only();
            let start = start.clone();
            async move { client.kv_client().get(start, Some(options)).await }
        };
        let found = self.pool.call(CallKind::Read, get).await?;
        Ok(found.kvs().first().map_or(0, |pair| number(pair.mod_revision())))
    }

    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        watch::watch(&self.pool, &self.space, prefix, from).await
    }

    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        let mut verdicts = Vec::with_capacity(txns.len());
        for run in txn::runs(&txns) {
            let request = txn::nested(&self.space, run);
            let send = |client: Client| {
                let request = request.clone();
                async move { client.kv_client().txn(request).await }
            };
            let decided = match self.pool.call(CallKind::Write, send).await {
                Ok(response) => txn::verdicts(run.len(), &response),
                Err(error) => Err(error),
            };
            match decided {
                Ok(decided) => verdicts.extend(decided),
                // The port returns one error for all transactions, and earlier runs may be written.
                Err(error) if !verdicts.is_empty() => return Err(StoreError::Unknown(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(verdicts)
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        let at = key_space::revision(revision);
        let forget = |client: Client| async move { client.kv_client().compact(at, None).await };
        match self.pool.call(CallKind::Long, forget).await {
            // Another program compacted, or this call did and its answer was lost.
            Err(StoreError::Rejected(why)) if why.contains(COMPACTED) => Ok(()),
            forgotten => forgotten.map(drop),
        }
    }

    async fn space(&self) -> Result<StoreSpace, StoreError> {
        let request = |client: Client| async move { client.maintenance_client().status().await };
        let status = self.pool.call(CallKind::Read, request).await?;
        let bytes = |size: i64| u64::try_from(size).unwrap_or_default();
        let (taken, in_use) = (bytes(status.db_size()), bytes(status.raft_used_db_size()));
        // etcd before 3.6 does not report its quota; its default is the best guess.
        let quota = Some(bytes(status.db_size_quota())).filter(|quota| *quota > 0).unwrap_or(QUOTA);
        let member = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
        // The status lists the alarms of all members, and is allowed without a role that may list them.
        let has = |alarm: &str| status.errors().iter().any(|error| error.contains(alarm));
        let (no_space, corrupt) = (has("NOSPACE"), has("CORRUPT"));
        Ok(StoreSpace { taken, in_use, quota: Some(quota), member, no_space, corrupt })
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        self.header().await.map(|(_, cluster_id)| cluster_id)
    }

    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        election::campaign(Arc::clone(&self.pool), &self.space, candidate, ttl).await
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        let (candidates, _) = election::candidates(&self.pool, &self.space, 1).await?;
        Ok(candidates.first().map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
    }
}
