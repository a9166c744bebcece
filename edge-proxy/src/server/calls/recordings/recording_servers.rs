//! The servers as keepers of recordings: each server has those that it made.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{
    call::ApiCall,
    parse::{RecordingList, ServerReply as Parsed, recordings},
    query::ParameterList,
};
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
    scope::TenantScope,
    server::Health,
};
use usher_runtime::repeated_warnings::RequestWarnings;

use crate::{
    control::table::LiveTable,
    core::{
        evidence::CallOrigin,
        recordings::{RecordingOwner, filter},
    },
    server::{
        fleet::{
            server_calls::ServerCalls,
            survey::{SurveyParts, survey},
        },
        request::VerifiedRequest,
    },
    upstream::{FairCompute, ServerAnswer, ServerCallError, SharedAnswer, UploadBody},
};

/// Most result pages that are read of one server, with 100 recordings each.
const PAGES_MAX: usize = 1000;

/// The answers that together are the list of one server.
pub(super) type ListPages = Vec<SharedAnswer>;

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

    /// Returns the servers that have some of the tenant's recordings `ids`.
    pub(super) async fn holders(
        &self,
        ids: &[String],
        whose: RecordingOwner<'_>,
        deadline: Instant,
    ) -> RecordingHolders {
        let SurveyParts { parts, missing } = self.survey(&filter::for_ids(ids, whose), deadline).await;
        let (asked, wanted) = (parts.len(), ids.iter().cloned().collect());
        let (tenant, scope) = (whose.tenant.clone(), whose.scope.clone());
        let Some(found) = search(self.calls.compute(), parts, (tenant, scope), wanted).await else {
            // Any of the servers may have some.
            return RecordingHolders { found: Vec::new(), missing: asked + missing.len() };
        };
        let found = found.into_iter().filter_map(|(server, ids)| Some((self.table.server(&server)?, ids)));
        RecordingHolders { found: found.collect(), missing: missing.len() }
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

    /// Queries every server. A disabled server takes no meetings and still has its recordings. An offline
    /// server is not queried, and its part is missing at once.
    async fn survey(&self, parameters: &str, deadline: Instant) -> SurveyParts<ListPages> {
        let all = self.table.servers().into_iter();
        let (offline, mut queried): (Vec<_>, Vec<_>) =
            all.partition(|server| server.health == Health::Offline);
        queried.sort_by(|a, b| a.id.cmp(&b.id));
        let mut survey =
            survey(
                queried,
                deadline,
                |server| async move { self.pages(&server, parameters, deadline).await },
            )
            .await;
        survey.missing.extend(offline);
        survey
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

/// Returns the servers that have some of the recordings `wanted` of the tenant, each with the ids that it has.
/// Reading the lists is long work in the tenant's turn; `None` if it was not done.
async fn search(
    compute: &FairCompute,
    parts: Vec<(ServerId, ListPages)>,
    (tenant, scope): (TenantId, TenantScope),
    wanted: HashSet<String>,
) -> Option<Vec<(ServerId, Vec<String>)>> {
    let size = parts.iter().flat_map(|(_, pages)| pages).map(|page| page.text.len()).sum();
    let owner = tenant.clone();
    let search = move || {
        let whose = RecordingOwner { tenant: &tenant, scope: &scope };
        let found = parts.into_iter().filter_map(|(server, pages)| {
            let mut found: Vec<String> = Vec::new();
            for page in &pages {
                let list = listed(page).and_then(|list| list.recordings).unwrap_or_default();
                let owned = list.into_iter().filter(|recording| whose.owns(recording));
                found.extend(owned.map(|recording| recording.record_id).filter(|id| wanted.contains(id)));
            }
            found.sort();
            found.dedup();
            (!found.is_empty()).then_some((server, found))
        });
        found.collect()
    };
    compute.run(Some(&owner), size, search).await.ok()
}

/// Returns the list in an answer; `None` if it is a refusal or cannot be read.
fn listed(answer: &ServerAnswer) -> Option<RecordingList<'_>> {
    match recordings(&answer.text) {
        Ok(Parsed::Success(list)) => Some(list),
        _ => None,
    }
}

/// Returns the owner of the recordings that a request may see and change: its tenant.
pub(super) fn recordings_of(request: &VerifiedRequest) -> RecordingOwner<'_> {
    RecordingOwner { tenant: &request.tenant, scope: request.meetings.scope() }
}

#[cfg(test)]
mod tests {
    use usher_bbb::parse::outcome;

    use super::*;
    use crate::upstream::AnswerBytes;

    fn page(ids: &[&str], filling: usize) -> SharedAnswer {
        let recordings: String = ids
            .iter()
            .map(|id| {
                format!(
                    "<recording><recordID>{id}</recordID><meetingID>m</meetingID><name>{}</name></recording>",
                    "x".repeat(filling)
                )
            })
            .collect();
        let text = format!(
            "<response><returncode>SUCCESS</returncode><recordings>{recordings}</recordings></response>"
        );
        let outcome = outcome(&text).expect("is an answer");
        Arc::new(ServerAnswer { text, outcome, bytes: AnswerBytes::default() })
    }

    async fn searched(compute: &FairCompute, filling: usize) -> Option<Vec<(ServerId, Vec<String>)>> {
        let server = |name: &str| ServerId::parse(name).expect("is an id");
        let parts = vec![
            (server("a"), vec![page(&["1", "2"], filling), page(&["3", "2"], filling)]),
            (server("b"), vec![page(&["4"], filling)]),
            (server("c"), vec![page(&["2"], filling)]),
        ];
        let tenant = TenantId::default_tenant();
        let scope = TenantScope::of(&tenant);
        let wanted = ["2", "3", "5"].map(str::to_owned).into();
        search(compute, parts, (tenant, scope), wanted).await
    }

    #[tokio::test]
    async fn a_search_in_large_lists_waits_for_its_turn_and_occupies_no_worker() {
        let has = |server: &str, ids: &[&str]| {
            (ServerId::parse(server).expect("is an id"), ids.iter().map(ToString::to_string).collect())
        };
        let expected = Some(vec![has("a", &["2", "3"]), has("c", &["2"])]);
        let (free, busy) = (FairCompute::with_turns(1), FairCompute::with_turns(0));
        for filling in [1, 20 << 10] {
            assert_eq!(searched(&free, filling).await, expected, "{filling}");
        }
        assert_eq!(searched(&busy, 1).await, expected, "small lists are read at once");
        assert_eq!(searched(&busy, 20 << 10).await, None);
    }
}
