//! The player of presentations. It is BigBlueButton's own and no part of Usher: an operator names its directory.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::file_body::{FileAnswer, file_answer, status_answer};
use crate::{
    core::{admission::ByteHolder, playback::FilePlace},
    server::transport::HttpResponse,
};

/// The path below which the player of the present version is served.
const ROOT: &str = "/playback/presentation/2.3/";
/// The page of an edge without a player.
const NO_PLAYER: &str = "<!doctype html><title>No player</title><p>This balancer has no player for presentations. \
    Its operator names one in the setting recordings.player.</p>";

/// Answers a request for a file of the player, or for a page of it: every address without a file is its first page.
pub(super) async fn player_file(
    player: Option<&Path>,
    request: &Request<Incoming>,
    holder: ByteHolder,
) -> HttpResponse {
    let Some(player) = player else { return no_player() };
    let path = request.uri().path();
    let Some(below) = path.strip_prefix(ROOT) else { return old_address(request) };
    let named = percent_decode_str(below).decode_utf8().ok().map(|below| PathBuf::from(below.into_owned()));
    let plain = named.filter(|named| named.components().all(|part| matches!(part, Component::Normal(_))));
    let wanted = match plain {
        Some(plain) if tokio::fs::metadata(player.join(&plain)).await.is_ok_and(|found| found.is_file()) => {
            plain
        }
        _ => PathBuf::from("index.html"),
    };
    let file = player.join(&wanted);
    let Ok(metadata) = tokio::fs::metadata(&file).await else { return no_player() };
    // The player's files keep their names over an update, so that size and time tell the versions apart.
    let etag = Some(format!("\"{:x}-{:x}\"", metadata.len(), metadata.mtime()));
    let name = wanted.to_string_lossy();
    let place = FilePlace::Path(file);
    let answer = FileAnswer { place: &place, size: metadata.len(), etag, path: &name, is_download: false };
    let mut response = file_answer(request, answer, holder).await;
    response.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
    response
}

fn no_player() -> HttpResponse {
    let mut response = HttpResponse::new(Bytes::from_static(NO_PLAYER.as_bytes()).into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Redirects an address of an older player, `…/2.0/playback.html?meetingId=ID`, to the present one.
fn old_address(request: &Request<Incoming>) -> HttpResponse {
    let id = request
        .uri()
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("meetingId=")));
    let is_id = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let Some(id) = id.filter(is_id) else { return status_answer(StatusCode::NOT_FOUND) };
    let mut response = status_answer(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(&format!("{ROOT}{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
