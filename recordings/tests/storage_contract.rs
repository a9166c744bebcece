//! The contract of the storage, on each of its implementations.

use std::io;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use usher_model::id::TenantId;
use usher_recordings::{
    core::{
        manifest::ManifestFile,
        names::{FormatName, GenerationId, RecordId, Sha256Hex},
    },
    ports::{ByteStream, FileKey, RecordingStorage, StorageError},
    storage::DirectoryStorage,
};

fn key(path: &str) -> FileKey {
    FileKey::of(
        &TenantId::default_tenant(),
        &RecordId::parse("6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000").expect("is one"),
        (
            &FormatName::parse("presentation").expect("is one"),
            &GenerationId::parse(&"1".repeat(32)).expect("is one"),
        ),
        &FileKey::content_path(path),
    )
}

fn file(path: &str, content: &[u8]) -> ManifestFile {
    let digits: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    ManifestFile {
        path: path.into(),
        size: content.len() as u64,
        sha256: Sha256Hex::parse(&digits).expect("is one"),
    }
}

fn bytes(content: &[u8]) -> ByteStream {
    let chunks: Vec<_> = content.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    Box::pin(stream::iter(chunks))
}

/// A source that breaks off after `content`.
fn cut(content: &[u8]) -> ByteStream {
    Box::pin(bytes(content).chain(stream::iter([Err(io::Error::other("cut"))])))
}

async fn content(
    storage: &dyn RecordingStorage,
    key: &FileKey,
    range: Option<std::ops::Range<u64>>,
) -> Result<Vec<u8>> {
    let mut stream = storage.read(key, range).await?;
    let mut whole = BytesMut::new();
    while let Some(part) = stream.next().await {
        whole.extend_from_slice(&part?);
    }
    Ok(whole.to_vec())
}

fn sample() -> Vec<u8> {
    (0..1_000_003_u32).map(|number| (number % 253) as u8).collect()
}

/// Returns the storages under test, each empty.
async fn storages(folder: &tempfile::TempDir) -> Result<Vec<Box<dyn RecordingStorage>>> {
    Ok(vec![Box::new(DirectoryStorage::open(&folder.path().join("made/by/it")).await?)])
}

#[tokio::test]
async fn r1_a_file_arrives_in_parts_and_is_whole_or_not_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for storage in storages(&folder).await? {
        let (key, sample) = (key("video/webcams.webm"), sample());
        let (file, size) = (file("video/webcams.webm", &sample), sample.len() as u64);
        assert_eq!(storage.stored(&key).await?, 0);
        let broken = storage.append(&key, 0, size, cut(&sample[..300_001])).await;
        assert!(matches!(broken, Err(StorageError::Source(_))), "{broken:?}");
        assert_eq!(storage.stored(&key).await?, 300_001, "the bytes that came are stored");
        for offset in [0, 300_000, 300_002] {
            let refused = storage.append(&key, offset, size, bytes(b"x")).await;
            assert!(matches!(refused, Err(StorageError::Offset { stored: 300_001 })), "{refused:?}");
        }
        assert!(
            matches!(storage.read(&key, None).await.err(), Some(StorageError::Absent)),
            "it is not complete"
        );
        assert!(!storage.is_complete(&key).await?);
        let stored = storage.append(&key, 300_001, size, bytes(&sample[300_001..])).await?;
        assert_eq!(stored, size);
        storage.complete(&key, &file).await?;
        storage.complete(&key, &file).await?;
        assert_eq!(content(&*storage, &key, None).await?, sample);
        for range in [0..1, 999_999..1_000_003, 5..2_000_000] {
            let wanted = &sample[range.start as usize..(range.end as usize).min(sample.len())];
            assert_eq!(content(&*storage, &key, Some(range)).await?, wanted);
        }
        let again = storage.append(&key, size, size, bytes(b"")).await?;
        assert_eq!(again, size, "a complete file stays");
    }
    Ok(())
}

#[tokio::test]
async fn r1_a_wrong_checksum_is_found_and_the_file_begins_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for storage in storages(&folder).await? {
        let (key, file) = (key("a"), file("a", b"right"));
        storage.append(&key, 0, 5, bytes(b"wrong")).await?;
        assert!(matches!(storage.complete(&key, &file).await, Err(StorageError::Checksum)));
        assert_eq!(storage.stored(&key).await?, 0);
        let too_long = storage.append(&key, 0, 5, bytes(b"rightx")).await;
        assert!(matches!(too_long, Err(StorageError::TooLong)), "{too_long:?}");
        assert!(matches!(
            storage.complete(&key, &file).await,
            Err(StorageError::Absent | StorageError::Checksum)
        ));
        storage.append(&key, 0, 5, bytes(b"right")).await?;
        storage.complete(&key, &file).await?;
        assert_eq!(content(&*storage, &key, None).await?, b"right");
    }
    Ok(())
}

/// A request that is dropped leaves its last write behind; the next one waits for it, or learns where the file stands.
#[tokio::test]
async fn r1_a_dropped_request_leaves_whole_bytes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for storage in storages(&folder).await? {
        let sample = sample();
        for round in 0..40 {
            let key = key(&format!("dropped-{round}"));
            let size = sample.len() as u64;
            let mut appending = Box::pin(storage.append(&key, 0, size, bytes(&sample)));
            for _ in 0..round {
                // The request is dropped at another of its steps each time.
                if futures::poll!(&mut appending).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(appending);
            let mut offset = 0;
            while offset < size {
                let rest = bytes(&sample[offset as usize..]);
                offset = match storage.append(&key, offset, size, rest).await {
                    Ok(stored) | Err(StorageError::Offset { stored }) => stored,
                    Err(error) => return Err(error.into()),
                };
            }
            storage.complete(&key, &file(&key.path, &sample)).await?;
            assert_eq!(content(&*storage, &key, None).await?, sample, "round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn of_two_requests_for_one_file_one_appends() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for storage in storages(&folder).await? {
        let (key, sample) = (key("b"), sample());
        let size = sample.len() as u64;
        let (one, other) = tokio::join!(
            storage.append(&key, 0, size, bytes(&sample)),
            storage.append(&key, 0, size, bytes(&sample))
        );
        let done = [&one, &other].into_iter().filter(|done| matches!(done, Ok(stored) if *stored == size));
        assert_eq!(done.count(), 1, "{one:?} {other:?}");
        storage.complete(&key, &file("b", &sample)).await?;
        assert_eq!(content(&*storage, &key, None).await?, sample);
    }
    Ok(())
}

#[tokio::test]
async fn empty_files_folders_and_manifests_do_not_collide() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for storage in storages(&folder).await? {
        for path in ["manifest.json", "parts/x", "files/y", "ü/a b"] {
            let key = key(path);
            storage.complete(&key, &file(path, b"")).await?;
            assert!(storage.is_complete(&key).await? && content(&*storage, &key, None).await?.is_empty());
        }
        let manifest = FileKey { path: FileKey::MANIFEST.into(), ..key("x") };
        storage.put(&manifest, Bytes::from_static(b"first")).await?;
        storage.put(&manifest, Bytes::from_static(b"second")).await?;
        assert_eq!(content(&*storage, &manifest, None).await?, b"first", "a complete file never changes");
        assert!(storage.free().await?.is_none_or(|free| free > 0));
        storage.remove_generation(&manifest).await?;
        storage.remove_generation(&manifest).await?;
        assert!(!storage.is_complete(&key("ü/a b")).await?);
    }
    Ok(())
}
