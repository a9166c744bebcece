//! The recordings of a server and their changes.

use super::{
    ServerMemory,
    change::{MemoryChange, TimedChange},
    meeting::ServerMeeting,
};
use crate::recording::{SimRecording, SimRecordingState, SimTrack};

impl ServerMemory {
    /// Publishes the recording of an ended meeting if it is still processing, and queues callback
    /// and event, also for one that is published already. Returns whether the meeting existed.
    pub(crate) fn publish(&mut self, id: &str, now_ms: u64) -> bool {
        let wanted = |meeting: &&ServerMeeting| meeting.external_id == id || meeting.internal_id == id;
        let Some(meeting) = self.past.iter().rev().find(wanted) else { return false };
        let mut recording = meeting.recording(now_ms, now_ms);
        for known in &mut self.recordings {
            if known.record_id == recording.record_id {
                if known.state == SimRecordingState::Processing {
                    known.state = SimRecordingState::Published;
                }
                recording = known.clone();
            }
        }
        self.report(now_ms, MemoryChange::RecordingReady(Box::new(recording)));
        true
    }

    pub(crate) fn recordings(&self) -> &[SimRecording] {
        &self.recordings
    }

    pub(crate) fn add_recording(&mut self, recording: SimRecording) {
        self.recordings.push(recording);
    }

    pub(crate) fn recording_mut(&mut self, record_id: &str) -> Option<&mut SimRecording> {
        self.recordings.iter_mut().find(|recording| recording.record_id == record_id)
    }

    /// Changes the recordings among `ids` that exist and are not deleted, and reports each
    /// one that was published, unpublished or deleted. Returns how many were found.
    pub(crate) fn change_recordings(
        &mut self,
        ids: &[&str],
        now_ms: u64,
        mut change: impl FnMut(&mut SimRecording),
    ) -> usize {
        let Self { recordings, changes, .. } = self;
        let found = recordings.iter_mut().filter(|recording| {
            recording.state != SimRecordingState::Deleted && ids.contains(&recording.record_id.as_str())
        });
        found
            .map(|recording| {
                let before = recording.state;
                change(recording);
                if recording.state != before {
                    let change = MemoryChange::RecordingState(Box::new(recording.clone()));
                    changes.push(TimedChange { at_ms: now_ms, change });
                }
            })
            .count()
    }
}

impl SimRecording {
    /// Changes the publication: to `published` only from `unpublished`, and the reverse.
    pub(crate) fn publish(&mut self, publish: bool) {
        self.state = match (self.state, publish) {
            (SimRecordingState::Unpublished, true) => SimRecordingState::Published,
            (SimRecordingState::Published, false) => SimRecordingState::Unpublished,
            _ => return,
        };
        self.rewrites = self.rewrites.saturating_add(1);
    }

    /// Sets a metadata value; an empty value removes the key.
    pub(crate) fn update(&mut self, key: &str, value: &str) {
        self.metadata.retain(|(name, _)| name != key);
        if !value.is_empty() {
            self.metadata.push((key.to_owned(), value.to_owned()));
        }
    }

    /// Adds a track, in place of one with the same kind and language.
    pub(crate) fn put_track(&mut self, track: SimTrack) {
        self.tracks.retain(|old| (&old.kind, &old.lang) != (&track.kind, &track.lang));
        self.tracks.push(track);
    }
}
