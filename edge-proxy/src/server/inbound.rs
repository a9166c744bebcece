//! Requests that no application sends: callbacks and events of BBB servers, and dial-ins of `FreeSWITCH`.

mod callback_cells;
mod callbacks;
mod dial_in;
mod events;
mod hand_overs;
mod recording_uploads;
mod server_answer;

pub(in crate::server) use callback_cells::CallbackCells;
pub(in crate::server) use callbacks::CallbackReceiver;
pub(in crate::server) use dial_in::DialInReceiver;
pub(in crate::server) use events::EventReceiver;
pub(in crate::server) use hand_overs::HandOverShares;
pub(in crate::server) use recording_uploads::RecordingUploads;
pub(in crate::server) use server_answer::HandOverLimits;
