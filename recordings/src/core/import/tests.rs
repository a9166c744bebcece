use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::{
    change::{VisibleChange, apply},
    facts::{MeetingFacts, PlaybackFacts},
    names::{FormatName, RecordId},
};

const DEFAULTS: ImportDefaults = ImportDefaults { published: ImportPublication::AsServer, protected: false };

/// Returns an arriving format: `content` names its files, `title` its name in metadata.xml.
fn arriving(format: &str, content: u8, title: &str) -> ArrivingFormat {
    let record_id =
        RecordId::parse("6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000").expect("is one");
    let meeting = MeetingFacts {
        internal_id: record_id.to_string(),
        external_id: "room".into(),
        name: title.into(),
        is_breakout: false,
    };
    let playback = PlaybackFacts {
        format: FormatName::parse(format).expect("is one"),
        link: format!("/{format}/"),
        processing_ms: 0,
        length_ms: 0,
        size: None,
        previews: Vec::new(),
    };
    let meta = BTreeMap::from([("meetingName".to_owned(), title.to_owned()), ("course".into(), "A".into())]);
    ArrivingFormat {
        facts: FormatFacts {
            record_id,
            published: true,
            start_ms: 1,
            end_ms: 2,
            participants: Some(1),
            // Old video formats have none.
            meeting: (format != "video").then_some(meeting),
            meta,
            breakout: None,
            breakout_rooms: Vec::new(),
            raw_size: None,
            playback,
        },
        generation: GenerationId::parse(&format!("{content:032x}")).expect("is one"),
        files: 1,
        bytes: 1,
        tenant: TenantId::default_tenant(),
        server: None,
    }
}

/// Imports a format, which must be taken or unchanged.
fn imported(stored: Option<&StoredRecording>, arriving: &ArrivingFormat) -> StoredRecording {
    match decide(stored, false, arriving, DEFAULTS) {
        ImportDecision::Commit { recording, .. } => recording,
        ImportDecision::Unchanged => stored.expect("is there").clone(),
        ImportDecision::Refused(reason) => panic!("refused: {reason:?}"),
    }
}

fn edit(key: &str, value: &str) -> VisibleChange {
    VisibleChange::Update { protect: None, meta: BTreeMap::from([(key.to_owned(), value.to_owned())]) }
}

#[test]
fn r4_a_deleted_recording_is_refused() {
    let stored = imported(None, &arriving("presentation", 1, "T"));
    let deleted = apply(&stored, &VisibleChange::Delete, 7).expect("changes");
    let refused = ImportDecision::Refused(ImportRefusal::Deleted);
    assert_eq!(decide(Some(&deleted), true, &arriving("presentation", 2, "T"), DEFAULTS), refused);
    assert_eq!(decide(None, true, &arriving("video", 1, "T"), DEFAULTS), refused, "a purged one");
    let restored = apply(&deleted, &VisibleChange::Restore, 8).expect("changes");
    assert_eq!(restored, stored);
    assert!(matches!(
        decide(Some(&restored), false, &arriving("presentation", 2, "T"), DEFAULTS),
        ImportDecision::Commit { retired: Some(_), .. }
    ));
}

#[test]
fn r8_a_recording_of_another_tenant_is_refused() {
    let stored = imported(None, &arriving("presentation", 1, "T"));
    let mut other = arriving("video", 1, "T");
    other.tenant = TenantId::parse("other").expect("is an id");
    let refused = ImportDecision::Refused(ImportRefusal::OtherTenant);
    assert_eq!(decide(Some(&stored), false, &other, DEFAULTS), refused);
}

#[test]
fn r14_the_same_content_changes_nothing() {
    let first = arriving("presentation", 1, "T");
    let stored = imported(None, &first);
    assert_eq!(decide(Some(&stored), false, &first, DEFAULTS), ImportDecision::Unchanged);
    // Fresh facts of the same files are taken, and retire no files.
    let renamed = decide(Some(&stored), false, &arriving("presentation", 1, "New"), DEFAULTS);
    assert!(matches!(renamed, ImportDecision::Commit { retired: None, .. }), "{renamed:?}");
}

#[test]
fn r5_edits_stay_over_the_facts_of_every_import() {
    let mut stored = imported(None, &arriving("presentation", 1, "T"));
    for change in [
        edit("name", "Edited"),
        edit("Course", ""),
        edit("usher-tenant", "x"),
        edit("a b", "x"),
        edit("endCallbackUrl", "x"),
        VisibleChange::Publish(false),
    ] {
        stored = apply(&stored, &change, 5).unwrap_or(stored);
    }
    stored = imported(Some(&stored), &arriving("presentation", 2, "Fresh"));
    stored = imported(Some(&stored), &arriving("video", 1, "Fresh"));
    let shown = stored.shown();
    assert_eq!((shown.name.as_str(), shown.state.as_str()), ("Edited", "unpublished"));
    assert!(shown.meta.keys().eq(["meetingName", "name"]), "{:?}", shown.meta);
    assert!(apply(&stored, &VisibleChange::Publish(false), 6).is_none(), "a repeated change alters nothing");
}

#[test]
fn a_held_recording_is_not_deleted() {
    let stored = StoredRecording { held: true, ..imported(None, &arriving("presentation", 1, "T")) };
    assert_eq!(apply(&stored, &VisibleChange::Delete, 7), None);
}

proptest! {
    #[test]
    fn r5_the_order_of_imports_decides_nothing(
        order in Just(vec!["presentation", "video", "notes"]).prop_shuffle(),
        edited_after in 0_usize..4,
    ) {
        let run = |order: &[&str], edited_after: usize| {
            let mut stored: Option<StoredRecording> = None;
            for (number, format) in order.iter().enumerate() {
                stored = Some(imported(stored.as_ref(), &arriving(format, 1, "T")));
                if number == edited_after.min(order.len() - 1) {
                    stored = stored.as_ref().and_then(|stored| apply(stored, &edit("course", "B"), 5)).or(stored);
                }
            }
            stored.expect("is there").shown()
        };
        prop_assert_eq!(run(&order, edited_after), run(&["notes", "presentation", "video"], 0));
    }

    #[test]
    fn edits_of_edits_are_edits_in_any_grouping(
        edits in prop::collection::vec((prop::option::of(any::<bool>()), prop::option::of("[ab]"), prop::option::of("[xy]")), 3),
    ) {
        let edits: Vec<RecordingEdits> = edits
            .into_iter()
            .map(|(published, key, value)| RecordingEdits {
                published,
                protected: None,
                meta: key.map(|key| (key, value)).into_iter().collect(),
            })
            .collect();
        let then = |a: &RecordingEdits, b: &RecordingEdits| {
            let mut sum = a.clone();
            sum.then(b.clone());
            sum
        };
        let [a, b, c] = &edits[..] else { unreachable!("there are three") };
        prop_assert_eq!(then(&then(a, b), c), then(a, &then(b, c)));
    }
}
