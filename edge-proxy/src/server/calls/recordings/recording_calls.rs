//! The list of recordings, and the choice among the calls about them.

use usher_bbb::{
    call::RecordingAction,
    parse::{ServerReply as Parsed, recordings},
};
use usher_model::id::ServerId;
use usher_runtime::{repeated_warnings::RequestWarnings, tasks::TaskGroup};

use super::{
    change::{change, reply_to},
    library_calls::LibraryKeeper,
    list_pages::ListPages,
    recording_servers::{RecordingServers, recordings_of},
    text_tracks,
};
use crate::{
    core::recordings::{
        RecordingOwner,
        change::ids,
        filter::RecordingFilter,
        list::{ServerRecordings, merge},
    },
    server::{
        admission::CallTimeouts,
        fleet::{
            server_calls::ServerCalls,
            survey::{FleetSurvey, MissingParts},
        },
        reply::CallReply,
        request::VerifiedRequest,
    },
};

/// Answers the calls about recordings.
#[derive(Debug)]
pub(in crate::server) struct RecordingCalls {
    pub(in crate::server) servers: ServerCalls,
    pub(in crate::server) survey: FleetSurvey,
    pub(in crate::server) timeouts: CallTimeouts,
    pub(in crate::server) tasks: TaskGroup,
    pub(in crate::server) warnings: RequestWarnings,
    /// The library; `None` if recordings stay on the servers.
    pub(in crate::server) library: Option<LibraryKeeper>,
}

impl RecordingCalls {
    /// Answers a call about recordings.
    pub(in crate::server) async fn answer(
        &self,
        request: VerifiedRequest,
        action: RecordingAction,
    ) -> CallReply {
        let (timeouts, calls) = (self.timeouts, (&self.servers, &self.warnings));
        match action {
            RecordingAction::List => self.list(&request).await,
            RecordingAction::ReadTracks => {
                text_tracks::get(&RecordingServers::of(calls, &request), timeouts, &request).await
            }
            RecordingAction::AddTrack => text_tracks::put(calls, timeouts, request).await,
            RecordingAction::Change(kind) => {
                // In a task of its own: if the client closes its connection, the change must not be made
                // on a part of the servers only.
                let (servers, warnings) = (self.servers.clone(), self.warnings.clone());
                let library = self.library.clone();
                let changed = self.tasks.spawn_short("change-recordings", async move {
                    let servers = RecordingServers::of((&servers, &warnings), &request);
                    let verdict = match library {
                        Some(library) => library.change(&servers, timeouts, &request, kind).await,
                        None => change(&servers, timeouts, &request, (kind, &ids(&request.parameters))).await,
                    };
                    reply_to(&request, kind, verdict)
                });
                changed.await.unwrap_or_else(|_| CallReply::unavailable())
            }
        }
    }

    async fn list(&self, request: &VerifiedRequest) -> CallReply {
        let servers = RecordingServers::of((&self.servers, &self.warnings), request);
        let survey = servers.list(&request.parameters, recordings_of(request), self.survey.deadline()).await;
        if let Some(library) = &self.library {
            return library.list((&self.survey, survey), self.servers.compute(), request).await;
        }
        let size = survey.parts.iter().flat_map(|(_, pages)| pages).map(|page| page.text.len()).sum();
        let partial = if request.route.policy.partial_recordings {
            MissingParts::Tolerated
        } else {
            MissingParts::Refused
        };
        let (tenant, scope) = (request.tenant.clone(), request.meetings.scope().clone());
        let parameters = request.parameters.clone();
        let merge = move |parts: &[(ServerId, ListPages)]| {
            let pages = parts.iter().flat_map(|(server, pages)| pages.iter().map(move |page| (server, page)));
            let lists: Vec<ServerRecordings<'_>> = pages
                .filter_map(|(server, page)| match recordings(&page.text) {
                    Ok(Parsed::Success(list)) => {
                        Some(ServerRecordings { server, recordings: list.recordings.unwrap_or_default() })
                    }
                    _ => None,
                })
                .collect();
            let whose = RecordingOwner { tenant: &tenant, scope: &scope };
            merge(whose, &RecordingFilter::read(&parameters), &lists)
        };
        self.survey.reply(survey, (&request.tenant, request.call), partial, size, merge).await
    }
}
