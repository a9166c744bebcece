//! Writes recordings. The row, its formats, its tombstone and the usage of its tenant change in one
//! transaction.

use std::collections::HashSet;

use sqlx::{SqliteConnection, SqlitePool};
use usher_model::id::ServerId;

use super::values::{capped, json, number, unavailable};
use crate::{
    core::stored::StoredRecording,
    ports::{IndexError, RecordingWrite, WriteOutcome},
};

/// The part of a row in the usage of a tenant.
struct CountedRow {
    version: i64,
    tenant: String,
    state: String,
    bytes: i64,
}

const COUNTED: &str = "select version, tenant, state, bytes from recordings where record_id = ?1";

const BURIED: &str = "select exists (select 1 from tombstones where record_id = ?1)";

const KEEP_RECORDING: &str = "insert into recordings (record_id, version, tenant, initial_published, \
     initial_protected, edits, held, deleted_ms, server, updated_ms, meeting_id, internal_id, name, state, protected, \
     start_ms, end_ms, participants, raw_size, is_breakout, meta, bytes) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) \
     on conflict (record_id) do update set version = excluded.version, tenant = excluded.tenant, \
     initial_published = excluded.initial_published, initial_protected = excluded.initial_protected, \
     edits = excluded.edits, held = excluded.held, deleted_ms = excluded.deleted_ms, server = excluded.server, \
     updated_ms = excluded.updated_ms, meeting_id = excluded.meeting_id, internal_id = excluded.internal_id, \
     name = excluded.name, state = excluded.state, protected = excluded.protected, start_ms = excluded.start_ms, \
     end_ms = excluded.end_ms, participants = excluded.participants, raw_size = excluded.raw_size, \
     is_breakout = excluded.is_breakout, meta = excluded.meta, bytes = excluded.bytes";

const KEEP_FORMAT: &str = "insert into formats (record_id, format, generation, files, bytes, facts) \
     values (?1, ?2, ?3, ?4, ?5, ?6)";

const RETIRE: &str = "insert into generations (record_id, format, generation, files, bytes, retired_ms) \
     values (?1, ?2, ?3, 0, 0, ?4) \
     on conflict (record_id, format, generation) do update set retired_ms = excluded.retired_ms";

const PLAY: &str = "insert into generations (record_id, format, generation, files, bytes, retired_ms) \
     values (?1, ?2, ?3, ?4, ?5, null) on conflict (record_id, format, generation) \
     do update set files = excluded.files, bytes = excluded.bytes, retired_ms = null";

const BURY: &str = "insert into tombstones (record_id, tenant, deleted_ms) values (?1, ?2, ?3) \
     on conflict (record_id) do update set tenant = excluded.tenant, deleted_ms = excluded.deleted_ms";

const COUNT_LESS: &str = "update usage set recordings = recordings - 1, bytes = bytes - ?3 \
     where tenant = ?1 and state = ?2";

const COUNT_MORE: &str = "insert into usage (tenant, state, recordings, bytes) values (?1, ?2, 1, ?3) \
     on conflict (tenant, state) do update set recordings = recordings + 1, bytes = bytes + excluded.bytes";

/// Makes all writes, or none.
pub(super) async fn write(pool: &SqlitePool, writes: &[RecordingWrite]) -> Result<WriteOutcome, IndexError> {
    let mut named = HashSet::new();
    if !writes.iter().all(|write| named.insert(&write.recording.id)) {
        return Err(IndexError::Refused("two writes name one recording"));
    }
    // The lock is taken before the versions are read, so that no other process writes in between.
    let mut transaction = pool.begin_with("begin immediate").await.map_err(unavailable)?;
    for write in writes {
        if write_one(&mut transaction, write).await? == WriteOutcome::Stale {
            transaction.rollback().await.map_err(unavailable)?;
            return Ok(WriteOutcome::Stale);
        }
    }
    transaction.commit().await.map_err(unavailable)?;
    Ok(WriteOutcome::Done)
}

