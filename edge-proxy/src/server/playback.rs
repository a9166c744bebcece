//! Recordings as browsers play them: the way from an address to the bytes of a file of the library.

mod file_body;
mod player;
mod site;

pub(super) use site::PlaybackSite;
