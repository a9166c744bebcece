//! `getRecordingTextTracks` and `putRecordingTextTrack`: sent to a server that has the recording, whose
//! answer in JSON is passed on. The addresses in it are the server's own.

use std::sync::Arc;

use tokio::time::Instant;
use usher_bbb::{
    query::{QueryEdit, RawQuery, rewrite},
    reply::Refusal,
};
use usher_model::routing::ServerRoute;

use super::{recording_servers::Fleet, whose};
use crate::{
    metrics::Outcome,
    server::{admission::body::Document, reply::Reply, request::Ask, router::Gateway},
    upstream::{ServerAnswer, UploadBody},
};

/// Returns the subtitles and captions of a recording.
pub(super) async fn get(gateway: &Arc<Gateway>, ask: &Ask) -> Reply {
    let holders = match find(gateway, ask, Refusal::no_recording).await {
        Ok(holders) => holders,
        Err(reply) => return reply,
    };
    let (fleet, parameters) = (Fleet::of(gateway, ask), parameters(ask));
    let deadline = Instant::now() + gateway.limits.call / 2;
    for server in &holders {
        if let Ok(answer) = fleet.call(server, ask.call, &parameters, UploadBody::None, deadline).await {
            return passed_on(&answer);
        }
    }
    Reply::unavailable_to(ask.call)
}

/// Sends subtitles or captions to a server that has the recording.
pub(super) async fn put(gateway: &Arc<Gateway>, mut ask: Ask) -> Reply {
    let holders = match find(gateway, &ask, Refusal::no_recording_to_caption).await {
        Ok(holders) => holders,
        Err(reply) => return reply,
    };
    let document = std::mem::replace(&mut ask.document, Document::None);
    let kind = ask.content_type.take();
    let (Some(server), upload) = (holders.first(), document.multipart(kind)) else {
        return Reply::unavailable_to(ask.call);
    };
    let deadline = Instant::now() + gateway.limits.upload;
    let answer = Fleet::of(gateway, &ask).call(server, ask.call, &parameters(&ask), upload, deadline).await;
    answer.map_or_else(|_| Reply::unavailable_to(ask.call), |answer| passed_on(&answer))
}

/// Returns the servers that have the recording.
async fn find(
    gateway: &Arc<Gateway>,
    ask: &Ask,
    nobody: impl Fn(&str) -> Refusal,
) -> Result<Vec<Arc<ServerRoute>>, Reply> {
    let id = record_id(ask);
    let deadline = Instant::now() + gateway.limits.call / 2;
    let ids = [id];
    let holders = Fleet::of(gateway, ask).holders(&ids, whose(ask), deadline).await;
    match (holders.found.is_empty(), holders.missing) {
        (false, _) => Ok(holders.found.into_iter().map(|(server, _)| server).collect()),
        (true, 0) => Err(Reply::refused_to(ask.call, &nobody(&ids[0]))),
        (true, _) => Err(Reply::unavailable_to(ask.call)),
    }
}

/// A single one: a comma is part of it.
fn record_id(ask: &Ask) -> String {
    RawQuery::new(&ask.parameters).first("recordID").unwrap_or_default().trim().to_owned()
}

fn parameters(ask: &Ask) -> String {
    rewrite(&ask.parameters, &[QueryEdit::Set("recordID", &record_id(ask))])
}

fn passed_on(answer: &ServerAnswer) -> Reply {
    let outcome = if answer.outcome.success { Outcome::success } else { Outcome::refused };
    if answer.text.trim_start().starts_with('{') {
        Reply::json(answer.text.clone(), outcome)
    } else {
        Reply::xml(answer.text.clone(), outcome)
    }
}
