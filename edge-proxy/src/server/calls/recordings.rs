//! Calls about recordings. The servers that made them keep them, or the recordings library does: [`recording_servers`]
//! and [`library_calls`] are the two keepers.

mod change;
mod library_calls;
mod list_pages;
mod recording_calls;
mod recording_servers;
mod text_tracks;

pub(in crate::server) use library_calls::LibraryKeeper;
pub(in crate::server) use recording_calls::RecordingCalls;
