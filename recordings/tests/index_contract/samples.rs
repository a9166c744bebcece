//! Recordings, writes and offers for the contract.

use std::collections::BTreeMap;

use proptest::prelude::*;
use usher_model::id::{ServerId, TenantId};
use usher_recordings::{
    core::{
        edits::RecordingEdits,
        facts::{FormatFacts, MeetingFacts, PlaybackFacts},
        names::{FormatName, GenerationId, RecordId},
        query::{MetadataFilter, RecordingQuery, TextPattern, WantedIds},
        shown::RecordingState,
        stored::{InitialVisibility, StoredFormat, StoredRecording},
    },
    ports::{OfferId, RecordingWrite, RowVersion, UploadOffer},
};

pub(crate) fn tenant(number: usize) -> TenantId {
    TenantId::parse(&format!("tenant-{number}")).expect("is valid")
}

pub(crate) fn record_id(number: usize) -> RecordId {
    RecordId::parse(&format!("{:0>40}-{:013}", number % 7, number)).expect("is valid")
}

pub(crate) fn generation(number: usize) -> GenerationId {
    GenerationId::parse(&format!("{number:032x}")).expect("is valid")
}

pub(crate) fn format_name(name: &str) -> FormatName {
    FormatName::parse(name).expect("is valid")
}

pub(crate) fn facts(id: &RecordId, format: &str) -> FormatFacts {
    FormatFacts {
        record_id: id.clone(),
        published: true,
        start_ms: 1_700_000_000_000,
        end_ms: 1_700_000_060_000,
        participants: Some(3),
        meeting: Some(MeetingFacts {
            internal_id: id.to_string(),
            external_id: "room".into(),
            name: "Room".into(),
            is_breakout: false,
        }),
        meta: BTreeMap::new(),
        breakout: None,
        breakout_rooms: vec!["x".into()],
        raw_size: Some(5),
        playback: PlaybackFacts {
            format: format_name(format),
            link: format!("/playback/{format}/{id}"),
            processing_ms: 1,
            length_ms: 2,
            size: None,
            previews: Vec::new(),
        },
    }
}

pub(crate) fn stored(number: usize) -> StoredRecording {
    let id = record_id(number);
    let format = StoredFormat { facts: facts(&id, "video"), generation: generation(1), files: 2, bytes: 10 };
    StoredRecording {
        id,
        tenant: tenant(0),
        initial: InitialVisibility { published: true, protected: false },
        edits: RecordingEdits::default(),
        formats: BTreeMap::from([(format_name("video"), format)]),
        held: false,
        deleted_ms: None,
        server: Some(ServerId::parse("bbb-1").expect("is valid")),
    }
}

pub(crate) fn write(seen: u64, recording: &StoredRecording) -> RecordingWrite {
    RecordingWrite {
        seen: RowVersion(seen),
        recording: recording.clone(),
        retired: None,
        completed: None,
        at_ms: 7,
        journal: "test",
    }
}

pub(crate) fn offer(name: &str, server: &str) -> UploadOffer {
    UploadOffer {
        id: OfferId(name.into()),
        server: ServerId::parse(server).expect("is valid"),
        tenant: tenant(0),
        facts: facts(&record_id(1), "video"),
        generation: generation(9),
        expires_ms: 100,
    }
}

/// A list of all live recordings of a tenant.
pub(crate) fn whole_list(number: usize) -> RecordingQuery {
    RecordingQuery {
        tenant: tenant(number),
        ids: WantedIds::All,
        states: [RecordingState::Published, RecordingState::Unpublished].into(),
        metadata: Vec::new(),
        offset: 0,
        limit: None,
    }
}

/// Texts with the characters that patterns, JSON and SQL treat in their own ways.
pub(crate) fn awkward_text() -> impl Strategy<Value = String> {
    "[aA%_'\"\\\\ä\u{0}]{0,3}"
}

prop_compose! {
    pub(crate) fn any_recording(number: usize)(
        owner in 0_usize..2,
        start in 0_u64..4,
        meeting in awkward_text(),
        meta in prop::collection::btree_map("[kK%\"][.ä]?", awkward_text(), 0..3),
        edited in prop::collection::btree_map("[k%]", prop::option::of(awkward_text()), 0..2),
        published in any::<Option<bool>>(),
        deleted in prop::option::weighted(0.2, 1_u64..9),
        held in any::<bool>(),
        both in any::<bool>(),
        bytes in 0_u64..1000,
    ) -> StoredRecording {
        let mut recording = stored(number);
        recording.tenant = tenant(owner);
        recording.edits = RecordingEdits { published, protected: Some(held), meta: edited };
        recording.deleted_ms = deleted;
        recording.held = held;
        let mut format = recording.formats[&format_name("video")].clone();
        format.bytes = bytes;
        format.facts.start_ms = start;
        format.facts.meta = meta;
        format.facts.meeting.as_mut().expect("is valid").external_id = meeting;
        recording.formats = BTreeMap::from([(format_name("video"), format.clone())]);
        if both {
            format.facts.playback.format = format_name("notes");
            recording.formats.insert(format_name("notes"), format);
        }
        recording
    }
}

fn any_pattern() -> impl Strategy<Value = TextPattern> {
    (0..4, awkward_text()).prop_map(|(kind, text)| match kind {
        0 => TextPattern::Equal(text),
        1 => TextPattern::Begins(text),
        2 => TextPattern::Ends(text),
        _ => TextPattern::Contains(text),
    })
}

prop_compose! {
    pub(crate) fn any_query()(
        owner in 0_usize..2,
        kind in 0..4,
        numbers in prop::collection::vec((0_usize..20, 0_usize..55), 0..5),
        odd in awkward_text(),
        meetings in prop::collection::vec(awkward_text(), 0..5),
        states in prop::collection::btree_set(
            prop::sample::select(vec![
                RecordingState::Published, RecordingState::Unpublished, RecordingState::Deleted,
            ]),
            0..4,
        ),
        filters in prop::collection::vec(("[kK%\"][.ä]?", any_pattern()), 0..3),
        offset in 0_u64..4,
        limit in prop::option::of(0_u32..6),
    ) -> RecordingQuery {
        let beginnings = numbers.iter().map(|(number, length)| record_id(*number).as_str()[..*length].to_owned());
        let ids = match kind {
            0 => WantedIds::Meetings(meetings),
            1 => WantedIds::RecordPrefixes(beginnings.chain([odd]).collect()),
            2 => WantedIds::RecordPrefixes(beginnings.collect()),
            _ => WantedIds::All,
        };
        let metadata = filters.into_iter()
            .map(|(key, value)| MetadataFilter { key: key.to_ascii_lowercase(), value }).collect();
        RecordingQuery { tenant: tenant(owner), ids, states, metadata, offset, limit }
    }
}
