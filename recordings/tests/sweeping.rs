//! The removal of files that play no longer, on the real index and storage.

#[path = "index_contract/samples.rs"]
#[allow(dead_code, reason = "the samples of another test")]
mod samples;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Result;
use bytes::Bytes;
use tokio::sync::RwLock;
use usher_model::id::ServerId;
use usher_recordings::{
    core::{names::GenerationId, stored::StoredRecording},
    index::SqliteIndex,
    ports::{FileKey, OfferId, RecordingWrite, UploadOffer, WriteOutcome},
    storage::DirectoryStorage,
    tasks::storage_sweeper::StorageSweeper,
};
use usher_runtime::clock::WallClock;

use self::samples::{generation, stored, write};

struct SweptLibrary {
    sweeper: StorageSweeper,
    now_ms: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl SweptLibrary {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let now_ms = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&now_ms);
        let clock = WallClock::new(move || UNIX_EPOCH + Duration::from_millis(read.load(Ordering::Relaxed)));
        let sweeper = StorageSweeper {
            index: Arc::new(SqliteIndex::open(&folder.path().join("r.db")).await?),
            storage: Arc::new(DirectoryStorage::open(&folder.path().join("files")).await?),
            removals: Arc::new(RwLock::new(())),
            clock,
        };
        Ok(Self { sweeper, now_ms, _folder: folder })
    }

    async fn sweep_at(&self, hours: u64) -> Result<()> {
        self.now_ms.store(hours * 3_600_000, Ordering::Relaxed);
        Ok(self.sweeper.sweep().await?)
    }

    async fn has(&self, recording: &StoredRecording, generation: &GenerationId) -> Result<bool> {
        Ok(self.sweeper.storage.is_complete(&key(recording, generation)).await?)
    }

    async fn put(&self, recording: &StoredRecording, generation: &GenerationId) -> Result<()> {
        Ok(self.sweeper.storage.put(&key(recording, generation), Bytes::from_static(b"[]")).await?)
    }
}

fn key(recording: &StoredRecording, generation: &GenerationId) -> FileKey {
    let format = recording.formats.keys().next().expect("has one");
    FileKey::of(&recording.tenant, &recording.id, (format, generation), FileKey::MANIFEST)
}

#[tokio::test]
async fn r2_replaced_files_stay_for_a_day_and_playing_ones_for_ever() -> Result<()> {
    let library = SweptLibrary::new().await?;
    let (first, index) = (stored(1), &library.sweeper.index);
    let (old, new) = (generation(1), generation(2));
    let mut second = first.clone();
    second.formats.values_mut().for_each(|format| format.generation = new.clone());
    let format = first.formats.keys().next().expect("has one").clone();
    for generation in [&old, &new] {
        library.put(&first, generation).await?;
    }
    index.write(&[write(0, &first)]).await?;
    let replacing =
        RecordingWrite { retired: Some((format.clone(), old.clone())), at_ms: 0, ..write(1, &second) };
    index.write(&[replacing]).await?;
    library.sweep_at(23).await?;
    assert!(library.has(&first, &old).await? && library.has(&first, &new).await?);
    library.sweep_at(25).await?;
    assert!(!library.has(&first, &old).await? && library.has(&first, &new).await?);
    library.sweep_at(1_000).await?;
    assert!(library.has(&first, &new).await? && index.retired_generations(u64::MAX, 9).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn r14_an_offer_that_ended_takes_its_files_along_unless_they_play() -> Result<()> {
    let library = SweptLibrary::new().await?;
    let (playing, index) = (stored(1), &library.sweeper.index);
    index.write(&[write(0, &playing)]).await?;
    let stored_format = playing.formats.values().next().expect("has one");
    let offered = |id: &str, generation: &GenerationId| UploadOffer {
        id: OfferId(id.into()),
        server: ServerId::parse("bbb").expect("is an id"),
        tenant: playing.tenant.clone(),
        facts: stored_format.facts.clone(),
        generation: generation.clone(),
        expires_ms: 10,
    };
    let abandoned = generation(7);
    for (id, generation) in [("a", &stored_format.generation), ("b", &abandoned)] {
        library.put(&playing, generation).await?;
        index.keep_offer(&offered(id, generation)).await?;
    }
    library.sweep_at(0).await?;
    assert!(library.has(&playing, &abandoned).await?, "the offer has not ended");
    library.sweep_at(1).await?;
    assert!(
        !library.has(&playing, &abandoned).await? && library.has(&playing, &stored_format.generation).await?
    );
    assert_eq!(index.offer(&OfferId("b".into())).await?, None);
    Ok(())
}

#[tokio::test]
async fn r2_a_commit_whose_offer_has_ended_is_not_done() -> Result<()> {
    let library = SweptLibrary::new().await?;
    let (recording, index) = (stored(1), &library.sweeper.index);
    let completing = RecordingWrite { completed: Some(OfferId("gone".into())), ..write(0, &recording) };
    assert_eq!(index.write(&[completing]).await?, WriteOutcome::Stale, "its files may be removed");
    assert_eq!(index.recording(&recording.id).await?, None);
    Ok(())
}
