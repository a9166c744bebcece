//! The index in a SQLite file: for one library program, as in `usher standalone`. The file is in WAL mode, one
//! connection writes, and readers see the last committed state without waiting for it.

mod generations;
mod offers;
mod open;
mod page;
mod rows;
#[cfg(test)]
mod tests;
mod values;
mod write;

use std::path::Path;

use async_trait::async_trait;
use sqlx::Row as _;
use usher_model::id::TenantId;

pub use self::open::IndexOpenError;
use self::{
    open::DatabasePools,
    values::{json, unavailable},
};
use crate::{
    core::{
        names::{FormatName, GenerationId, RecordId},
        query::RecordingQuery,
    },
    ports::{
        IndexError, IndexPage, OfferId, RecordingIndex, RecordingWrite, RetiredGeneration, Tombstone,
        UploadOffer, VersionedRecording, WriteOutcome,
    },
};

const KNOWN: &str = "select named.value from json_each(?1) as named \
     where exists (select 1 from recordings where record_id = named.value) \
     or exists (select 1 from tombstones where record_id = named.value) order by named.key";

/// The index in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteIndex {
    pools: DatabasePools,
}

impl SqliteIndex {
    /// Opens the database, and creates it, readable for its owner only, where there is none.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or belongs to a newer version.
    pub async fn open(path: &Path) -> Result<Self, IndexOpenError> {
        Ok(Self { pools: open::open(path).await? })
    }

    /// Closes all connections, after the calls that use them.
    pub async fn close(&self) {
        self.pools.readers.close().await;
        // The last connection to go copies the write-ahead log into the database, which a reader must not.
        self.pools.writer.close().await;
    }
}

#[async_trait]
impl RecordingIndex for SqliteIndex {
    async fn recording(&self, id: &RecordId) -> Result<Option<VersionedRecording>, IndexError> {
        let mut transaction = self.pools.readers.begin().await.map_err(unavailable)?;
        let rows = rows::recordings(&mut transaction, &[id.to_string()]).await?;
        Ok(rows.into_iter().next())
    }

    async fn tombstone(&self, id: &RecordId) -> Result<Option<Tombstone>, IndexError> {
        let query = sqlx::query("select tenant, deleted_ms from tombstones where record_id = ?1");
        let row = query.bind(id.as_str()).fetch_optional(&self.pools.readers).await.map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let read = || {
            Some(Tombstone {
                tenant: TenantId::parse(row.try_get("tenant").ok()?).ok()?,
                deleted_ms: u64::try_from(row.try_get::<i64, _>("deleted_ms").ok()?).ok()?,
            })
        };
        read().map(Some).ok_or_else(|| IndexError::Unreadable(id.to_string()))
    }

    async fn write(&self, writes: &[RecordingWrite]) -> Result<WriteOutcome, IndexError> {
        write::write(&self.pools.writer, writes).await
    }

    async fn page(&self, query: &RecordingQuery) -> Result<IndexPage, IndexError> {
        page::page(&self.pools.readers, query).await
    }

    async fn known(&self, ids: &[RecordId]) -> Result<Vec<RecordId>, IndexError> {
        let query = sqlx::query_scalar(KNOWN).bind(json(ids)?);
        let known: Vec<String> = query.fetch_all(&self.pools.readers).await.map_err(unavailable)?;
        known.iter().map(|id| RecordId::parse(id).map_err(|_| IndexError::Unreadable(id.clone()))).collect()
    }

    async fn keep_offer(&self, offer: &UploadOffer) -> Result<UploadOffer, IndexError> {
        offers::keep(&self.pools.writer, offer).await
    }

    async fn offer(&self, id: &OfferId) -> Result<Option<UploadOffer>, IndexError> {
        offers::offer(&self.pools.readers, id).await
    }

    async fn postpone_offer(&self, id: &OfferId, expires_ms: u64) -> Result<(), IndexError> {
        offers::postpone(&self.pools.writer, id, expires_ms).await
    }

    async fn remove_offer(&self, id: &OfferId) -> Result<(), IndexError> {
        offers::remove(&self.pools.writer, id).await
    }

    async fn expired_offers(&self, now_ms: u64, most: u32) -> Result<Vec<UploadOffer>, IndexError> {
        offers::expired(&self.pools.readers, now_ms, most).await
    }

    async fn retired_generations(
        &self,
        before_ms: u64,
        most: u32,
    ) -> Result<Vec<RetiredGeneration>, IndexError> {
        generations::retired(&self.pools.readers, before_ms, most).await
    }

    async fn forget_generation(&self, generation: &RetiredGeneration) -> Result<(), IndexError> {
        generations::forget(&self.pools.writer, generation).await
    }

    async fn uses_generation(
        &self,
        id: &RecordId,
        format: &FormatName,
        generation: &GenerationId,
    ) -> Result<bool, IndexError> {
        offers::uses(&self.pools.readers, id, format, generation).await
    }
}
