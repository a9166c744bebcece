//! The commit of an upload: one transaction makes the new generation the one that plays (R2).

use usher_model::id::ServerId;

use super::{UploadRefusal, UploadService};
use crate::{
    core::import::{ArrivingFormat, ImportDecision, decide},
    ports::{OfferId, RecordingWrite, RowVersion, WriteOutcome},
};

/// How often a commit is decided anew, because another write of the recording came between.
const TRIES: usize = 16;

impl UploadService {
    /// Decides on an arriving format by the present state of its recording.
    pub(super) async fn decided(
        &self,
        arriving: &ArrivingFormat,
    ) -> Result<(RowVersion, ImportDecision), UploadRefusal> {
        let id = &arriving.facts.record_id;
        // The tombstone first: a deletion between the two reads then shows in the version of the row.
        let tombstone = self.index.tombstone(id).await?;
        let stored = self.index.recording(id).await?;
        let version = stored.as_ref().map(|stored| stored.version).unwrap_or_default();
        let stored = stored.as_ref().map(|stored| &stored.recording);
        Ok((version, decide(stored, tombstone.is_some(), arriving, self.defaults)))
    }

    /// Commits an offer whose files are complete. A commit whose answer was lost may be repeated.
    pub(super) async fn commit(&self, server: &ServerId, id: &OfferId) -> Result<(), UploadRefusal> {
        // From the look at the files to the write, no sweep removes them.
        let _kept = self.removals.read().await;
        let (offer, manifest) = self.opened(server, id).await?;
        let missing = self.missing(&offer, &manifest).await?;
        if !missing.is_empty() {
            return Err(UploadRefusal::Missing(missing));
        }
        let arriving = ArrivingFormat {
            facts: offer.facts.clone(),
            generation: offer.generation.clone(),
            files: u32::try_from(manifest.files().len()).unwrap_or(u32::MAX),
            bytes: manifest.bytes(),
            tenant: offer.tenant.clone(),
            server: Some(server.clone()),
        };
        for _ in 0..TRIES {
            let (seen, decision) = self.decided(&arriving).await?;
            let (recording, retired) = match decision {
                ImportDecision::Refused(reason) => return Err(reason.into()),
                ImportDecision::Unchanged => return Ok(self.index.remove_offer(id).await?),
                ImportDecision::Commit { recording, retired } => (recording, retired),
            };
            let write = RecordingWrite {
                seen,
                recording,
                retired: retired.map(|generation| (arriving.facts.playback.format.clone(), generation)),
                completed: Some(id.clone()),
                at_ms: self.now_ms(),
                journal: "imported",
            };
            if self.index.write(&[write]).await? == WriteOutcome::Done {
                return Ok(());
            }
            if self.index.offer(id).await?.is_none() {
                return Err(UploadRefusal::UnknownOffer);
            }
        }
        Err(UploadRefusal::Unavailable(anyhow::anyhow!("the recording changes all the time")))
    }
}
