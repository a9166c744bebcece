//! The fleet as the keeper of recordings: each server has those it made.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{
    call::ApiCall,
    parse::{RecordingList, ServerReply as Parsed, recordings},
};
use usher_model::{routing::ServerRoute, server::Health};

use crate::{
    control::table::LiveTable,
    core::{
        evidence::{CallOrigin, FailureKind},
        recordings::{RecordingOwner, filter},
        resign::{in_url, outgoing},
    },
    server::{
        fleet::survey::{Survey, read, survey},
        request::Ask,
        router::Gateway,
    },
    upstream::{ServerAnswer, ServerCallError, SharedAnswer, UploadBody, is_our_fault},
};

/// Pages that are read of one server at most, 100 recordings each.
const PAGES_MAX: usize = 1000;

/// The answers that together are one server's list.
pub(super) type Pages = Vec<SharedAnswer>;

/// The servers, as far as they keep recordings.
#[derive(Debug)]
pub(super) struct Fleet<'g> {
    gateway: &'g Arc<Gateway>,
    table: &'g LiveTable,
    caller: CallOrigin,
}

/// Who has which of the recordings that were looked for.
#[derive(Debug)]
pub(super) struct Holders {
    /// Each server with the recordings it has, of the tenant.
    pub(super) found: Vec<(Arc<ServerRoute>, Vec<String>)>,
    /// Servers that may have some and did not answer.
    pub(super) missing: usize,
}

impl Holders {
    /// Tells whether nobody is known to have one of `ids`.
    pub(super) fn lack_any(&self, ids: &[String]) -> bool {
        let known: HashSet<&String> = self.found.iter().flat_map(|(_, found)| found).collect();
        ids.iter().any(|id| !known.contains(id))
    }
}

impl<'g> Fleet<'g> {
    /// Returns the fleet that a call is about.
    pub(super) fn of(gateway: &'g Arc<Gateway>, ask: &'g Ask) -> Self {
        Self { gateway, table: &ask.table, caller: ask.caller() }
    }

    /// Returns what the servers have of the tenant's recordings that `parameters` ask for.
    pub(super) async fn list(
        &self,
        parameters: &str,
        whose: RecordingOwner<'_>,
        deadline: Instant,
    ) -> Survey<Pages> {
        let parameters = &filter::for_server(parameters, whose);
        self.survey(parameters, deadline).await
    }

    /// Finds out who has which of the tenant's recordings `ids`.
    pub(super) async fn holders(
        &self,
        ids: &[String],
        whose: RecordingOwner<'_>,
        deadline: Instant,
    ) -> Holders {
        let survey = self.survey(&filter::for_ids(ids, whose), deadline).await;
        let ids: HashSet<&String> = ids.iter().collect();
        let found = survey.answers.iter().filter_map(|(server, pages)| {
            let mut found: Vec<String> = Vec::new();
            for page in pages {
                let list = listed(page).and_then(|list| list.recordings).unwrap_or_default();
                let owned = list.into_iter().filter(|recording| whose.owns(recording));
                found.extend(owned.map(|recording| recording.record_id).filter(|id| ids.contains(id)));
            }
            found.sort();
            found.dedup();
            (!found.is_empty()).then_some(())?;
            Some((self.table.server(server)?, found))
        });
        Holders { found: found.collect(), missing: survey.missing }
    }

    /// Makes one call to a server that has a recording.
    pub(super) async fn call(
        &self,
        server: &ServerRoute,
        call: ApiCall,
        parameters: &str,
        upload: UploadBody,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let url = match upload {
            UploadBody::None => outgoing(server, call, parameters, &[]),
            UploadBody::Xml(_) | UploadBody::Multipart(..) => in_url(server, call, parameters, &[]),
        };
        let answer = self.gateway.upstream.call(server, call, url, upload, &self.caller, deadline).await;
        if !call.is_read() {
            self.gateway.reads.changed(&server.id);
        }
        match answer {
            Ok(answer) if is_our_fault(&answer) => {
                self.gateway.upstream.report(&server.id, FailureKind::BadAnswer, call, &self.caller);
                Err(ServerCallError::Unknown(FailureKind::BadAnswer))
            }
            Err(error) => {
                warn!(server = %server.id, call = call.name(), %error, "a server did not answer");
                Err(error)
            }
            answer => answer,
        }
    }

    /// Asks every server. A disabled one takes no meetings and still has its recordings; one that is
    /// offline is not waited for, and missing.
    async fn survey(&self, parameters: &str, deadline: Instant) -> Survey<Pages> {
        let all = self.table.servers();
        let offline = all.iter().filter(|server| server.health == Health::Offline).count();
        let mut asked: Vec<_> = all.into_iter().filter(|server| server.health != Health::Offline).collect();
        asked.sort_by(|a, b| a.id.cmp(&b.id));
        let mut survey =
            survey(asked, deadline, |server| async move { self.pages(&server, parameters, deadline).await })
                .await;
        survey.missing += offline;
        survey
    }

    /// Reads the list of one server, in pages where it gives no other.
    async fn pages(&self, server: &Arc<ServerRoute>, parameters: &str, deadline: Instant) -> Option<Pages> {
        let ask = async |parameters: &str| {
            read(self.gateway, server, ApiCall::GetRecordings, parameters, &self.caller, deadline).await
        };
        let whole = ask(parameters).await?;
        if listed(&whole)?.recordings.is_some() {
            return Some(vec![whole]);
        }
        let (mut pages, mut offset) = (Vec::new(), 0);
        while pages.len() < PAGES_MAX {
            let (parameters, next) = filter::server_page(parameters, offset);
            let page = ask(&parameters).await?;
            let list = listed(&page)?;
            let goes_on = list.recordings.is_some() && list.total.is_some_and(|total| next < total);
            pages.push(page);
            offset = next;
            if !goes_on {
                break;
            }
        }
        Some(pages)
    }
}

fn listed(answer: &ServerAnswer) -> Option<RecordingList<'_>> {
    match recordings(&answer.text) {
        Ok(Parsed::Success(list)) => Some(list),
        _ => None,
    }
}
