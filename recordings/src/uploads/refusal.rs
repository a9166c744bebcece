//! The reasons why a request of an upload is refused, and their form on the wire.

use http::StatusCode;
use serde_json::{Value, json};

use super::MissingFile;
use crate::{
    core::{import::ImportRefusal, upload_token::TokenRefusal},
    ports::{IndexError, StorageError},
};

/// The reason why a request of an upload is refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadRefusal {
    /// The token is missing or not valid.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// A document cannot be read; the text names the field and the remedy.
    #[error("{0}")]
    Document(String),
    /// The recording names a tenant that does not exist.
    #[error("the tenant of the recording does not exist; add it, then offer the recording again")]
    UnknownTenant,
    /// The recording was deleted (R4).
    #[error("the recording was deleted; an operator can restore it")]
    Deleted,
    /// The recording belongs to another tenant (R8).
    #[error("the recording belongs to another tenant")]
    OtherTenant,
    /// There is no such offer of this server, or it has ended; the server makes a new one.
    #[error("there is no such offer; make a new one")]
    UnknownOffer,
    /// The offer has no file of this number.
    #[error("the offer has no such file")]
    UnknownFile,
    /// The request lacks `Upload-Offset`, or it is no number.
    #[error("the header Upload-Offset must be the number of bytes that are stored")]
    NoOffset,
    /// Files are missing, so that the offer cannot be committed.
    #[error("{} files are missing", .0.len())]
    Missing(Vec<MissingFile>),
    /// The part begins at another offset than the stored bytes end.
    #[error("{stored} bytes are stored")]
    Offset {
        /// The number of stored bytes.
        stored: u64,
    },
    /// The part is longer than the rest of the file.
    #[error("the part is longer than the rest of the file")]
    TooLong,
    /// The file has another checksum than the manifest; it begins anew.
    #[error("the content has another checksum than the manifest; send the file from its beginning")]
    Checksum,
    /// There is no space (R13).
    #[error("the library has no space; the server keeps its copy and tries again")]
    Full,
    /// A part of the library does not answer.
    #[error("the library is unavailable; try again")]
    Unavailable(#[source] anyhow::Error),
}

impl From<ImportRefusal> for UploadRefusal {
    fn from(refusal: ImportRefusal) -> Self {
        match refusal {
            ImportRefusal::Deleted => Self::Deleted,
            ImportRefusal::OtherTenant => Self::OtherTenant,
        }
    }
}

impl From<IndexError> for UploadRefusal {
    fn from(error: IndexError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<StorageError> for UploadRefusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Offset { stored } => Self::Offset { stored },
            StorageError::TooLong => Self::TooLong,
            StorageError::Checksum => Self::Checksum,
            StorageError::Full => Self::Full,
            other => Self::Unavailable(other.into()),
        }
    }
}

impl UploadRefusal {
    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Token(_) => StatusCode::FORBIDDEN,
            Self::Document(_) | Self::NoOffset | Self::TooLong => StatusCode::BAD_REQUEST,
            Self::Deleted => StatusCode::GONE,
            Self::OtherTenant | Self::Missing(_) | Self::Offset { .. } => StatusCode::CONFLICT,
            Self::UnknownTenant | Self::UnknownOffer | Self::UnknownFile => StatusCode::NOT_FOUND,
            Self::Checksum => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns whether the same request may succeed later.
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::Full | Self::Unavailable(_) | Self::UnknownTenant)
    }

    /// Returns the document of the answer.
    pub fn document(&self) -> Value {
        match self {
            Self::Missing(missing) => json!({ "error": self.to_string(), "missing": missing }),
            _ => json!({ "error": self.to_string() }),
        }
    }
}
