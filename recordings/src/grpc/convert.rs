//! Conversions between messages and the types of the core.

use tonic::Status;
use usher_model::id::TenantId;
use usher_proto::v1;

use crate::core::{
    facts::{BreakoutFacts, PreviewImage},
    query::{MetadataFilter, RecordingQuery, TextPattern, WantedIds},
    shown::{RecordingState, ShownRecording},
    stored::StoredFormat,
};
use crate::ports::IndexError;

/// Reads the id of a tenant.
pub(super) fn tenant(text: &str) -> Result<TenantId, Status> {
    TenantId::parse(text).map_err(|error| Status::invalid_argument(format!("tenant: {error}")))
}

/// Returns the status of a call that the index does not answer.
pub(super) fn unavailable(error: IndexError) -> Status {
    let error = anyhow::Error::from(error);
    tracing::warn!(error = format!("{error:#}"), "the index of recordings does not answer");
    Status::unavailable("the index of recordings does not answer")
}

/// Reads the question of a list.
pub(super) fn query(request: v1::QueryRecordingsRequest) -> Result<RecordingQuery, Status> {
    let ids = match (request.record_id_prefixes, request.meeting_ids) {
        (records, meetings) if records.is_empty() && meetings.is_empty() => WantedIds::All,
        (records, meetings) if meetings.is_empty() => WantedIds::RecordPrefixes(records),
        (records, meetings) if records.is_empty() => WantedIds::Meetings(meetings),
        _ => return Err(Status::invalid_argument("record_id_prefixes and meeting_ids exclude each other")),
    };
    let filter = |filter: v1::MetadataFilter| MetadataFilter {
        key: filter.key.to_ascii_lowercase(),
        value: TextPattern::parse(&filter.value),
    };
    Ok(RecordingQuery {
        tenant: tenant(&request.tenant)?,
        ids,
        states: request.states.iter().filter_map(|state| RecordingState::parse(state)).collect(),
        metadata: request.metadata.into_iter().map(filter).collect(),
        offset: request.offset,
        limit: request.limit,
    })
}

/// Returns the message of a recording.
pub(super) fn recording(recording: ShownRecording) -> v1::LibraryRecording {
    v1::LibraryRecording {
        record_id: recording.id.into(),
        meeting_id: recording.meeting_id,
        internal_id: recording.internal_id,
        name: recording.name,
        is_breakout: recording.is_breakout,
        state: recording.state.as_str().to_owned(),
        protected: recording.protected,
        start_ms: recording.start_ms,
        end_ms: recording.end_ms,
        participants: recording.participants,
        raw_size: recording.raw_size,
        metadata: recording.meta.into_iter().collect(),
        breakout: recording.breakout.map(breakout),
        breakout_rooms: recording.breakout_rooms,
        formats: recording.formats.into_values().map(format).collect(),
    }
}

fn breakout(breakout: BreakoutFacts) -> v1::LibraryBreakout {
    v1::LibraryBreakout {
        parent_id: breakout.parent_id,
        sequence: breakout.sequence,
        free_join: breakout.free_join,
    }
}

fn format(format: StoredFormat) -> v1::LibraryFormat {
    let playback = format.facts.playback;
    v1::LibraryFormat {
        format: playback.format.into(),
        link: playback.link,
        processing_ms: playback.processing_ms,
        length_ms: playback.length_ms,
        size: playback.size.unwrap_or(format.bytes),
        previews: playback.previews.into_iter().map(preview).collect(),
    }
}

fn preview(image: PreviewImage) -> v1::LibraryPreview {
    v1::LibraryPreview { path: image.path, width: image.width, height: image.height, alt: image.alt }
}
