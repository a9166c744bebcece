//! The servers as keepers of recordings: each server has those that it made.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{call::ApiCall, query::ParameterList};
use usher_model::{id::ServerId, routing::ServerRoute, server::Health};
use usher_runtime::repeated_warnings::RequestWarnings;

use super::list_pages::{ListPages, listed, search};
use crate::{
    control::table::LiveTable,
    core::{
        evidence::CallOrigin,
        recordings::{RecordingOwner, filter},
    },
    server::{
        admission::CallTimeouts,
        fleet::{
            server_calls::ServerCalls,
            survey::{SurveyParts, survey},
        },
        request::VerifiedRequest,
    },
    upstream::{ServerAnswer, ServerCallError, SharedAnswer, UploadBody},
};

/// Most result pages that are read of one server, with 100 recordings each.
const PAGES_MAX: usize = 1000;

/// The servers of a request's table, as keepers of recordings.
#[derive(Debug)]
pub(super) struct RecordingServers<'g> {
    calls: &'g ServerCalls,
    table: &'g LiveTable,
    caller: CallOrigin,
    warnings: &'g RequestWarnings,
}

/// What an answer says about the list as a whole.
#[derive(Debug, Clone, Copy)]
struct ListFigures {
    /// Whether it has recordings; otherwise the server lists them only in pages.
    is_list: bool,
    /// Number of recordings of all pages, if it is a page.
    total: Option<usize>,
}

/// The servers that have some of the recordings that were searched for.
#[derive(Debug)]
pub(super) struct RecordingHolders {
    /// Each server with the ids that it has, of the tenant's recordings.
    pub(super) found: Vec<(Arc<ServerRoute>, Vec<String>)>,
    /// Number of servers that may have some and have not answered.
    pub(super) missing: usize,
}

/// The times until which a search for recordings waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchDeadlines {
    /// The end of the search if all of the recordings are known.
    pub(super) first: Instant,
    /// The end of the search for the others.
    pub(super) last: Instant,
}

impl SearchDeadlines {
    /// Returns the deadlines of a search that begins now. A server that does not answer must leave time for the calls
    /// that follow the search.
    pub(super) fn of(timeouts: CallTimeouts) -> Self {
        let now = Instant::now();
        let first = now + timeouts.call / 2;
        Self { first, last: first.max(now + timeouts.recordings / 2) }
    }
}

impl RecordingHolders {
    /// Returns whether no server is known to have some of `ids`.
    pub(super) fn lack_any(&self, ids: &[String]) -> bool {
        let known: HashSet<&String> = self.found.iter().flat_map(|(_, found)| found).collect();
        ids.iter().any(|id| !known.contains(id))
    }
}

impl<'g> RecordingServers<'g> {
    /// Returns the servers of the table by which `request` was verified.
    pub(super) fn of(
        (calls, warnings): (&'g ServerCalls, &'g RequestWarnings),
        request: &'g VerifiedRequest,
    ) -> Self {
        Self { calls, table: &request.table, caller: request.caller(), warnings }
    }

    /// Returns the lists of the tenant's recordings that `parameters` select.
    pub(super) async fn list(
        &self,
        parameters: &ParameterList<'_>,
        whose: RecordingOwner<'_>,
        deadline: Instant,
    ) -> SurveyParts<ListPages> {
        let parameters = &filter::for_server(parameters, whose);
        self.survey(parameters, deadline).await
    }

    /// Returns the servers that have some of the tenant's recordings `ids`. All servers have until `deadlines.first`
    /// to answer. If some of the recordings are not known then, those that are slow have until `deadlines.last`: a
    /// healthy server may need as long as for a list.
    pub(super) async fn holders(
        &self,
        ids: &[String],
        whose: RecordingOwner<'_>,
        deadlines: SearchDeadlines,
    ) -> RecordingHolders {
        let parameters = filter::for_ids(ids, whose);
        let (queried, offline) = self.keepers();
        let SearchDeadlines { first, last } = deadlines;
        let survey = self.query(queried, &parameters, (first, last)).await;
        let (mut holders, mut missing) = self.found(survey, whose, ids).await;
        let is_late = Instant::now() >= first && !missing.is_empty();
        if is_late && holders.lack_any(ids) {
            let survey = self.query(missing, &parameters, (last, last)).await;
            let (more, still_missing) = self.found(survey, whose, ids).await;
            holders.found.extend(more.found);
            missing = still_missing;
        }
        holders.missing = missing.len() + offline.len();
        holders
    }

