//! The decisions of the edge, as pure functions: no clock, socket, task, log or generated code.

pub mod admission;
pub mod authenticate;
pub mod callbacks;
pub mod cell_readiness;
pub mod cell_routes;
pub mod dial_in;
pub mod document_body;
pub mod evidence;
pub mod hedge_delay;
pub mod hooks;
pub mod limits;
pub mod merge;
pub mod playback;
pub mod presentation;
pub mod quota;
pub mod recordings;
pub mod request_target;
pub mod resign;
pub mod route;
pub mod rules;
pub mod server_refusal;
pub mod tenant_holders;
pub mod validate;
