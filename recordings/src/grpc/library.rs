//! The implementation of `LibraryService`.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, stream};
use tonic::{Request, Response, Status};
use usher_proto::v1::{
    self, ChangeRecordingsRequest, ChangeRecordingsResponse, FindKnownRecordingsRequest,
    FindKnownRecordingsResponse, LocateFileRequest, LocateFileResponse, QueryRecordingsRequest,
    QueryRecordingsResponse, library_service_server::LibraryService,
};
use usher_runtime::clock::WallClock;

use super::convert::{self, unavailable};
use crate::{
    core::{names::RecordId, query::RecordingQuery},
    manifests::ManifestCache,
    ports::{IndexError, RecordingIndex, RecordingStorage},
};

/// The recordings of one message of a list.
const PER_MESSAGE: usize = 200;
/// The recordings of one page that is read from the index.
const PER_READ: u32 = 1_000;
/// The most ids of one question.
const KNOWN_MAX: usize = 10_000;

/// The implementation of `LibraryService`.
#[derive(Debug, Clone)]
pub struct LibraryRpc {
    pub(crate) index: Arc<dyn RecordingIndex>,
    pub(crate) storage: Arc<dyn RecordingStorage>,
    pub(crate) manifests: ManifestCache,
    pub(crate) clock: WallClock,
}

type PageStream = Pin<Box<dyn Stream<Item = Result<QueryRecordingsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl LibraryService for LibraryRpc {
    type QueryRecordingsStream = PageStream;

    async fn query_recordings(
        &self,
        request: Request<QueryRecordingsRequest>,
    ) -> Result<Response<PageStream>, Status> {
        let query = convert::query(request.into_inner())?;
        Ok(Response::new(self.pages(query)))
    }

    async fn change_recordings(
        &self,
        request: Request<ChangeRecordingsRequest>,
    ) -> Result<Response<ChangeRecordingsResponse>, Status> {
        self.change(request.into_inner()).await.map(Response::new)
    }

    async fn find_known_recordings(
        &self,
        request: Request<FindKnownRecordingsRequest>,
    ) -> Result<Response<FindKnownRecordingsResponse>, Status> {
        let asked = request.into_inner().record_ids;
        if asked.len() > KNOWN_MAX {
            return Err(Status::invalid_argument(format!("record_ids: at most {KNOWN_MAX}")));
        }
        // A text that is no id is unknown.
        let ids: Vec<RecordId> = asked.iter().filter_map(|id| RecordId::parse(id).ok()).collect();
        let known = self.index.known(&ids).await.map_err(unavailable)?;
        let record_ids = known.into_iter().map(String::from).collect();
        Ok(Response::new(FindKnownRecordingsResponse { record_ids }))
    }

    async fn locate_file(
        &self,
        request: Request<LocateFileRequest>,
    ) -> Result<Response<LocateFileResponse>, Status> {
        self.locate(request.into_inner()).await.map(Response::new)
    }
}

/// The state of a list that is being sent.
struct ListReading {
    query: RecordingQuery,
    /// The number of recordings that are still wanted; `None` means all.
    left: Option<u32>,
    ready: Vec<v1::LibraryRecording>,
    total: u64,
    is_first: bool,
    is_read: bool,
}

impl LibraryRpc {
    /// Returns the recordings of a query in messages. A long list is read in parts, so that memory does not grow with
    /// it.
    fn pages(&self, query: RecordingQuery) -> PageStream {
        let left = query.limit;
        let reading =
            ListReading { query, left, ready: Vec::new(), total: 0, is_first: true, is_read: false };
        let index = Arc::clone(&self.index);
        Box::pin(stream::try_unfold(reading, move |mut reading| {
            let index = Arc::clone(&index);
            async move {
                if reading.ready.is_empty() && !reading.is_read {
                    reading.read(&*index).await.map_err(unavailable)?;
                }
                if reading.ready.is_empty() && !reading.is_first {
                    return Ok(None);
                }
                reading.is_first = false;
                let rest = reading.ready.split_off(reading.ready.len().min(PER_MESSAGE));
                let recordings = std::mem::replace(&mut reading.ready, rest);
                let total = reading.total;
                Ok(Some((QueryRecordingsResponse { recordings, total }, reading)))
            }
        }))
    }
}

impl ListReading {
    async fn read(&mut self, index: &dyn RecordingIndex) -> Result<(), IndexError> {
        let wanted = self.left.map_or(PER_READ, |left| left.min(PER_READ));
        let page = index.page(&RecordingQuery { limit: Some(wanted), ..self.query.clone() }).await?;
        let read = u32::try_from(page.recordings.len()).unwrap_or(u32::MAX);
        self.total = page.total;
        self.query.offset += u64::from(read);
        self.left = self.left.map(|left| left.saturating_sub(read));
        self.is_read = read < wanted || self.left == Some(0);
        self.ready = page.recordings.into_iter().map(convert::recording).collect();
        Ok(())
    }
}
