//! Applies the frames of the routing stream to the table.
//!
//! Within an epoch the table never goes back to an older revision (I10). A delta applies only to
//! the revision that it names as its base. A snapshot that lost more than half of the servers or
//! meetings is accepted only if the control plane flagged it (X2).

use std::sync::Arc;

use usher_model::{revision::Revision, routing::RoutingDelta};
use usher_proto::{
    ConvertError,
    v1::{Heartbeat, RoutesDelta, stream_routes_response::Message},
};

use super::{
    current_table::CurrentTable,
    snapshot::{SnapshotBuilder, SnapshotError, TableSnapshot},
    table::{LiveTable, TableCounts},
};

/// The reaction to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntakeStep {
    /// The edge sends no message.
    Quiet,
    /// The table has reached this revision, which the edge acknowledges.
    Applied(Revision),
    /// The table cannot be continued, and the edge requests a snapshot.
    Resync(&'static str),
}

/// The reason why a stream cannot be used. The edge then connects to another control plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The snapshot is unreadable or incomplete.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The delta is unreadable.
    #[error("entry of a delta")]
    Delta(#[from] ConvertError),
    /// The snapshot is older than the table (I10).
    #[error("snapshot of revision {offered} is older than the table at {have}")]
    Older {
        /// The revision of the table.
        have: Revision,
        /// The revision of the snapshot.
        offered: Revision,
    },
    /// The snapshot lost more than half of the table and is not flagged (X2).
    #[error("snapshot shrinks the table from {have:?} to {offered:?} and is not flagged for it")]
    Shrunk {
        /// The number of entries of the table.
        have: TableCounts,
        /// The number of entries of the snapshot.
        offered: TableCounts,
    },
}

/// Applies the frames of one stream to the table.
#[derive(Debug)]
pub struct StreamIntake {
    current: Arc<CurrentTable>,
    building: Option<SnapshotBuilder>,
    /// Whether a snapshot was requested. Deltas are ignored until it arrives.
    resyncing: bool,
    /// Whether the table came from disk. Such a table may be far behind, so its size is no measure
    /// for a snapshot.
    from_disk: bool,
}

impl StreamIntake {
    /// Starts a stream that fills `current`. `from_disk` says whether the table came from
    /// disk.
    pub fn new(current: Arc<CurrentTable>, from_disk: bool) -> Self {
        Self { current, building: None, resyncing: false, from_disk }
    }

    /// Returns whether the table still is the one from disk.
    pub fn from_disk(&self) -> bool {
        self.from_disk
    }

    /// Applies one frame.
    ///
    /// # Errors
    /// The stream cannot be used.
    pub fn take(&mut self, frame: Message) -> Result<IntakeStep, IntakeError> {
        match frame {
            Message::SnapshotBegin(begin) => {
                self.building = Some(SnapshotBuilder::begin(begin)?);
                Ok(IntakeStep::Quiet)
            }
            Message::SnapshotChunk(chunk) => {
                self.building.as_mut().ok_or(SnapshotError::Order)?.chunk(chunk)?;
                Ok(IntakeStep::Quiet)
            }
            Message::SnapshotEnd(end) => {
                let snapshot = self.building.take().ok_or(SnapshotError::Order)?.end(end)?;
                self.accept(snapshot)
            }
            Message::Delta(delta) => self.delta(delta),
            Message::Heartbeat(heartbeat) => Ok(self.heartbeat(&heartbeat)),
            Message::Libraries(list) => {
                self.current.keep_libraries(list.addresses);
                Ok(IntakeStep::Quiet)
            }
            Message::Seal(seal) => {
                self.current.keep_seal(seal);
                Ok(IntakeStep::Quiet)
            }
        }
    }

    fn accept(&mut self, snapshot: TableSnapshot) -> Result<IntakeStep, IntakeError> {
        if let Some(table) = &*self.current.load() {
            refuse_unfit(table, &snapshot, self.from_disk)?;
        }
        let revision = snapshot.table.revision();
        self.current.replace(snapshot.table);
        self.current.vouch();
        (self.resyncing, self.from_disk) = (false, false);
        Ok(IntakeStep::Applied(revision))
    }

    fn delta(&mut self, delta: RoutesDelta) -> Result<IntakeStep, IntakeError> {
        if self.resyncing || self.building.is_some() {
            return Ok(IntakeStep::Quiet);
        }
        let delta = RoutingDelta::try_from(delta)?;
        let have = self.current.revision();
        if have.is_some_and(|have| have.reaches(delta.revision)) {
            return Ok(IntakeStep::Quiet); // the table has the delta already
        }
        if self.from_disk || self.current.apply(&delta).is_err() {
            return Ok(self.resync("gap"));
        }
        self.current.vouch();
        Ok(IntakeStep::Applied(delta.revision))
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) -> IntakeStep {
        if self.resyncing || self.building.is_some() || self.from_disk {
            return IntakeStep::Quiet;
        }
        let Some(table) = self.current.load_full() else { return self.resync("no table") };
        let theirs = heartbeat.revision.map(Revision::from).unwrap_or_default();
        let ours = table.revision();
        if theirs.epoch != ours.epoch {
            return self.resync("epoch");
        }
        if theirs == ours && heartbeat.digest != table.digest().0 {
            return self.resync("digest");
        }
        if theirs == ours {
            self.current.vouch();
        }
        IntakeStep::Quiet
    }

    fn resync(&mut self, reason: &'static str) -> IntakeStep {
        self.resyncing = true;
        IntakeStep::Resync(reason)
    }
}

fn refuse_unfit(table: &LiveTable, snapshot: &TableSnapshot, from_disk: bool) -> Result<(), IntakeError> {
    let (have, offered) = (table.revision(), snapshot.table.revision());
    if have.epoch == offered.epoch && !offered.reaches(have) {
        return Err(IntakeError::Older { have, offered });
    }
    let (have, offered) = (table.counts(), snapshot.table.counts());
    let halved = |have: usize, offered: usize| offered < have.div_ceil(2);
    let shrunk = halved(have.servers, offered.servers) || halved(have.meetings, offered.meetings);
    if shrunk && !snapshot.shrink_allowed && !from_disk {
        return Err(IntakeError::Shrunk { have, offered });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
