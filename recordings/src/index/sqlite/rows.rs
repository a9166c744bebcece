//! Reads the rows of recordings with their formats.

use std::collections::{BTreeMap, HashMap};

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use usher_model::id::{ServerId, TenantId};

use super::values::{from_json, json, unavailable};
use crate::{
    core::{
        names::{FormatName, GenerationId, RecordId},
        stored::{InitialVisibility, StoredFormat, StoredRecording},
    },
    ports::{IndexError, RowVersion, VersionedRecording},
};

type FormatMap = BTreeMap<FormatName, StoredFormat>;

pub(super) const RECORDINGS: &str = "select r.record_id, r.version, r.tenant, r.initial_published, \
     r.initial_protected, r.edits, r.held, r.deleted_ms, r.server \
     from json_each(?1) as wanted cross join recordings as r on r.record_id = wanted.value order by wanted.key";

pub(super) const FORMATS: &str = "select f.record_id, f.format, f.generation, f.files, f.bytes, f.facts \
     from json_each(?1) as wanted cross join formats as f on f.record_id = wanted.value";

/// Reads the recordings of these ids, in their order; an id without a row is left out. The connection is in a
/// transaction, so that a recording and its formats are of one version.
pub(super) async fn recordings(
    connection: &mut SqliteConnection,
    ids: &[String],
) -> Result<Vec<VersionedRecording>, IndexError> {
    let wanted = json(ids)?;
    let rows = sqlx::query(FORMATS).bind(&wanted).fetch_all(&mut *connection).await.map_err(unavailable)?;
    let mut formats: HashMap<String, FormatMap> = HashMap::new();
    for row in &rows {
        let (name, format) = format(row).ok_or_else(|| unreadable(row))?;
        formats.entry(record_id(row)).or_default().insert(name, format);
    }
    let rows = sqlx::query(RECORDINGS).bind(&wanted).fetch_all(connection).await.map_err(unavailable)?;
    let read = |row: &SqliteRow| {
        let formats = formats.remove(&record_id(row)).unwrap_or_default();
        recording(row, formats).ok_or_else(|| unreadable(row))
    };
    rows.iter().map(read).collect()
}

fn record_id(row: &SqliteRow) -> String {
    row.try_get("record_id").unwrap_or_default()
}

fn unreadable(row: &SqliteRow) -> IndexError {
    IndexError::Unreadable(record_id(row))
}

fn recording(row: &SqliteRow, formats: FormatMap) -> Option<VersionedRecording> {
    let server: Option<String> = row.try_get("server").ok()?;
    let deleted: Option<i64> = row.try_get("deleted_ms").ok()?;
    let recording = StoredRecording {
        id: RecordId::parse(&record_id(row)).ok()?,
        tenant: TenantId::parse(row.try_get("tenant").ok()?).ok()?,
        initial: InitialVisibility {
            published: row.try_get("initial_published").ok()?,
            protected: row.try_get("initial_protected").ok()?,
        },
        edits: from_json(row.try_get("edits").ok()?)?,
        formats,
        held: row.try_get("held").ok()?,
        deleted_ms: deleted.map(u64::try_from).transpose().ok()?,
        server: server.map(|server| ServerId::parse(&server)).transpose().ok()?,
    };
    Some(VersionedRecording { version: RowVersion(unsigned(row, "version")?), recording })
}

fn format(row: &SqliteRow) -> Option<(FormatName, StoredFormat)> {
    let format = StoredFormat {
        facts: from_json(row.try_get("facts").ok()?)?,
        generation: GenerationId::parse(row.try_get("generation").ok()?).ok()?,
        files: row.try_get("files").ok()?,
        bytes: unsigned(row, "bytes")?,
    };
    Some((FormatName::parse(row.try_get("format").ok()?).ok()?, format))
}

fn unsigned(row: &SqliteRow, column: &str) -> Option<u64> {
    u64::try_from(row.try_get::<i64, _>(column).ok()?).ok()
}
