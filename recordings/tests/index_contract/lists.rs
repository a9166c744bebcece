//! The contract of lists: each answers as [`RecordingQuery::admits`] means.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};
use usher_recordings::{
    core::{
        names::RecordId,
        query::{RecordingQuery, WantedIds},
        shown::ShownRecording,
        stored::StoredRecording,
    },
    ports::{RecordingIndex, WriteOutcome},
};

use crate::{IndexSubject, samples::*};

/// Writes random states over one another, and compares lists with the model after each call.
pub(crate) fn lists_equal_the_model<S: IndexSubject>(subject: impl Fn() -> S) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recording = (0_usize..20).prop_flat_map(any_recording);
    let history = prop::collection::vec(recording, 1..40);
    let queries = prop::collection::vec(any_query(), 1..25);
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let case = |(history, queries): (Vec<StoredRecording>, Vec<RecordingQuery>)| {
        runtime.block_on(async {
            let subject = subject();
            let index = subject.open().await;
            let mut model: BTreeMap<RecordId, (u64, StoredRecording)> = BTreeMap::new();
            for recording in history {
                let seen = model.get(&recording.id).map_or(0, |(version, _)| *version);
                assert_eq!(index.write(&[write(seen, &recording)]).await.unwrap(), WriteOutcome::Done);
                model.insert(recording.id.clone(), (seen + 1, recording));
            }
            subject.audit().await;
            let index = subject.open().await;
            for (version, recording) in model.values() {
                let read = index.recording(&recording.id).await.unwrap().unwrap();
                assert_eq!((read.version.0, &read.recording), (*version, recording));
            }
            let mut shown: Vec<ShownRecording> = model.values().map(|(_, stored)| stored.shown()).collect();
            shown.sort_by(|a, b| (b.start_ms, &b.id).cmp(&(a.start_ms, &a.id)));
            for query in queries {
                let all: Vec<_> = shown.iter().filter(|recording| query.admits(recording)).cloned().collect();
                let page = index.page(&query).await.unwrap();
                assert_eq!(page.total, all.len() as u64, "{query:?}");
                let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
                let expected: Vec<_> = all.into_iter().skip(query.offset as usize).take(limit).collect();
                assert_eq!(page.recordings, expected, "{query:?}");
            }
        });
        Ok(())
    };
    runner.run(&(history, queries), case).unwrap();
}

pub(crate) async fn thousands_of_ids_are_one_question(subject: &impl IndexSubject) {
    let index = subject.open().await;
    let writes: Vec<_> = (0..50).map(|number| write(0, &stored(number))).collect();
    index.write(&writes).await.unwrap();
    let ids: Vec<RecordId> = (0..40_000).map(record_id).collect();
    assert_eq!(index.known(&ids).await.unwrap().len(), 50);
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut query = whole_list(0);
    query.ids = WantedIds::RecordPrefixes(texts.clone());
    assert_eq!(index.page(&query).await.unwrap().total, 50);
    query.ids = WantedIds::Meetings(texts.into_iter().chain(["room".to_owned()]).collect());
    assert_eq!(index.page(&query).await.unwrap().recordings.len(), 50);
}
