//! The lists of recordings, as servers give them in one or more answers, and the search in them.

use std::collections::HashSet;

use usher_bbb::parse::{RecordingList, ServerReply as Parsed, recordings};
use usher_model::{
    id::{ServerId, TenantId},
    scope::TenantScope,
};

use crate::{
    core::recordings::RecordingOwner,
    upstream::{FairCompute, ServerAnswer, SharedAnswer},
};

/// The answers that together are the list of one server.
pub(super) type ListPages = Vec<SharedAnswer>;

/// Returns the list in an answer; `None` if it is a refusal or cannot be read.
pub(super) fn listed(answer: &ServerAnswer) -> Option<RecordingList<'_>> {
    match recordings(&answer.text) {
        Ok(Parsed::Success(list)) => Some(list),
        _ => None,
    }
}

/// Returns the servers that have some of the recordings `wanted` of the tenant, each with the ids that it has.
/// Reading the lists is long work in the tenant's turn; `None` if it was not done.
pub(super) async fn search(
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
