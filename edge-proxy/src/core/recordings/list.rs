//! Merges the recordings of all servers: the tenant's own, each once, the newest first.

use std::cmp::Reverse;

use usher_bbb::{parse::ListedRecording, reply};
use usher_model::id::ServerId;

use super::{RecordingOwner, filter::RecordingFilter};

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
    let (range, page) = filter.page(found.len());
    let shown: Vec<_> =
        found.get(range).unwrap_or_default().iter().map(|(_, recording)| whose.shown(recording)).collect();
    reply::recordings(shown.iter().map(AsRef::as_ref), page)
}

fn rank(state: &str) -> usize {
    let order = ["published", "unpublished", "processed", "processing", "deleted"];
    order.iter().position(|known| *known == state).unwrap_or(order.len())
}

#[cfg(test)]
mod tests;
