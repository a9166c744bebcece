//! The history of the store as etcd has it: the written keys and their revisions.

use anyhow::{Context, Result};
use etcd_client::{EventType, WatchOptions};

use super::EtcdCluster;
use crate::wait;

/// A key written last, so that the requested history has an end; outside of the keys of the
/// programs.
const MARK: &str = "end of a look at the history";

/// One key that was written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdChange {
    /// The etcd revision of the change.
    pub revision: u64,
    /// The full key, prefix included.
    pub key: String,
    /// Whether the key was deleted, or its lease expired.
    pub deleted: bool,
}

impl EtcdCluster {
    /// Returns the current revision of the store.
    ///
    /// # Errors
    /// etcd does not answer.
    pub async fn revision(&self) -> Result<u64> {
        let header = self.client(0).await?.get(MARK, None).await?;
        Ok(u64::try_from(header.header().context("a header")?.revision())?)
    }

    /// Returns every change after a revision.
    ///
    /// # Errors
    /// etcd does not answer, or the revision is compacted.
    pub async fn changes_since(&self, revision: u64) -> Result<Vec<EtcdChange>> {
        let mut client = self.client(0).await?;
        let marked = client.put(MARK, "", None).await?;
        let end = u64::try_from(marked.header().context("a header")?.revision())?;
        let options = WatchOptions::new().with_all_keys().with_start_revision(i64::try_from(revision)? + 1);
        let mut stream = client.watch("", Some(options)).await?;
        let mut changes = Vec::new();
        let read = async {
            while let Some(message) = stream.message().await? {
                anyhow::ensure!(!message.canceled(), "{}", message.cancel_reason());
                for event in message.events() {
                    let pair = event.kv().context("an event has a key")?;
                    let (key, at) = (pair.key_str()?.to_owned(), u64::try_from(pair.mod_revision())?);
                    if at >= end {
                        return Ok(());
                    }
                    if key != MARK {
                        let deleted = event.event_type() == EventType::Delete;
                        changes.push(EtcdChange { revision: at, key, deleted });
                    }
                }
            }
            anyhow::bail!("the history ended before its end")
        };
        tokio::time::timeout(wait::DEADLINE, read).await.context("read the history")??;
        Ok(changes)
    }
}
