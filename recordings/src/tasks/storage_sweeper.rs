//! Removes files that play no longer: those of offers that ended before they were complete, and those of generations
//! that newer ones replaced.

use std::{sync::Arc, time::Duration};

use tokio::{sync::RwLock, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_runtime::clock::WallClock;

use crate::ports::{
    FileKey, IndexError, RecordingIndex, RecordingStorage, RetiredGeneration, StorageError, UploadOffer,
};

/// The interval of the sweeps.
const EVERY: Duration = Duration::from_mins(10);
/// The most offers and the most generations of one sweep.
const SWEPT_MAX: u32 = 100;
/// The time for which replaced files stay, so that a browser that has begun with them goes on (R2).
const PLAYBACK_GRACE: Duration = Duration::from_hours(24);

/// The reason why files are not removed yet.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The index does not answer.
    #[error("sweep the index")]
    Index(#[from] IndexError),
    /// The storage does not answer.
    #[error("sweep the storage")]
    Storage(#[from] StorageError),
}

/// The task that removes files.
#[derive(Debug)]
pub struct StorageSweeper {
    /// The facts of all recordings.
    pub index: Arc<dyn RecordingIndex>,
    /// The files of all recordings.
    pub storage: Arc<dyn RecordingStorage>,
    /// Held while files are removed. An upload holds it for others, from its look at the files to its offer, which
    /// then protects them.
    pub removals: Arc<RwLock<()>>,
    /// The clock of ends.
    pub clock: WallClock,
}

impl StorageSweeper {
    /// Sweeps until `stop` is cancelled.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    if let Err(error) = self.sweep().await {
                        let error = anyhow::Error::from(error);
                        warn!(error = format!("{error:#}"), "files that play no longer are not removed yet");
                    }
                }
            }
        }
    }

    /// Removes the files whose time is over.
    ///
    /// # Errors
    /// Index or storage do not answer. The rest is removed by the next sweep.
    pub async fn sweep(&self) -> Result<(), SweepError> {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        for offer in self.index.expired_offers(now_ms, SWEPT_MAX).await? {
            self.end_offer(&offer).await?;
        }
        let before_ms = now_ms.saturating_sub(PLAYBACK_GRACE.as_millis() as u64);
        for retired in self.index.retired_generations(before_ms, SWEPT_MAX).await? {
            self.remove(&retired).await?;
            self.index.forget_generation(&retired).await?;
        }
        Ok(())
    }

    /// Removes an offer first and its files afterwards: an offer without files would be committed without them. If
    /// the process ends between the two, the files stay and are used by the next offer of the same content.
    async fn end_offer(&self, offer: &UploadOffer) -> Result<(), SweepError> {
        self.index.remove_offer(&offer.id).await?;
        let (id, format) = (&offer.facts.record_id, &offer.facts.playback.format);
        let announced = RetiredGeneration {
            tenant: offer.tenant.clone(),
            record_id: id.clone(),
            format: format.clone(),
            generation: offer.generation.clone(),
        };
        self.remove(&announced).await?;
        info!(recording = %id, %format, "an offer ended before its upload was complete");
        Ok(())
    }

    /// Removes the files of a generation that neither plays nor is offered.
    async fn remove(&self, generation: &RetiredGeneration) -> Result<(), SweepError> {
        let RetiredGeneration { tenant, record_id, format, generation } = generation;
        let _alone = self.removals.write().await;
        if !self.index.uses_generation(record_id, format, generation).await? {
            let key = FileKey::of(tenant, record_id, (format, generation), FileKey::MANIFEST);
            self.storage.remove_generation(&key).await?;
        }
        Ok(())
    }
}
