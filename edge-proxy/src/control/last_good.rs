//! The last good table on disk, with which an edge starts while no control plane is reachable
//! (S16).
//!
//! The file contains secrets: it is created with mode 0600 and gets its name only when it is
//! complete. It is a sequence of length-delimited frames of the routing stream that form a
//! snapshot. A table from this file serves requests until a control plane sends a snapshot. Deltas
//! are never applied to it.

use std::{
    collections::BTreeSet,
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
use usher_model::id::CellName;
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
    /// The file does not begin with the mark of the cell.
    #[error("the last good table is not one of this cell")]
    Foreign,
}

/// The file of one cell.
#[derive(Debug, Clone)]
pub struct LastGoodFile {
    path: PathBuf,
    /// The mark of the cell; `None` for the only cell of an edge.
    mark: Option<CellMark>,
}

/// The first line of the file of a cell that has a name: the cell, and the control planes that wrote the table.
/// A cell that was renamed, or whose name was given to another one, must not serve the table of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CellMark {
    name: CellName,
    control_plane: BTreeSet<String>,
}

/// The beginning of a mark. No frame begins so.
const MARK: &str = "usher-cell";

impl CellMark {
    fn line(&self) -> String {
        let addresses = self.control_plane.iter().fold(String::new(), |line, address| line + " " + address);
        format!("{MARK} {}{addresses}\n", self.name)
    }

    /// Returns the frames after the mark, if the mark is one of this cell: it has the name, and one of the control
    /// planes at least. Replicas are added and removed one by one.
    fn frames<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, frames) = bytes.split_at(end);
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let is_own = words.next() == Some(MARK)
            && words.next() == Some(self.name.as_str())
            && words.any(|address| self.control_plane.contains(address));
        is_own.then(|| &frames[1..])
    }
}

impl LastGoodFile {
    /// Returns the file of the only cell of an edge.
    pub fn of_edge(path: PathBuf) -> Self {
        Self { path, mark: None }
    }

    /// Returns the file of a cell: that of the edge with the name of the cell, so that no two cells share one.
    pub fn of_cell(path: &Path, name: &CellName, control_plane: &[String]) -> Self {
        let mut own = path.as_os_str().to_owned();
        own.push(format!(".{name}"));
        let mark = CellMark { name: name.clone(), control_plane: control_plane.iter().cloned().collect() };
        Self { path: own.into(), mark: Some(mark) }
    }
}

/// Reads the table that was written last. Returns `None` if there is no file.
///
/// # Errors
/// The file is unreadable, not a complete table, or that of another cell.
pub fn load(file: &LastGoodFile) -> Result<Option<LiveTable>, LastGoodError> {
    let bytes = match fs::read(&file.path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LastGoodError::Read(error)),
    };
    let damaged = |error| LastGoodError::Damaged(Some(error));
    let frames = match &file.mark {
        Some(mark) => mark.frames(&bytes).ok_or(LastGoodError::Foreign)?,
        None => bytes.as_slice(),
    };
    let (mut rest, mut building) = (frames, None);
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

/// Writes a table. The file under its name is complete at every moment.
///
/// # Errors
/// The errors of the file system.
pub fn save(file: &LastGoodFile, table: &LiveTable) -> io::Result<()> {
    let (path, mark) = (&file.path, &file.mark);
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
    if let Some(mark) = mark {
        out.write_all(mark.line().as_bytes())?;
    }
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
pub fn load_into(current: &CurrentTable, file: &LastGoodFile) -> bool {
    let path = &file.path;
    match load(file) {
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
pub async fn keep(
    current: Arc<CurrentTable>,
    file: LastGoodFile,
    stop: CancellationToken,
) -> anyhow::Result<()> {
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
        let (begun, target) = (clock::now(), file.clone());
        let saved = tokio::task::spawn_blocking(move || save(&target, &table)).await?;
        match saved {
            Ok(()) => {
                debug!(took = ?clock::now().saturating_duration_since(begun), "wrote the last good table");
            }
            Err(error) => warn!(path = %file.path.display(), %error, "the last good table cannot be written"),
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
