//! A simulated BigBlueButton server, faithful to its HTTP API: checksums in all four hashes, the
//! rules of `create`, `join` and `end`, internal ids, breakout rooms, and session pages that show
//! who joined which meeting. Tests and operators set its faults by [`BbbSim::faults`] or over HTTP:
//!
//! ```text
//! POST   /sim/faults?kind=KIND[&call=NAME][&count=N][&for=5s][&delay=500ms]    set a fault
//! GET    /sim/faults                                                           list them
//! DELETE /sim/faults[?kind=KIND]                                               clear them
//! GET    /sim/calls      DELETE /sim/calls                                     the calls that arrived
//! GET    /sim/meetings                                                         the meetings in its memory
//! POST   /sim/end?meetingID=ID          POST /sim/breakouts?meetingID=PARENT
//! POST   /sim/crowd?meetingID=ID&users=N                                       POST /sim/restart
//! POST   /sim/recording-ready?meetingID=ID       GET  /sim/callbacks
//! POST   /sim/connect?meetingID=ID       POST /sim/connect?sessionToken=TOKEN  the clients of users connect
//! POST   /sim/leave?meetingID=ID&fullName=NAME                                 a user leaves
//! POST   /sim/settle                     creates are confirmed, ends are carried out
//! GET    /sim/hooks      DELETE /sim/hooks       GET  /sim/hook-posts          webhooks, and the requests to them
//! ```
//!
//! The kinds are the names of [`FaultKind::name`].

mod answer;
mod apps;
mod body;
mod callbacks;
mod calls;
mod chance;
mod control;
mod error_page;
mod faults;
mod hooks;
mod http;
mod internal_id;
mod java_map;
mod lock;
mod memory;
mod options;
mod page;
mod recording;
mod render;
mod request;
mod response;
mod server;
mod sim;
mod state;
mod time;
mod view;

pub use callbacks::SimCallback;
pub use faults::{FaultKind, FaultSyntaxError, SimFault};
pub use hooks::{SimHook, SimHookPost};
pub use options::{BbbVersion, HookOptions, HooksVersion, SimOptions};
pub use recording::{SimFormat, SimRecording, SimRecordingState, SimTrack};
pub use sim::{BbbSim, FaultControl, SimStartError};
pub use view::{SimCall, SimMeeting};
