//! The contract of writes, tombstones and offers. `open` opens the same database each time.

use usher_recordings::{
    core::edits::RecordingEdits,
    ports::{IndexError, RecordingIndex, RecordingWrite, WriteOutcome},
};

use crate::{IndexSubject, samples::*};

pub(crate) async fn a_stale_write_undoes_all_of_its_call(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let (one, two) = (stored(1), stored(2));
    assert_eq!(index.write(&[write(0, &one)]).await.unwrap(), WriteOutcome::Done);
    for seen in [0, 2] {
        let writes = [write(0, &two), write(seen, &one)];
        assert_eq!(index.write(&writes).await.unwrap(), WriteOutcome::Stale);
    }
    assert!(index.recording(&two.id).await.unwrap().is_none());
    let twice = [write(1, &one), write(2, &one)];
    assert!(matches!(index.write(&twice).await, Err(IndexError::Refused(_))));
    let index = subject.open().await;
    let kept = index.recording(&one.id).await.unwrap().unwrap();
    assert_eq!((kept.version.0, kept.recording), (1, one));
}

pub(crate) async fn r3_a_change_of_state_leaves_the_files(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let mut recording = stored(1);
    index.write(&[write(0, &recording)]).await.unwrap();
    recording.edits = RecordingEdits { published: Some(false), protected: Some(true), ..Default::default() };
    recording.tenant = tenant(1);
    assert_eq!(index.write(&[write(1, &recording)]).await.unwrap(), WriteOutcome::Done);
    let index = subject.open().await;
    assert_eq!(index.recording(&recording.id).await.unwrap().unwrap().recording, recording);
    assert_eq!(index.page(&whole_list(0)).await.unwrap().total, 0);
    assert_eq!(index.page(&whole_list(1)).await.unwrap().recordings, [recording.shown()]);
    let used = index.uses_generation(&recording.id, &format_name("video"), &generation(1)).await.unwrap();
    assert!(used);
}

pub(crate) async fn r4_a_deleted_recording_stays_deleted(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let mut recording = stored(1);
    index.write(&[write(0, &recording)]).await.unwrap();
    assert!(index.tombstone(&recording.id).await.unwrap().is_none());
    recording.deleted_ms = Some(50);
    index.write(&[write(1, &recording)]).await.unwrap();
    let index = subject.open().await;
    let tombstone = index.tombstone(&recording.id).await.unwrap().unwrap();
    assert_eq!((tombstone.tenant, tombstone.deleted_ms), (tenant(0), 50));
    assert_eq!(index.write(&[write(0, &stored(1))]).await.unwrap(), WriteOutcome::Stale);
    subject.purge(&recording.id).await;
    assert!(index.recording(&recording.id).await.unwrap().is_none());
    assert_eq!(index.known(&[record_id(2), record_id(1)]).await.unwrap(), [record_id(1)]);
    assert_eq!(index.write(&[write(0, &stored(1))]).await.unwrap(), WriteOutcome::Stale);
}

pub(crate) async fn a_restored_recording_loses_its_tombstone(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let recording = stored(1);
    let deleted =
        usher_recordings::core::stored::StoredRecording { deleted_ms: Some(5), ..recording.clone() };
    for (seen, state) in [(0, &recording), (1, &deleted), (2, &recording)] {
        assert_eq!(index.write(&[write(seen, state)]).await.unwrap(), WriteOutcome::Done);
    }
    assert!(index.tombstone(&recording.id).await.unwrap().is_none());
    subject.audit().await;
}

pub(crate) async fn offers_are_kept_until_their_write(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let first = offer("a", "s-1");
    assert_eq!(index.keep_offer(&first).await.unwrap(), first);
    let mut again = offer("b", "s-1");
    again.expires_ms = 300;
    again.facts.published = false;
    again.id = first.id.clone();
    let repeated = usher_recordings::ports::UploadOffer { id: offer("b", "s-1").id, ..again.clone() };
    assert_eq!(index.keep_offer(&repeated).await.unwrap(), again, "the same files are the same offer");
    let other = offer("c", "s-2");
    assert_eq!(index.keep_offer(&other).await.unwrap(), other, "another server has its own offer");
    let index = subject.open().await;
    assert_eq!(index.offer(&first.id).await.unwrap(), Some(again));
    assert_eq!(index.offer(&repeated.id).await.unwrap(), None);
    assert_eq!(index.expired_offers(100, 9).await.unwrap(), []);
    assert_eq!(index.expired_offers(101, 9).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(index.expired_offers(1000, 1).await.unwrap(), std::slice::from_ref(&other));
    index.postpone_offer(&other.id, 500).await.unwrap();
    assert_eq!(index.offer(&other.id).await.unwrap().unwrap().expires_ms, 500);
    let uses = async || index.uses_generation(&record_id(1), &format_name("video"), &generation(9)).await;
    assert!(uses().await.unwrap());
    index.remove_offer(&other.id).await.unwrap();
    let completing = RecordingWrite { completed: Some(first.id.clone()), ..write(0, &stored(1)) };
    index.write(&[completing]).await.unwrap();
    assert_eq!(index.offer(&first.id).await.unwrap(), None);
    assert!(!uses().await.unwrap());
}

pub(crate) async fn of_two_writers_one_wins(subject: &impl IndexSubject) {
    let (first, second) = (subject.open().await, subject.open().await);
    let recording = stored(1);
    for seen in 0..20 {
        let writes = [write(seen, &recording)];
        let (a, b) = tokio::join!(first.write(&writes), second.write(&writes));
        let done = [a.unwrap(), b.unwrap()].iter().filter(|outcome| **outcome == WriteOutcome::Done).count();
        assert_eq!(done, 1, "version {seen}");
    }
    subject.audit().await;
}