async fn write_one(
    connection: &mut SqliteConnection,
    write: &RecordingWrite,
) -> Result<WriteOutcome, IndexError> {
    let id = write.recording.id.as_str();
    let before =
        sqlx::query_as(COUNTED).bind(id).fetch_optional(&mut *connection).await.map_err(unavailable)?;
    let before = before.map(|(version, tenant, state, bytes)| CountedRow { version, tenant, state, bytes });
    let version = before.as_ref().map_or(0, |row| row.version);
    if number(write.seen.0)? != version {
        return Ok(WriteOutcome::Stale);
    }
    if before.is_none() {
        let buried: bool =
            sqlx::query_scalar(BURIED).bind(id).fetch_one(&mut *connection).await.map_err(unavailable)?;
        if buried {
            return Ok(WriteOutcome::Stale);
        }
    }
    let after = keep_recording(connection, write, version + 1).await?;
    keep_formats(connection, write).await?;
    keep_tombstone(connection, &write.recording).await?;
    if let Some(before) = before {
        count(connection, COUNT_LESS, &before).await?;
    }
    count(connection, COUNT_MORE, &after).await?;
    if let Some(offer) = &write.completed {
        let remove = sqlx::query("delete from offers where id = ?1").bind(&offer.0);
        // An offer that has ended protects its files no longer.
        if remove.execute(&mut *connection).await.map_err(unavailable)?.rows_affected() == 0 {
            return Ok(WriteOutcome::Stale);
        }
    }
    sqlx::query("insert into journal (at_ms, tenant, record_id, what) values (?1, ?2, ?3, ?4)")
        .bind(number(write.at_ms)?)
        .bind(write.recording.tenant.as_str())
        .bind(id)
        .bind(write.journal)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(WriteOutcome::Done)
}

/// Writes the row. Queries ask for the view of applications, so that a list and its rows cannot
/// disagree.
async fn keep_recording(
    connection: &mut SqliteConnection,
    write: &RecordingWrite,
    version: i64,
) -> Result<CountedRow, IndexError> {
    let recording = &write.recording;
    let shown = recording.shown();
    let bytes = recording.formats.values().try_fold(0_u64, |sum, format| sum.checked_add(format.bytes));
    let bytes = number(bytes.unwrap_or(u64::MAX))?;
    sqlx::query(KEEP_RECORDING)
        .bind(recording.id.as_str())
        .bind(version)
        .bind(recording.tenant.as_str())
        .bind(recording.initial.published)
        .bind(recording.initial.protected)
        .bind(json(&recording.edits)?)
        .bind(recording.held)
        .bind(recording.deleted_ms.map(number).transpose()?)
        .bind(recording.server.as_ref().map(ServerId::as_str))
        .bind(number(write.at_ms)?)
        .bind(&shown.meeting_id)
        .bind(&shown.internal_id)
        .bind(&shown.name)
        .bind(shown.state.as_str())
        .bind(shown.protected)
        .bind(capped(shown.start_ms))
        .bind(capped(shown.end_ms))
        .bind(shown.participants)
        .bind(capped(shown.raw_size))
        .bind(shown.is_breakout)
        .bind(json(&shown.meta)?)
        .bind(bytes)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    let state = shown.state.as_str().to_owned();
    Ok(CountedRow { version, tenant: recording.tenant.to_string(), state, bytes })
}

async fn keep_formats(connection: &mut SqliteConnection, write: &RecordingWrite) -> Result<(), IndexError> {
    let id = write.recording.id.as_str();
    let clear = sqlx::query("delete from formats where record_id = ?1").bind(id);
    clear.execute(&mut *connection).await.map_err(unavailable)?;
    if let Some((format, generation)) = &write.retired {
        let retire = sqlx::query(RETIRE).bind(id).bind(format.as_str()).bind(generation.as_str());
        retire.bind(number(write.at_ms)?).execute(&mut *connection).await.map_err(unavailable)?;
    }
    // After the retired one: a generation that is played is not retired, also if it came back.
    for (name, format) in &write.recording.formats {
        let bytes = number(format.bytes)?;
        let keep = sqlx::query(KEEP_FORMAT).bind(id).bind(name.as_str()).bind(format.generation.as_str());
        let keep = keep.bind(format.files).bind(bytes).bind(json(&format.facts)?);
        keep.execute(&mut *connection).await.map_err(unavailable)?;
        let play = sqlx::query(PLAY).bind(id).bind(name.as_str()).bind(format.generation.as_str());
        play.bind(format.files).bind(bytes).execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}

async fn keep_tombstone(
    connection: &mut SqliteConnection,
    recording: &StoredRecording,
) -> Result<(), IndexError> {
    let id = recording.id.as_str();
    let query = match recording.deleted_ms {
        Some(at) => sqlx::query(BURY).bind(id).bind(recording.tenant.as_str()).bind(number(at)?),
        None => sqlx::query("delete from tombstones where record_id = ?1").bind(id),
    };
    query.execute(connection).await.map_err(unavailable)?;
    Ok(())
}

async fn count(
    connection: &mut SqliteConnection,
    change: &'static str,
    row: &CountedRow,
) -> Result<(), IndexError> {
    let change = sqlx::query(change).bind(&row.tenant).bind(&row.state).bind(row.bytes);
    change.execute(connection).await.map_err(unavailable)?;
    Ok(())
}
