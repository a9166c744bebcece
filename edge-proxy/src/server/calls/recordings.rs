//! Calls about recordings. Where recordings are is known to [`recording_servers`] alone: the servers that made them
//! are asked. A library of recordings in the middle would take its place.

mod change;
mod recording_servers;
mod tracks;

use std::sync::Arc;

use usher_bbb::{
    call::RecordingAction,
    parse::{ServerReply as Parsed, recordings},
};
use usher_model::id::ServerId;

use self::recording_servers::{Fleet, Pages};
use crate::core::recordings::{
    RecordingOwner,
    filter::RecordingFilter,
    list::{ServerRecordings, merge},
};
use crate::server::{fleet::survey::deadline, reply::Reply, request::Ask, router::Gateway};

/// Answers a call about recordings.
pub(in crate::server) async fn answer(gateway: &Arc<Gateway>, ask: Ask, action: RecordingAction) -> Reply {
    match action {
        RecordingAction::List => list(gateway, &ask).await,
        RecordingAction::ReadTracks => tracks::get(gateway, &ask).await,
        RecordingAction::AddTrack => tracks::put(gateway, ask).await,
        RecordingAction::Change(change) => {
            // On its own: a client that goes away must not leave a change half made.
            let (gateway, tasks) = (Arc::clone(gateway), gateway.tasks.clone());
            let changed = tasks.spawn_short("change-recordings", async move {
                change::change(&gateway, &ask, change).await
            });
            changed.await.unwrap_or_else(|_| Reply::unavailable())
        }
    }
}

async fn list(gateway: &Arc<Gateway>, ask: &Ask) -> Reply {
    let whose = whose(ask);
    let survey = Fleet::of(gateway, ask).list(&ask.parameters, whose, deadline(gateway)).await;
    survey.reply(gateway, (&ask.tenant, ask.call), |answers: &[(ServerId, Pages)]| {
        let pages = answers.iter().flat_map(|(server, pages)| pages.iter().map(move |page| (server, page)));
        let lists: Vec<ServerRecordings<'_>> = pages
            .filter_map(|(server, page)| match recordings(&page.text) {
                Ok(Parsed::Success(list)) => {
                    Some(ServerRecordings { server, recordings: list.recordings.unwrap_or_default() })
                }
                _ => None,
            })
            .collect();
        merge(whose, &RecordingFilter::read(&ask.parameters), &lists)
    })
}

fn whose(ask: &Ask) -> RecordingOwner<'_> {
    RecordingOwner { tenant: &ask.tenant, scope: ask.meetings.scope() }
}
