//! The families of stored values, a file for each: its keys, and the form of its values.

mod fields;
mod health;
mod meeting_path;
mod record;
mod sample;
mod server;
mod tenant;
mod voice;
mod zombie;
