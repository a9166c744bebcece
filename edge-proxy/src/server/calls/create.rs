//! `create`: place the meeting, call its server, report the outcome (design 4).

mod answer_wait;
mod attempts;
mod breakout_room;
mod create_calls;
mod destination;
mod meeting_creation;

pub(in crate::server) use create_calls::CreateCalls;
pub(in crate::server) use meeting_creation::CreatePorts;
