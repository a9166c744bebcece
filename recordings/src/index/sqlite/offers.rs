//! Keeps the offers of uploads.

use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};
use usher_model::id::{ServerId, TenantId};

use super::values::{capped, from_json, json, number, unavailable};
use crate::{
    core::names::{FormatName, GenerationId, RecordId},
    ports::{IndexError, OfferId, UploadOffer},
};

const KEPT: &str = "select id from offers \
     where record_id = ?1 and format = ?2 and generation = ?3 and server = ?4 and tenant = ?5";

const RENEW: &str = "update offers set facts = ?2, expires_ms = ?3 where id = ?1";

const KEEP: &str = "insert into offers (id, record_id, format, generation, server, tenant, facts, expires_ms) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const OFFER: &str = "select id, server, tenant, facts, generation, expires_ms from offers where id = ?1";

pub(super) const EXPIRED: &str = "select id, server, tenant, facts, generation, expires_ms from offers \
     where expires_ms < ?1 order by expires_ms limit ?2";

pub(super) const USED: &str = "select exists (select 1 from formats where record_id = ?1 and format = ?2 \
     and generation = ?3) or exists (select 1 from offers where record_id = ?1 and format = ?2 and generation = ?3)";

/// Keeps an offer, or renews the one that the server has of the same files. An offer for another tenant is
/// another one, since its files have another place.
pub(super) async fn keep(pool: &SqlitePool, offer: &UploadOffer) -> Result<UploadOffer, IndexError> {
    let facts = json(&offer.facts)?;
    let expires = number(offer.expires_ms)?;
    let format = offer.facts.playback.format.as_str();
    let (record, generation) = (offer.facts.record_id.as_str(), offer.generation.as_str());
    let (server, tenant) = (offer.server.as_str(), offer.tenant.as_str());
    let mut transaction = pool.begin_with("begin immediate").await.map_err(unavailable)?;
    let kept: Option<String> = sqlx::query_scalar(KEPT)
        .bind(record)
        .bind(format)
        .bind(generation)
        .bind(server)
        .bind(tenant)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(unavailable)?;
    let query = match &kept {
        Some(id) => sqlx::query(RENEW).bind(id).bind(facts).bind(expires),
        None => {
            let keep = sqlx::query(KEEP).bind(&offer.id.0).bind(record).bind(format).bind(generation);
            keep.bind(server).bind(tenant).bind(facts).bind(expires)
        }
    };
    query.execute(&mut *transaction).await.map_err(unavailable)?;
    transaction.commit().await.map_err(unavailable)?;
    let id = kept.map_or_else(|| offer.id.clone(), OfferId);
    Ok(UploadOffer { id, ..offer.clone() })
}

/// Returns an offer.
pub(super) async fn offer(pool: &SqlitePool, id: &OfferId) -> Result<Option<UploadOffer>, IndexError> {
    let row = sqlx::query(OFFER).bind(&id.0).fetch_optional(pool).await.map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// Postpones the end of an offer; an earlier end than the present one changes nothing.
pub(super) async fn postpone(pool: &SqlitePool, id: &OfferId, expires_ms: u64) -> Result<(), IndexError> {
    let postpone =
        sqlx::query("update offers set expires_ms = max(expires_ms, ?2) where id = ?1").bind(&id.0);
    postpone.bind(number(expires_ms)?).execute(pool).await.map_err(unavailable)?;
    Ok(())
}

/// Removes an offer.
pub(super) async fn remove(pool: &SqlitePool, id: &OfferId) -> Result<(), IndexError> {
    let remove = sqlx::query("delete from offers where id = ?1").bind(&id.0);
    remove.execute(pool).await.map_err(unavailable)?;
    Ok(())
}

/// Returns at most `most` offers that ended, the oldest first.
pub(super) async fn expired(
    pool: &SqlitePool,
    now_ms: u64,
    most: u32,
) -> Result<Vec<UploadOffer>, IndexError> {
    let query = sqlx::query(EXPIRED).bind(capped(now_ms)).bind(most);
    query.fetch_all(pool).await.map_err(unavailable)?.iter().map(read).collect()
}

/// Returns whether a format plays a generation, or an offer is about to bring it.
pub(super) async fn uses(
    pool: &SqlitePool,
    id: &RecordId,
    format: &FormatName,
    generation: &GenerationId,
) -> Result<bool, IndexError> {
    let query = sqlx::query_scalar(USED).bind(id.as_str()).bind(format.as_str()).bind(generation.as_str());
    query.fetch_one(pool).await.map_err(unavailable)
}

fn read(row: &SqliteRow) -> Result<UploadOffer, IndexError> {
    let id: String = row.try_get("id").unwrap_or_default();
    let parse = || {
        Some(UploadOffer {
            id: OfferId(id.clone()),
            server: ServerId::parse(row.try_get("server").ok()?).ok()?,
            tenant: TenantId::parse(row.try_get("tenant").ok()?).ok()?,
            facts: from_json(row.try_get("facts").ok()?)?,
            generation: GenerationId::parse(row.try_get("generation").ok()?).ok()?,
            expires_ms: u64::try_from(row.try_get::<i64, _>("expires_ms").ok()?).ok()?,
        })
    };
    parse().ok_or_else(|| IndexError::Unreadable(id.clone()))
}
