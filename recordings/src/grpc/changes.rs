//! Changes of recordings: of all that a call names, or of none.

use tonic::Status;
use usher_proto::v1::{
    ChangeRecordingsRequest, ChangeRecordingsResponse, RecordingUpdate, change_recordings_request::Change,
};

use super::{
    convert::{tenant, unavailable},
    library::LibraryRpc,
};
use crate::{
    core::{
        change::{self, VisibleChange},
        names::RecordId,
    },
    ports::{RecordingWrite, VersionedRecording, WriteOutcome},
};

/// The most recordings of one call: as many as an edge accepts in a list.
const CHANGED_MAX: usize = 2_000;
/// How often a change is decided anew, because another write of a recording came between.
const TRIES: usize = 16;

impl LibraryRpc {
    /// Makes a change of all recordings of the tenant that a request names.
    pub(super) async fn change(
        &self,
        request: ChangeRecordingsRequest,
    ) -> Result<ChangeRecordingsResponse, Status> {
        let tenant = tenant(&request.tenant)?;
        if request.record_ids.len() > CHANGED_MAX {
            return Err(Status::invalid_argument(format!("record_ids: at most {CHANGED_MAX}")));
        }
        let ids: Vec<RecordId> =
            request.record_ids.iter().filter_map(|id| RecordId::parse(id).ok()).collect();
        let wanted = wanted(request.change)?;
        for _ in 0..TRIES {
            let mut found: Vec<VersionedRecording> = Vec::new();
            for id in &ids {
                let stored = self.index.recording(id).await.map_err(unavailable)?;
                // A recording of another tenant, or a deleted one, is unknown (R8).
                found.extend(stored.filter(|stored| {
                    stored.recording.tenant == tenant && stored.recording.deleted_ms.is_none()
                }));
            }
            found.sort_by(|a, b| a.recording.id.cmp(&b.recording.id));
            found.dedup_by(|a, b| a.recording.id == b.recording.id);
            let names = |of: &[VersionedRecording]| -> Vec<String> {
                of.iter().map(|stored| stored.recording.id.to_string()).collect()
            };
            let at_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
            let writes: Vec<RecordingWrite> = found
                .iter()
                .filter_map(|stored| {
                    let recording = change::apply(&stored.recording, &wanted, at_ms)?;
                    Some(RecordingWrite {
                        seen: stored.version,
                        recording,
                        retired: None,
                        completed: None,
                        at_ms,
                        journal: wanted.journal(),
                    })
                })
                .collect();
            let outcome = if writes.is_empty() {
                WriteOutcome::Done
            } else {
                self.index.write(&writes).await.map_err(unavailable)?
            };
            if outcome == WriteOutcome::Done {
                return Ok(ChangeRecordingsResponse { found: names(&found) });
            }
        }
        Err(Status::aborted("the recordings change all the time; try again"))
    }
}

fn wanted(change: Option<Change>) -> Result<VisibleChange, Status> {
    match change {
        Some(Change::Publish(published)) => Ok(VisibleChange::Publish(published)),
        Some(Change::Update(RecordingUpdate { protect, metadata })) => {
            Ok(VisibleChange::Update { protect, meta: metadata.into_iter().collect() })
        }
        Some(Change::Delete(_)) => Ok(VisibleChange::Delete),
        None => Err(Status::invalid_argument("change: one of publish, update and delete is required")),
    }
}
