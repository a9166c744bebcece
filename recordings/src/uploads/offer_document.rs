//! The documents of an offer: the announcement of a server, and the answer.

use serde::{Deserialize, Serialize};

use crate::{core::manifest::ManifestFile, ports::OfferId};

/// The announcement of one format.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OfferDocument {
    /// The content of metadata.xml.
    pub metadata: String,
    /// The files of the format.
    pub files: Vec<ManifestFile>,
}

/// The answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferAnswer {
    /// `open`: the missing files are expected; `done`: the library has the same content already.
    pub state: &'static str,
    /// The name of the offer, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// The files that are not complete.
    pub missing: Vec<MissingFile>,
}

/// A file that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingFile {
    /// The path of the file.
    pub path: String,
    /// Its number, which names it in requests.
    pub n: usize,
    /// The number of bytes that are stored.
    pub offset: u64,
}

impl OfferAnswer {
    /// Returns the answer to content that is here already.
    pub fn done() -> Self {
        Self { state: "done", offer: None, missing: Vec::new() }
    }

    /// Returns the answer to an offer whose files are expected.
    pub fn open(id: OfferId, missing: Vec<MissingFile>) -> Self {
        Self { state: "open", offer: Some(id.0), missing }
    }
}
