//! Generations that were taken out of play.

use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};
use usher_model::id::TenantId;

use super::values::{capped, unavailable};
use crate::{
    core::names::{FormatName, GenerationId, RecordId},
    ports::{IndexError, RetiredGeneration},
};

const RETIRED: &str = "select r.tenant, g.record_id, g.format, g.generation \
     from generations g join recordings r on r.record_id = g.record_id \
     where g.retired_ms < ?1 order by g.retired_ms limit ?2";
const FORGET: &str = "delete from generations where record_id = ?1 and format = ?2 and generation = ?3 \
     and retired_ms is not null";

/// Returns at most `most` generations that were taken out of play before `before_ms`.
pub(super) async fn retired(
    pool: &SqlitePool,
    before_ms: u64,
    most: u32,
) -> Result<Vec<RetiredGeneration>, IndexError> {
    let query = sqlx::query(RETIRED).bind(capped(before_ms)).bind(most);
    query.fetch_all(pool).await.map_err(unavailable)?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<RetiredGeneration, IndexError> {
    let text = |name: &str| row.try_get::<String, _>(name).unwrap_or_default();
    let parse = || {
        Some(RetiredGeneration {
            tenant: TenantId::parse(&text("tenant")).ok()?,
            record_id: RecordId::parse(&text("record_id")).ok()?,
            format: FormatName::parse(&text("format")).ok()?,
            generation: GenerationId::parse(&text("generation")).ok()?,
        })
    };
    parse().ok_or_else(|| IndexError::Unreadable(text("record_id")))
}

/// Forgets a generation that does not play.
pub(super) async fn forget(pool: &SqlitePool, generation: &RetiredGeneration) -> Result<(), IndexError> {
    let forget = sqlx::query(FORGET).bind(generation.record_id.as_str()).bind(generation.format.as_str());
    forget.bind(generation.generation.as_str()).execute(pool).await.map_err(unavailable)?;
    Ok(())
}