    /// Returns the servers among the parts that have some of the recordings `ids`, and those without a part.
    async fn found(
        &self,
        survey: SurveyParts<ListPages>,
        whose: RecordingOwner<'_>,
        ids: &[String],
    ) -> (RecordingHolders, Vec<Arc<ServerRoute>>) {
        let SurveyParts { parts, mut missing } = survey;
        let answered: Vec<ServerId> = parts.iter().map(|(server, _)| server.clone()).collect();
        let (tenant, scope) = (whose.tenant.clone(), whose.scope.clone());
        let wanted = ids.iter().cloned().collect();
        let route = |server: &ServerId| self.table.server(server);
        let found = match search(self.calls.compute(), parts, (tenant, scope), wanted).await {
            Some(found) => found,
            None => {
                // Any of the servers may have some.
                missing.extend(answered.iter().filter_map(route));
                Vec::new()
            }
        };
        let found = found.into_iter().filter_map(|(server, ids)| Some((route(&server)?, ids))).collect();
        (RecordingHolders { found, missing: 0 }, missing)
    }

    /// Calls a server that has a recording.
    ///
    /// # Errors
    /// Returns the error of the call.
    pub(super) async fn call(
        &self,
        server: &ServerRoute,
        call: ApiCall,
        parameters: &str,
        upload: UploadBody,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let answer = self.calls.call(server, call, parameters, upload, &self.caller, deadline).await;
        match &answer {
            // A refusal has its own line, which a tenant cannot repeat at will.
            Ok(_) | Err(ServerCallError::Refused(_)) => {}
            Err(error) => {
                let (server, call) = (&server.id, call.name());
                if let Some(held_back) = self.warnings.admit(call, server) {
                    warn!(%server, call, %error, held_back, "a server did not answer");
                }
            }
        }
        answer
    }

    /// Queries every server. The part of an offline one is missing at once.
    async fn survey(&self, parameters: &str, deadline: Instant) -> SurveyParts<ListPages> {
        let (queried, offline) = self.keepers();
        let mut survey = self.query(queried, parameters, (deadline, deadline)).await;
        survey.missing.extend(offline);
        survey
    }

    /// Returns the servers that are queried, and the offline ones, which are not. A disabled server takes no meetings
    /// and still has its recordings.
    fn keepers(&self) -> (Vec<Arc<ServerRoute>>, Vec<Arc<ServerRoute>>) {
        let all = self.table.servers().into_iter();
        let (offline, mut queried): (Vec<_>, Vec<_>) =
            all.partition(|server| server.health == Health::Offline);
        queried.sort_by(|a, b| a.id.cmp(&b.id));
        (queried, offline)
    }

    /// Waits for the lists of servers until `patience`. The calls go on until `deadline`, so that the same query may
    /// wait for them once more.
    async fn query(
        &self,
        servers: Vec<Arc<ServerRoute>>,
        parameters: &str,
        (patience, deadline): (Instant, Instant),
    ) -> SurveyParts<ListPages> {
        survey(servers, patience, |server| async move { self.pages(&server, parameters, deadline).await })
            .await
    }

    /// Reads the list of one server, in pages if it gives no other.
    async fn pages(
        &self,
        server: &Arc<ServerRoute>,
        parameters: &str,
        deadline: Instant,
    ) -> Option<ListPages> {
        let read = async |parameters: &str| {
            let call = ApiCall::GetRecordings;
            self.calls.read(server, call, parameters, &self.caller, deadline).await.ok()
        };
        let whole = read(parameters).await?;
        if self.figures(&whole).await?.is_list {
            return Some(vec![whole]);
        }
        let (mut pages, mut offset) = (Vec::new(), 0);
        while pages.len() < PAGES_MAX {
            let (parameters, next) = filter::server_page(parameters, offset);
            let page = read(&parameters).await?;
            let page_figures = self.figures(&page).await?;
            let goes_on = page_figures.is_list && page_figures.total.is_some_and(|total| next < total);
            pages.push(page);
            offset = next;
            if !goes_on {
                break;
            }
        }
        Some(pages)
    }

    async fn figures(&self, answer: &SharedAnswer) -> Option<ListFigures> {
        let read = Arc::clone(answer);
        let figures = move || {
            let list = listed(&read)?;
            Some(ListFigures { is_list: list.recordings.is_some(), total: list.total })
        };
        self.calls.compute().run(Some(&self.caller.tenant), answer.text.len(), figures).await.ok().flatten()
    }
}

/// Returns the owner of the recordings that a request may see and change: its tenant.
pub(super) fn recordings_of(request: &VerifiedRequest) -> RecordingOwner<'_> {
    RecordingOwner { tenant: &request.tenant, scope: request.meetings.scope() }
}
