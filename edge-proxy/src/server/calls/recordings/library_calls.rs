//! The calls about recordings with the library on: the library and the servers are asked together, and the library's
//! copy of a recording wins. A server is asked first: a recording that moves meanwhile is then in one of the two lists.

use std::{collections::BTreeSet, sync::Arc};

use usher_bbb::call::RecordingChange;
use usher_model::id::ServerId;

use super::{
    change::change as change_on_servers,
    list_pages::{ListPages, listed},
    recording_servers::RecordingServers,
};
use crate::{
    control::library::{LibraryClient, LibraryUnavailable},
    core::{
        admission::{ByteBudget, ByteOwner},
        recordings::{
            RecordingOwner,
            change::{ChangeVerdict, LibraryChange, ids},
            filter::{RecordingFilter, for_library},
            list::{ServerRecordings, merge_with_library, selected_ids},
        },
    },
    server::{
        admission::CallTimeouts,
        fleet::survey::{FleetSurvey, MissingParts, SurveyParts},
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::FairCompute,
};

/// The library as a keeper of recordings.
#[derive(Debug, Clone)]
pub(in crate::server) struct LibraryKeeper {
    pub(in crate::server) client: LibraryClient,
    /// The address of playback, without a final slash.
    pub(in crate::server) base: Arc<str>,
    /// The budget of the lists in memory.
    pub(in crate::server) bytes: ByteBudget,
}

/// Returns the recordings in the answers of servers.
fn of_servers(parts: &[(ServerId, ListPages)]) -> Vec<ServerRecordings<'_>> {
    let pages = parts.iter().flat_map(|(server, pages)| pages.iter().map(move |page| (server, page)));
    let lists = pages.filter_map(|(server, page)| {
        Some(ServerRecordings { server, recordings: listed(page)?.recordings.unwrap_or_default() })
    });
    lists.collect()
}

impl LibraryKeeper {
    /// Answers a list from the library and from the lists of the servers, none of which may be missing (R10).
    pub(super) async fn list(
        &self,
        survey: (&FleetSurvey, SurveyParts<ListPages>),
        compute: &FairCompute,
        request: &VerifiedRequest,
    ) -> CallReply {
        let (survey, parts) = survey;
        let SurveyParts { parts, missing } = parts;
        let parts = Arc::new(parts);
        let size: usize = parts.iter().flat_map(|(_, pages)| pages).map(|page| page.text.len()).sum();
        let (tenant, scope) = (request.tenant.clone(), request.meetings.scope().clone());
        let (filter, read) = (RecordingFilter::read(&request.parameters), Arc::clone(&parts));
        let wanted = filter.clone();
        let named = move || {
            selected_ids(RecordingOwner { tenant: &tenant, scope: &scope }, &wanted, &of_servers(&read))
        };
        let Ok(listed_ids) = compute.run(Some(&request.tenant), size, named).await else {
            return CallReply::unavailable();
        };
        let mut question = for_library(&request.parameters);
        if !listed_ids.is_empty() {
            // The page is cut from the whole, which the recordings of servers are a part of.
            (question.offset, question.limit) = (0, None);
        }
        let is_page_of_library = listed_ids.is_empty();
        let deadline = survey.deadline();
        let mut bytes = self.bytes.holder(ByteOwner::Tenant(request.tenant.clone()));
        let answers = async {
            let known =
                if listed_ids.is_empty() { Vec::new() } else { self.client.known(&listed_ids).await? };
            let page = self.client.query(&request.tenant, question, deadline, &mut bytes).await?;
            Ok::<_, LibraryUnavailable>((known, page))
        };
        let Ok((known, page)) = answers.await else { return CallReply::unavailable() };
        let (tenant, scope) = (request.tenant.clone(), request.meetings.scope().clone());
        let (base, known): (_, BTreeSet<String>) = (Arc::clone(&self.base), known.into_iter().collect());
        let parts = SurveyParts { parts: Arc::unwrap_or_clone(parts), missing };
        let merge = move |parts: &[(ServerId, ListPages)]| {
            let whose = RecordingOwner { tenant: &tenant, scope: &scope };
            if is_page_of_library {
                return filter.library_page(&page.recordings, page.total, &base);
            }
            merge_with_library(whose, &filter, &of_servers(parts), &page.recordings, &known, &base)
        };
        survey.reply(parts, (&request.tenant, request.call), MissingParts::Refused, size, merge).await
    }

    /// Makes a change of the recordings that the library has, and then of those that only servers have. A repeated
    /// change has no further effect, so that a caller may repeat one that was made in part.
    pub(super) async fn change(
        &self,
        servers: &RecordingServers<'_>,
        timeouts: CallTimeouts,
        request: &VerifiedRequest,
        kind: RecordingChange,
    ) -> ChangeVerdict {
        let asked = ids(&request.parameters);
        let wanted = LibraryChange::read(kind, &request.parameters);
        let Ok(found) = self.client.change(&request.tenant, asked.clone(), wanted).await else {
            return ChangeVerdict::TryAgain;
        };
        let Ok(known) = self.client.known(&asked).await else { return ChangeVerdict::TryAgain };
        // The copies on servers of recordings that the library knows are no longer the application's.
        let rest: Vec<String> = asked.into_iter().filter(|id| !known.contains(id)).collect();
        let of_servers = if rest.is_empty() {
            ChangeVerdict::NotFound
        } else {
            change_on_servers(servers, timeouts, request, (kind, &rest)).await
        };
        match of_servers {
            // As BBB answers if it has found some of the recordings.
            ChangeVerdict::NotFound if !found.is_empty() => ChangeVerdict::Done,
            other => other,
        }
    }
}
