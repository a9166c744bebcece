//! Merges the recordings of all servers: the tenant's own, each once, the newest first.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeSet};

use usher_bbb::{parse::ListedRecording, reply};
use usher_model::id::ServerId;

use super::{RecordingOwner, filter::RecordingFilter, library_recording::LibraryRecording};

/// The recordings of one server.
#[derive(Debug)]
pub struct ServerRecordings<'a> {
    /// The server that returned the list.
    pub server: &'a ServerId,
    /// The listed recordings of any tenant.
    pub recordings: Vec<ListedRecording<'a>>,
}

/// Returns the answer of `getRecordings`. If several servers have a copy of a recording, the most
/// published one is shown.
pub fn merge(whose: RecordingOwner<'_>, filter: &RecordingFilter, lists: &[ServerRecordings<'_>]) -> String {
    let found = selected(whose, filter, lists);
    let (range, page) = filter.page(found.len());
    let shown: Vec<_> =
        found.get(range).unwrap_or_default().iter().map(|recording| whose.shown(recording)).collect();
    reply::recordings(shown.iter().map(AsRef::as_ref), page)
}

/// Returns the ids of the recordings that [`merge`] would list, of all pages.
pub fn selected_ids(
    whose: RecordingOwner<'_>,
    filter: &RecordingFilter,
    lists: &[ServerRecordings<'_>],
) -> Vec<String> {
    selected(whose, filter, lists).into_iter().map(|recording| recording.record_id.clone()).collect()
}

/// Returns the answer of `getRecordings` from the library and the servers: of a recording that the library knows, the
/// copies of servers are not shown. `known` are the ids that it knows of those that the servers list; `base` is the
/// address of playback.
pub fn merge_with_library(
    whose: RecordingOwner<'_>,
    filter: &RecordingFilter,
    lists: &[ServerRecordings<'_>],
    library: &[LibraryRecording],
    known: &BTreeSet<String>,
    base: &str,
) -> String {
    let of_servers = selected(whose, filter, lists).into_iter();
    let of_servers = of_servers
        .filter(|recording| !known.contains(&recording.record_id))
        .map(|recording| (recording.start_time_ms, recording.record_id.as_str(), Keeper::Server(recording)));
    let of_library = library.iter().map(|recording| {
        let start_ms = i64::try_from(recording.start_ms).unwrap_or(i64::MAX);
        (start_ms, recording.record_id.as_str(), Keeper::Library(recording))
    });
    let mut found: Vec<_> = of_servers.chain(of_library).collect();
    found.sort_by(|(start_a, id_a, _), (start_b, id_b, _)| (start_b, id_b).cmp(&(start_a, id_a)));
    let (range, page) = filter.page(found.len());
    let shown = found.get(range).unwrap_or_default().iter().map(|(.., keeper)| match keeper {
        Keeper::Server(recording) => whose.shown(recording),
        Keeper::Library(recording) => Cow::Owned(recording.element(base)),
    });
    let shown: Vec<Cow<'_, str>> = shown.collect();
    reply::recordings(shown.iter().map(AsRef::as_ref), page)
}

/// The keeper whose copy of a recording is shown.
enum Keeper<'r, 'a> {
    Server(&'r ListedRecording<'a>),
    Library(&'r LibraryRecording),
}

/// Returns the recordings of the tenant that the filter selects, each once, the newest first.
fn selected<'r, 'a>(
    whose: RecordingOwner<'_>,
    filter: &RecordingFilter,
    lists: &'r [ServerRecordings<'a>],
) -> Vec<&'r ListedRecording<'a>> {
    let mut found: Vec<(&ServerId, &ListedRecording<'_>)> = lists
        .iter()
        .flat_map(|list| list.recordings.iter().map(move |recording| (list.server, recording)))
        .filter(|(_, recording)| whose.owns(recording) && filter.admits(recording, &whose.own_id(recording)))
        .collect();
    found.sort_by_cached_key(|(server, recording)| {
        (recording.record_id.clone(), rank(&recording.state), (*server).clone())
    });
    found.dedup_by(|(_, a), (_, b)| a.record_id == b.record_id);
    // the sort is stable: recordings with equal times stay in the order of their ids
    found.sort_by_key(|(_, recording)| Reverse(recording.start_time_ms));
    found.into_iter().map(|(_, recording)| recording).collect()
}

fn rank(state: &str) -> usize {
    let order = ["published", "unpublished", "processed", "processing", "deleted"];
    order.iter().position(|known| *known == state).unwrap_or(order.len())
}

#[cfg(test)]
mod tests;
