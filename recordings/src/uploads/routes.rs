//! The HTTP requests of uploads. Edges pass them on as they are.

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{patch, post},
};
use futures::TryStreamExt as _;
use tracing::{info, warn};
use usher_model::id::ServerId;

use super::{OfferDocument, UploadRefusal, UploadService};
use crate::{
    core::upload_token::{TokenRefusal, signer},
    ports::OfferId,
};

/// The largest announcement, bytes: 100,000 files of a usual length of their paths.
const OFFER_MAX: usize = 32 << 20;
/// Seconds after which a server may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");
const UPLOAD_OFFSET: &str = "upload-offset";

/// Returns the routes of uploads.
pub fn router(service: UploadService) -> Router {
    Router::new()
        .route("/usher/recordings/offers", post(offer).layer(DefaultBodyLimit::max(OFFER_MAX)))
        .route(
            "/usher/recordings/offers/{offer}/files/{number}",
            patch(append).head(offset).layer(DefaultBodyLimit::disable()),
        )
        .route("/usher/recordings/offers/{offer}/commit", post(commit))
        .with_state(service)
}

impl IntoResponse for UploadRefusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Unavailable(error) => warn!(error = format!("{error:#}"), "an upload cannot go on"),
            other => info!(reason = %other, "a request of an upload is refused"),
        }
        let mut response = (self.status(), Json(self.document())).into_response();
        if let Self::Offset { stored } = self {
            response.headers_mut().insert(UPLOAD_OFFSET, stored.into());
        }
        if self.is_for_now() {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// The server that signed a request. It is known before a byte of the body is read, so that no stranger costs memory.
struct RequestSigner(ServerId);

impl FromRequestParts<UploadService> for RequestSigner {
    type Rejection = UploadRefusal;

    async fn from_request_parts(parts: &mut Parts, service: &UploadService) -> Result<Self, UploadRefusal> {
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or(TokenRefusal::Unsigned)?;
        let facts = service.fleet.facts();
        Ok(Self(signer(token, parts.uri.path(), facts.servers(), service.now_ms())?.id.clone()))
    }
}

async fn offer(
    State(service): State<UploadService>,
    RequestSigner(server): RequestSigner,
    body: axum::body::Bytes,
) -> Result<Response, UploadRefusal> {
    let document: OfferDocument =
        serde_json::from_slice(&body).map_err(|error| UploadRefusal::Document(error.to_string()))?;
    let answer = service.offer(server, document).await?;
    let status = if answer.offer.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

async fn offset(
    State(service): State<UploadService>,
    RequestSigner(server): RequestSigner,
    Path((offer, number)): Path<(String, usize)>,
) -> Result<Response, UploadRefusal> {
    let stored = service.offset(&server, &OfferId(offer), number).await?;
    Ok((StatusCode::OK, [(UPLOAD_OFFSET, stored.to_string())]).into_response())
}

async fn append(
    State(service): State<UploadService>,
    RequestSigner(server): RequestSigner,
    Path((offer, number)): Path<(String, usize)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, UploadRefusal> {
    let offset = headers.get(UPLOAD_OFFSET).and_then(|value| value.to_str().ok()?.parse().ok());
    let offset = offset.ok_or(UploadRefusal::NoOffset)?;
    let bytes = body.into_data_stream().map_err(std::io::Error::other);
    let stored = service.append(&server, &OfferId(offer), (number, offset), Box::pin(bytes)).await?;
    Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, stored.to_string())]).into_response())
}

async fn commit(
    State(service): State<UploadService>,
    RequestSigner(server): RequestSigner,
    Path(offer): Path<String>,
) -> Result<Response, UploadRefusal> {
    service.commit(&server, &OfferId(offer)).await?;
    Ok(Json(serde_json::json!({ "state": "committed" })).into_response())
}
