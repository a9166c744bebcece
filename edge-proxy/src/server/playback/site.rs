//! Answers requests for files of recordings.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use usher_runtime::clock;

use super::{
    file_body::{FileAnswer, file_answer, status_answer},
    player::player_file,
};
use crate::{
    control::library::{LibraryClient, LibraryUnavailable},
    core::{
        admission::{ByteBudget, ByteOwner},
        playback::{
            FileRefusal, LocatedFile, PlaybackFile, PlaybackTarget, RecentAnswer, RecentAnswers, target,
        },
    },
    metrics::RequestMetrics,
    server::transport::HttpResponse,
};

/// The most questions to libraries that are under way.
const QUESTIONS_MAX: usize = 128;

/// A located file, or the reason why it does not play.
type Located = Result<Arc<LocatedFile>, FileRefusal>;

/// Answers requests for files of recordings.
#[derive(Debug)]
pub(in crate::server) struct PlaybackSite {
    /// The libraries of the cells, in the order of the cells.
    libraries: Vec<LibraryClient>,
    /// The directory of the player of presentations.
    player: Option<PathBuf>,
    recent: Mutex<RecentAnswers<PlaybackFile, Located>>,
    /// The questions to libraries that may be under way: a browser may ask for any number of unknown files.
    questions: Semaphore,
    /// The budget of the parts of files that are on their way.
    bytes: ByteBudget,
    metrics: RequestMetrics,
}

impl PlaybackSite {
    /// Returns the site of the recordings that `libraries` keep.
    pub(in crate::server) fn new(
        libraries: Vec<LibraryClient>,
        player: Option<PathBuf>,
        bytes: ByteBudget,
        metrics: RequestMetrics,
    ) -> Self {
        let questions = Semaphore::new(QUESTIONS_MAX);
        Self { libraries, player, recent: Mutex::default(), questions, bytes, metrics }
    }

    /// Returns whether an address is one of playback.
    pub(in crate::server) fn is_address(path: &str) -> bool {
        target(path).is_some()
    }

    /// Answers a request to an address of playback.
    pub(in crate::server) async fn answer(&self, request: &Request<Incoming>) -> HttpResponse {
        let response = self.respond(request).await;
        self.metrics.playback(response.status());
        response
    }

    async fn respond(&self, request: &Request<Incoming>) -> HttpResponse {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = status_answer(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match target(request.uri().path()) {
            Some(PlaybackTarget::File(file)) => self.file(request, file).await,
            Some(PlaybackTarget::Player) => {
                let holder = self.bytes.holder(ByteOwner::Fleet);
                player_file(self.player.as_deref(), request, holder).await
            }
            Some(PlaybackTarget::Folder) => with_slash(request),
            None => status_answer(StatusCode::NOT_FOUND),
        }
    }

    async fn file(&self, request: &Request<Incoming>, file: PlaybackFile) -> HttpResponse {
        let (path, is_download) = (file.path.clone(), file.is_download);
        let location = match self.located(file).await {
            Ok(Ok(location)) if location.is_protected => return status_answer(StatusCode::FORBIDDEN),
            Ok(Ok(location)) => location,
            Ok(Err(_)) => return status_answer(StatusCode::NOT_FOUND),
            Err(LibraryUnavailable) => return status_answer(StatusCode::SERVICE_UNAVAILABLE),
        };
        let etag = (!location.sha256.is_empty()).then(|| format!("\"{}\"", location.sha256));
        let answer =
            FileAnswer { place: &location.place, size: location.size, etag, path: &path, is_download };
        let holder = self.bytes.holder(ByteOwner::Tenant(location.tenant.clone()));
        file_answer(request, answer, holder).await
    }

    /// Returns the place of a file: a remembered one, or that of the first library that knows it.
    async fn located(&self, file: PlaybackFile) -> Result<Located, LibraryUnavailable> {
        let asked = clock::now();
        let stale = match self.recent.lock().unwrap_or_else(PoisonError::into_inner).find(&file, asked) {
            RecentAnswer::Fresh(located) => return Ok(located),
            RecentAnswer::Stale(located) => Some(located),
            RecentAnswer::None => None,
        };
        let Ok(_question) = self.questions.try_acquire() else { return stale.ok_or(LibraryUnavailable) };
        let mut answered = Err(LibraryUnavailable);
        for library in &self.libraries {
            match library.locate((&file.record_id, &file.format, &file.path)).await {
                Ok(Err(FileRefusal::Unknown)) => answered = Ok(Err(FileRefusal::Unknown)),
                Ok(located) => {
                    answered = Ok(located.map(Arc::new));
                    break;
                }
                // The file may be this library's.
                Err(LibraryUnavailable) => return stale.ok_or(LibraryUnavailable),
            }
        }
        let located = answered?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.remember(file, located.clone(), asked);
        Ok(located)
    }
}

/// Redirects to the same address with a final slash, without which relative addresses lead elsewhere.
fn with_slash(request: &Request<Incoming>) -> HttpResponse {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("{}/{query}", request.uri().path());
    let mut response = status_answer(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from(location)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
