//! The pure rules of the library: the facts of a recording, its changes, the forms of manifests and metadata.xml.

pub mod change;
pub mod edits;
pub mod facts;
pub mod import;
pub mod manifest;
pub mod metadata_document;
pub mod metadata_keys;
pub mod names;
pub mod query;
pub mod shown;
pub mod stored;
pub mod upload_token;
