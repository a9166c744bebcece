//! The last good table on disk, with which an edge starts while no control plane is reachable
//! (S16).
//!
//! The file contains secrets: it is created with mode 0600 and gets its name only when it is
//! complete. It is a sequence of length-delimited frames of the routing stream that form a
//! snapshot. A table from this file serves requests until a control plane sends a snapshot. Deltas
//! are never applied to it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use usher_proto::v1::{StreamRoutesResponse, stream_routes_response::Message};

use usher_runtime::clock;

use super::{
    current_table::CurrentTable,
    snapshot::{SnapshotBuilder, SnapshotError, export},
    table::LiveTable,
};

/// The shortest time between two writes.
const PAUSE: Duration = Duration::from_secs(3);

/// The reason why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    /// The file cannot be read.
    #[error("read the last good table")]
    Read(#[source] io::Error),
    /// The file is not a complete table.
    #[error("the last good table is damaged")]
    Damaged(#[source] Option<SnapshotError>),
}

/// Reads the table that was written last. Returns `None` if there is no file.
///
/// # Errors
/// The file is unreadable or not a complete table.
pub fn load(path: &Path) -> Result<Option<LiveTable>, LastGoodError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LastGoodError::Read(error)),
    };
    let damaged = |error| LastGoodError::Damaged(Some(error));
    let (mut rest, mut building) = (bytes.as_slice(), None);
    while !rest.is_empty() {
        let frame = StreamRoutesResponse::decode_length_delimited(&mut rest)
            .map_err(|_| LastGoodError::Damaged(None))?;
        match frame.message {
            Some(Message::SnapshotBegin(begin)) => {
                building = Some(SnapshotBuilder::begin(begin).map_err(damaged)?);
            }
            Some(Message::SnapshotChunk(chunk)) => {
                let builder: &mut SnapshotBuilder =
                    building.as_mut().ok_or(SnapshotError::Order).map_err(damaged)?;
                builder.chunk(chunk).map_err(damaged)?;
            }
            Some(Message::SnapshotEnd(end)) if rest.is_empty() => {
                let builder = building.take().ok_or(SnapshotError::Order).map_err(damaged)?;
                return builder.end(end).map(|snapshot| Some(snapshot.table)).map_err(damaged);
            }
            _ => return Err(LastGoodError::Damaged(None)),
        }
    }
    Err(LastGoodError::Damaged(None))
}

/// Writes a table. The file under `path` is complete at every moment.
///
/// # Errors
/// The errors of the file system.
pub fn save(path: &Path, table: &LiveTable) -> io::Result<()> {
    let aside = aside(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A leftover file may have another mode, which opening it would keep.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let mut out = BufWriter::new(file);
    export(table, |message| {
        out.write_all(&StreamRoutesResponse { message: Some(message) }.encode_length_delimited_to_vec())
    })?;
    let file: File = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Loads the file into `current` and returns whether there is a table now. A file that cannot be used
/// is named in a warning and otherwise ignored.
pub fn load_into(current: &CurrentTable, path: &Path) -> bool {
    match load(path) {
        Ok(Some(table)) => {
            info!(path = %path.display(), revision = %table.revision(), "serving the last good table");
            current.replace(table);
            true
        }
        Ok(None) => false,
        Err(error) => {
            warn!(path = %path.display(), error = %error, "the last good table is ignored");
            false
        }
    }
}

/// Keeps the file up to date until `stop` is cancelled. After each write it rests at least 20 times
/// as long as the write took, so that a large table costs little.
pub async fn keep(current: Arc<CurrentTable>, path: PathBuf, stop: CancellationToken) -> anyhow::Result<()> {
    let mut changes = current.follow();
    changes.mark_unchanged();
    loop {
        tokio::select! {
            arrived = changes.changed() => arrived?,
            // Changes during the last rest are written before the end.
            () = stop.cancelled() => if changes.has_changed()? {
                changes.mark_unchanged();
            } else {
                return Ok(());
            },
        }
        let Some(table) = current.load_full() else { continue };
        let (begun, target) = (clock::now(), path.clone());
        let saved = tokio::task::spawn_blocking(move || save(&target, &table)).await?;
        match saved {
            Ok(()) => {
                debug!(took = ?clock::now().saturating_duration_since(begun), "wrote the last good table");
            }
            Err(error) => warn!(path = %path.display(), %error, "the last good table cannot be written"),
        }
        let pause = PAUSE.max(clock::now().saturating_duration_since(begun) * 20);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests;
