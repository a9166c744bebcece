//! The recordings of a server: their origin and their changes.

use super::{MemoryChange, ServerMeeting, ServerMemory, TimedChange};
use crate::recording::{SimFormat, SimRecording, SimRecordingState, SimTrack};

/// Returns the recording of a meeting that has just ended.
pub(super) fn of_meeting(meeting: &ServerMeeting, now_ms: u64, ready_at_ms: u64) -> SimRecording {
    let start_time_ms = meeting.create_time_ms;
    SimRecording {
        record_id: meeting.internal_id.clone(),
        name: meeting.name.clone(),
        end_time_ms: meeting.ended_at_ms.unwrap_or(now_ms),
        state: SimRecordingState::Processing,
        ready_at_ms,
        participants: meeting.users.len(),
        metadata: meeting.metadata.clone().into_iter().collect(),
        breakout: meeting
            .breakout
            .as_ref()
            .map(|room| (room.parent_internal_id.clone(), room.sequence, room.free_join)),
        formats: vec![SimFormat {
            kind: "presentation".into(),
            processing_time_ms: ready_at_ms.saturating_sub(now_ms),
            length_minutes: now_ms.saturating_sub(start_time_ms) / 60_000,
            size: 524_288,
        }],
        ..SimRecording::new(&meeting.external_id, start_time_ms)
    }
}

impl ServerMemory {
    /// Publishes the recordings whose processing ends by `now_ms`.
    pub(super) fn process(&mut self, now_ms: u64) {
        let mut published = Vec::new();
        for recording in &mut self.recordings {
            if recording.state == SimRecordingState::Processing && now_ms >= recording.ready_at_ms {
                recording.state = SimRecordingState::Published;
                published.push(recording.clone());
            }
        }
        for recording in published {
            self.report(now_ms, MemoryChange::RecordingReady(Box::new(recording)));
        }
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
