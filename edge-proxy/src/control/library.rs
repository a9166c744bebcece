//! The client of the recordings library: finds its replicas in the routing stream, and tries each in turn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prost::Message as _;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::debug;
use usher_bbb::secret::Secret;
use usher_model::id::TenantId;
use usher_proto::v1::{
    self, change_recordings_request::Change, file_location::Place,
    library_service_client::LibraryServiceClient as Client, locate_file_response::Result as Located,
};
use usher_runtime::control_planes::{ControlPlanes, PlaneConnection};

use super::current_table::CurrentTable;
use crate::core::{
    admission::ByteHolder,
    playback::{FilePlace, FileRefusal, LocatedFile},
    recordings::{
        change::LibraryChange,
        filter::LibraryQuestion,
        library_recording::{LibraryBreakout, LibraryFormat, LibraryPreview, LibraryRecording},
    },
};

/// The longest wait for one replica to answer a short call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest message, bytes: 200 recordings with all their metadata.
const MESSAGE_MAX: usize = 64 << 20;
/// The most ids of one question.
const KNOWN_MAX: usize = 10_000;
/// The most connections that are kept.
const CONNECTIONS_MAX: usize = 32;

/// The library does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no replica of the recordings library answers")]
pub struct LibraryUnavailable;

/// A page of the tenant's recordings.
#[derive(Debug, Clone, Default)]
pub struct LibraryPage {
    /// The recordings, the newest first.
    pub recordings: Vec<LibraryRecording>,
    /// The number of recordings of all pages.
    pub total: u64,
}

/// The client of the library of one cell; clones share the connections.
#[derive(Debug, Clone)]
pub struct LibraryClient {
    current: Arc<CurrentTable>,
    token: Option<Secret>,
    connections: Arc<Mutex<HashMap<String, PlaneConnection>>>,
}

impl LibraryClient {
    /// Makes a client of the replicas that the routing stream of `current` names. `token` is that of the control port.
    pub fn new(current: Arc<CurrentTable>, token: Option<Secret>) -> Self {
        Self { current, token, connections: Arc::default() }
    }

    /// Returns the addresses of the replicas.
    pub fn addresses(&self) -> Arc<Vec<String>> {
        self.current.libraries()
    }

    /// Returns a page of recordings.
    ///
    /// # Errors
    /// No replica has sent the whole page before `deadline`, or `bytes` has no more for it.
    pub async fn query(
        &self,
        tenant: &TenantId,
        question: LibraryQuestion,
        deadline: Instant,
        bytes: &mut ByteHolder,
    ) -> Result<LibraryPage, LibraryUnavailable> {
        let request = query_request(tenant, question);
        for connection in self.connections() {
            let mut client = Client::new(connection).max_decoding_message_size(MESSAGE_MAX);
            let request = request.clone();
            let reading = async {
                let mut messages = client.query_recordings(request).await?.into_inner();
                let mut page = LibraryPage::default();
                while let Some(message) = messages.message().await? {
                    // The recordings, and the elements that are made of them.
                    if bytes.add(2 * message.encoded_len()).is_err() {
                        return Err(Status::resource_exhausted(
                            "the list is over the budget of bytes in memory",
                        ));
                    }
                    page.total = message.total;
                    page.recordings.extend(message.recordings.into_iter().map(recording));
                }
                Ok::<_, Status>(page)
            };
            match tokio::time::timeout_at(deadline, reading).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(status)) => debug!(reason = status.message(), "a library has not listed recordings"),
                Err(_) => return Err(LibraryUnavailable),
            }
        }
        Err(LibraryUnavailable)
    }

    /// Returns those ids that the library knows.
    ///
    /// # Errors
    /// No replica answers.
    pub async fn known(&self, record_ids: &[String]) -> Result<Vec<String>, LibraryUnavailable> {
        let mut known = Vec::new();
        for part in record_ids.chunks(KNOWN_MAX) {
            let request = v1::FindKnownRecordingsRequest { record_ids: part.to_vec() };
            let answer = self.call(|mut client| {
                let request = request.clone();
                async move { client.find_known_recordings(request).await }
            });
            known.extend(answer.await?.record_ids);
        }
        Ok(known)
    }

    /// Changes recordings of a tenant, and returns the ids that it has.
    ///
    /// # Errors
    /// No replica answers. The change may have been made, and may be repeated.
    pub async fn change(
        &self,
        tenant: &TenantId,
        record_ids: Vec<String>,
        change: LibraryChange,
    ) -> Result<Vec<String>, LibraryUnavailable> {
        let change = match change {
            LibraryChange::Publish(published) => Change::Publish(published),
            LibraryChange::Update(metadata) => Change::Update(v1::RecordingUpdate {
                protect: None,
                metadata: metadata.into_iter().collect(),
            }),
            LibraryChange::Delete => Change::Delete(v1::RecordingDeletion {}),
        };
        let request =
            v1::ChangeRecordingsRequest { tenant: tenant.to_string(), record_ids, change: Some(change) };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.change_recordings(request).await }
        });
        Ok(answer.await?.found)
    }

    /// Returns the place of a file, or why it does not play.
    ///
    /// # Errors
    /// No replica answers.
    pub async fn locate(
        &self,
        (record_id, format, path): (&str, &str, &str),
    ) -> Result<Result<LocatedFile, FileRefusal>, LibraryUnavailable> {
        let request = v1::LocateFileRequest {
            record_id: record_id.to_owned(),
            format: format.to_owned(),
            path: path.to_owned(),
        };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.locate_file(request).await }
        });
        Ok(match answer.await?.result {
            Some(Located::Location(location)) => located(location).ok_or(FileRefusal::Unknown),
            Some(Located::Refusal(reason)) if reason == i32::from(v1::FileRefusal::Unpublished) => {
                Err(FileRefusal::Unpublished)
            }
            Some(Located::Refusal(_)) | None => Err(FileRefusal::Unknown),
        })
    }

    /// Calls the replicas in turn until one answers.
    async fn call<T, F>(&self, call: impl Fn(Client<PlaneConnection>) -> F) -> Result<T, LibraryUnavailable>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        for connection in self.connections() {
            let client = Client::new(connection).max_decoding_message_size(MESSAGE_MAX);
            match tokio::time::timeout(CALL_TIMEOUT, call(client)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if status.code() == Code::InvalidArgument => {
                    debug!(reason = status.message(), "the library refuses a call");
                    return Err(LibraryUnavailable);
                }
                Ok(Err(status)) => debug!(reason = status.message(), "a library has not answered"),
                Err(_) => debug!("a library is silent"),
            }
        }
        Err(LibraryUnavailable)
    }

    /// Returns a connection to each replica.
    fn connections(&self) -> Vec<PlaneConnection> {
        let addresses = self.addresses();
        let mut kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > CONNECTIONS_MAX {
            kept.retain(|address, _| addresses.contains(address));
        }
        let made = addresses.iter().filter_map(|address| {
            if let Some(connection) = kept.get(address) {
                return Some(connection.clone());
            }
            // An address that cannot be used is left out: another replica may have a better one.
            let planes = ControlPlanes::new(std::slice::from_ref(address), self.token.as_ref()).ok()?;
            let connection = planes.nth(0).connection.clone();
            kept.insert(address.clone(), connection.clone());
            Some(connection)
        });
        made.collect()
    }
}

