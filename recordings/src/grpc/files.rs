//! The places of files that play.

use tonic::Status;
use usher_proto::v1::{
    FileLocation, FileRefusal, LocateFileRequest, LocateFileResponse, file_location::Place,
    locate_file_response::Result as Located,
};

use super::{convert::unavailable, library::LibraryRpc};
use crate::{
    core::{
        manifest::METADATA,
        metadata_document,
        names::{FormatName, RecordId},
        shown::RecordingState,
    },
    ports::{FileKey, StorageError},
};

impl LibraryRpc {
    /// Returns the place of a file, or why it does not play.
    pub(super) async fn locate(&self, request: LocateFileRequest) -> Result<LocateFileResponse, Status> {
        let refused =
            |reason: FileRefusal| Ok(LocateFileResponse { result: Some(Located::Refusal(reason.into())) });
        let (Ok(id), Ok(format)) = (RecordId::parse(&request.record_id), FormatName::parse(&request.format))
        else {
            return refused(FileRefusal::Unknown);
        };
        let Some(found) = self.index.recording(&id).await.map_err(unavailable)? else {
            return refused(FileRefusal::Unknown);
        };
        let shown = found.recording.shown();
        match shown.state {
            RecordingState::Published => {}
            RecordingState::Unpublished => return refused(FileRefusal::Unpublished),
            RecordingState::Deleted => return refused(FileRefusal::Unknown),
        }
        let Some(stored) = shown.formats.get(&format) else { return refused(FileRefusal::Unknown) };
        let key = |path: &str| FileKey::of(&shown.tenant, &id, (&format, &stored.generation), path);
        let located = |size, sha256, place| {
            let tenant = shown.tenant.to_string();
            let location =
                FileLocation { tenant, protected: shown.protected, size, sha256, place: Some(place) };
            Ok(LocateFileResponse { result: Some(Located::Location(location)) })
        };
        if request.path == METADATA {
            let text = metadata_document::render(&shown, &format);
            return located(text.len() as u64, String::new(), Place::Content(text.into_bytes()));
        }
        let manifest = self.manifests.manifest(&*self.storage, &key(FileKey::MANIFEST)).await;
        let manifest = manifest.map_err(storage_unavailable)?;
        let Some(file) = manifest.find(&request.path) else { return refused(FileRefusal::Unknown) };
        let Some(path) = self.storage.local_path(&key(&FileKey::content_path(&file.path))) else {
            return Err(Status::unimplemented("edges cannot read this storage"));
        };
        let path = path.to_str().ok_or_else(|| Status::internal("the path of the storage is no UTF-8"))?;
        located(file.size, file.sha256.to_string(), Place::LocalPath(path.to_owned()))
    }
}

fn storage_unavailable(error: StorageError) -> Status {
    let error = anyhow::Error::from(error);
    tracing::warn!(error = format!("{error:#}"), "the storage of recordings does not answer");
    Status::unavailable("the storage of recordings does not answer")
}
