//! A search of every state that one recording can reach: its server renders, offers, stores and commits two
//! generations of a format, an application edits, deletes and an operator restores, files are swept, the server removes
//! its copy. An answer of a commit may be lost, and a crash may come between any two steps: no part of an upload is in
//! memory, so that a crash changes no state. Every decision is one of the pure functions of the library.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use usher_model::id::TenantId;
use usher_recordings::core::{
    change::{VisibleChange, apply},
    facts::{FormatFacts, MeetingFacts, PlaybackFacts},
    import::{ArrivingFormat, ImportDecision, ImportDefaults, ImportPublication, ImportRefusal, decide},
    names::{FormatName, GenerationId, RecordId},
    shown::RecordingState,
    stored::StoredRecording,
};

const DEFAULTS: ImportDefaults = ImportDefaults { published: ImportPublication::AsServer, protected: false };

/// The state of one recording everywhere.
#[derive(Debug, Clone, PartialEq, Default)]
struct RecordingWorld {
    /// The row of the index; a deleted one has a tombstone.
    row: Option<StoredRecording>,
    /// The generations whose files are complete in the storage.
    complete: BTreeSet<u8>,
    /// The generations that are offered.
    offered: BTreeSet<u8>,
    /// The generation that the server has published.
    on_server: Option<u8>,
    /// The generations whose commit the server knows.
    acknowledged: BTreeSet<u8>,
    /// The publication that the application set last.
    published: Option<bool>,
    /// The name that the application set last.
    name: Option<&'static str>,
    /// Whether the last of deletion and restore was a deletion.
    is_deleted: bool,
}

fn generation(number: u8) -> GenerationId {
    GenerationId::parse(&format!("{number:032x}")).expect("is one")
}

fn arriving(number: u8) -> ArrivingFormat {
    let record_id =
        RecordId::parse("6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000").expect("is one");
    let name = format!("rendering {number}");
    let meeting = MeetingFacts {
        internal_id: record_id.to_string(),
        external_id: "room".into(),
        name: name.clone(),
        is_breakout: false,
    };
    let playback = PlaybackFacts {
        format: FormatName::parse("presentation").expect("is one"),
        link: "/l".into(),
        processing_ms: 0,
        length_ms: 0,
        size: None,
        previews: Vec::new(),
    };
    let facts = FormatFacts {
        record_id,
        published: true,
        start_ms: 1,
        end_ms: 2,
        participants: None,
        meeting: Some(meeting),
        meta: BTreeMap::from([("meetingName".to_owned(), name)]),
        breakout: None,
        breakout_rooms: Vec::new(),
        raw_size: None,
        playback,
    };
    let tenant = TenantId::default_tenant();
    ArrivingFormat { facts, generation: generation(number), files: 1, bytes: 1, tenant, server: None }
}

impl RecordingWorld {
    fn decided(&self, number: u8) -> ImportDecision {
        let has_tombstone = self.row.as_ref().is_some_and(|row| row.deleted_ms.is_some());
        decide(self.row.as_ref(), has_tombstone, &arriving(number), DEFAULTS)
    }

    fn plays(&self) -> Option<u8> {
        let row = self.row.as_ref()?;
        let format = row.formats.values().next()?;
        [1, 2].into_iter().find(|number| generation(*number) == format.generation)
    }

    /// Returns the state after a change that the application or an operator makes, if there is a row.
    fn changed(&self, change: &VisibleChange) -> Option<Self> {
        let row = apply(self.row.as_ref()?, change, 7)?;
        let mut next = Self { row: Some(row), ..self.clone() };
        match change {
            VisibleChange::Publish(published) => next.published = Some(*published),
            VisibleChange::Update { .. } => next.name = Some("edited"),
            VisibleChange::Delete => next.is_deleted = true,
            VisibleChange::Restore => next.is_deleted = false,
        }
        Some(next)
    }

