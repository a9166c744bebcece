//! Calls about recordings. The servers that made them keep them, and only [`recording_servers`] knows that: a
//! central library of recordings could replace it.

mod change;
mod list_pages;
mod recording_calls;
mod recording_servers;
mod text_tracks;

pub(in crate::server) use recording_calls::RecordingCalls;