/// Returns the place that a library names; `None` if it is of a kind that this edge does not know.
fn located(location: v1::FileLocation) -> Option<LocatedFile> {
    let place = match location.place? {
        Place::LocalPath(path) => FilePlace::Path(path.into()),
        Place::Content(content) => FilePlace::Content(content.into()),
    };
    let (size, sha256) = (location.size, location.sha256);
    let tenant = TenantId::parse(&location.tenant).ok()?;
    Some(LocatedFile { tenant, is_protected: location.protected, size, sha256, place })
}

fn query_request(tenant: &TenantId, question: LibraryQuestion) -> v1::QueryRecordingsRequest {
    let LibraryQuestion { records, meetings, states, metadata, offset, limit } = question;
    let metadata = metadata.into_iter().map(|(key, value)| v1::MetadataFilter { key, value });
    v1::QueryRecordingsRequest {
        tenant: tenant.to_string(),
        record_id_prefixes: records,
        meeting_ids: meetings,
        states,
        metadata: metadata.collect(),
        offset: offset as u64,
        limit: limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    }
}

fn recording(message: v1::LibraryRecording) -> LibraryRecording {
    let mut metadata: Vec<_> = message.metadata.into_iter().collect();
    metadata.sort();
    let breakout = message.breakout.map(|breakout| LibraryBreakout {
        parent_id: breakout.parent_id,
        sequence: breakout.sequence,
        free_join: breakout.free_join,
    });
    LibraryRecording {
        record_id: message.record_id,
        meeting_id: message.meeting_id,
        internal_id: message.internal_id,
        name: message.name,
        is_breakout: message.is_breakout,
        state: message.state,
        start_ms: message.start_ms,
        end_ms: message.end_ms,
        participants: message.participants,
        raw_size: message.raw_size,
        metadata,
        breakout,
        breakout_rooms: message.breakout_rooms,
        formats: message.formats.into_iter().map(format).collect(),
    }
}

fn format(message: v1::LibraryFormat) -> LibraryFormat {
    let preview = |image: v1::LibraryPreview| LibraryPreview {
        path: image.path,
        width: image.width,
        height: image.height,
        alt: image.alt,
    };
    LibraryFormat {
        name: message.format,
        link: message.link,
        processing_ms: message.processing_ms,
        length_ms: message.length_ms,
        size: message.size,
        previews: message.previews.into_iter().map(preview).collect(),
    }
}
