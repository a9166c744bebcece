//! The edge through real sockets: a fake control plane in front, simulated BBB servers behind.

mod breakouts;
mod callbacks;
mod checks;
mod clients;
mod conformance;
mod connections;
mod create;
mod dial_in;
mod documents;
mod end;
mod failures;
mod golden;
mod hedging;
mod hooks;
mod hostile;
mod join;
mod lists;
mod policies;
mod reads;
mod recording_changes;
mod recordings;
mod routes;
mod support;
mod tenants;
mod text_tracks;
mod tls;