    /// Returns every state that one step leads to.
    fn steps(&self) -> Vec<Self> {
        let mut next = Vec::new();
        for number in [1, 2] {
            // The server renders the recording, for the first time or again.
            next.push(Self { on_server: Some(number), ..self.clone() });
            if self.on_server == Some(number) && !matches!(self.decided(number), ImportDecision::Refused(_)) {
                let mut offering = self.clone();
                match self.decided(number) {
                    // The answer says that the library has this content.
                    ImportDecision::Unchanged => drop(offering.acknowledged.insert(number)),
                    _ => drop(offering.offered.insert(number)),
                }
                next.push(offering);
            }
            if self.offered.contains(&number) {
                let mut storing = self.clone();
                storing.complete.insert(number);
                next.push(storing);
                if self.complete.contains(&number) {
                    next.extend(self.commits(number));
                }
                // The offer ends.
                let mut ended = self.clone();
                ended.offered.remove(&number);
                next.push(ended);
            }
            // A sweep removes files that neither play nor are offered.
            if self.plays() != Some(number) && !self.offered.contains(&number) {
                let mut swept = self.clone();
                swept.complete.remove(&number);
                next.push(swept);
            }
        }
        // The server removes its copy after it knows of the commit, and only then.
        if self.on_server.is_some_and(|number| self.acknowledged.contains(&number)) {
            next.push(Self { on_server: None, ..self.clone() });
        }
        let name = BTreeMap::from([("name".to_owned(), "edited".to_owned())]);
        let changes = [
            VisibleChange::Publish(true),
            VisibleChange::Publish(false),
            VisibleChange::Update { protect: None, meta: name },
            VisibleChange::Delete,
            VisibleChange::Restore,
        ];
        next.extend(changes.iter().filter_map(|change| self.changed(change)));
        next
    }

    /// Returns the states after a commit: with its answer, and with a lost answer.
    fn commits(&self, number: u8) -> Vec<Self> {
        let mut done = self.clone();
        match self.decided(number) {
            ImportDecision::Refused(reason) => {
                assert_eq!(reason, ImportRefusal::Deleted);
                return Vec::new();
            }
            ImportDecision::Unchanged => {}
            ImportDecision::Commit { recording, retired } => {
                assert_eq!(retired.is_some(), self.plays().is_some_and(|plays| plays != number));
                done.row = Some(recording);
            }
        }
        done.offered.remove(&number);
        assert_eq!(
            done.decided(number),
            ImportDecision::Unchanged,
            "R14: the same content is one generation"
        );
        let mut answered = done.clone();
        answered.acknowledged.insert(number);
        vec![done, answered]
    }

    /// Checks the guarantees of a state.
    fn check(&self) {
        let Some(row) = &self.row else {
            assert!(self.acknowledged.is_empty(), "R1: a commit that the server knows has a row");
            return;
        };
        let plays = self.plays().expect("a row has a format");
        assert!(self.complete.contains(&plays), "R2: the files of a shown format are complete");
        let shown = row.shown();
        let state = match (self.is_deleted, self.published.unwrap_or(true)) {
            (true, _) => RecordingState::Deleted,
            (false, true) => RecordingState::Published,
            (false, false) => RecordingState::Unpublished,
        };
        assert_eq!(shown.state, state, "R4, R5: deletions and publications of applications hold");
        let rendered = format!("rendering {plays}");
        assert_eq!(shown.name, self.name.unwrap_or(&rendered), "R5: edits stay over the facts of an import");
    }
}

#[test]
fn r1_r2_r4_r5_r14_hold_in_every_state_that_can_be_reached() {
    let (mut seen, mut waiting) = (HashSet::new(), VecDeque::from([RecordingWorld::default()]));
    while let Some(world) = waiting.pop_front() {
        world.check();
        for next in world.steps() {
            if seen.insert(format!("{next:?}")) {
                waiting.push_back(next);
            }
        }
    }
    assert!(seen.len() > 1_000, "only {} states", seen.len());
    println!("{} states", seen.len());
}
