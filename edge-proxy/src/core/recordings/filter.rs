//! The filters of `getRecordings`, with BBB's meaning: `recordID` has priority over `meetingID` and
//! matches by its beginning; the default of `state` is published and unpublished; all metadata
//! filters must match, and `%` at either end matches any text.
//!
//! Servers get the filter too, so that they send no more than necessary, but never the page: its
//! content is known only when the lists of all servers are there.

use std::collections::{HashMap, HashSet};

use usher_bbb::{
    parse::ListedRecording,
    query::{ParameterList, QueryEdit, decode},
    reply::{self, RecordingPage},
};

use super::{RecordingOwner, TENANT_MARK, entries, is_ours, library_recording::LibraryRecording, metadata};

/// The largest page, both in Usher's answers and in those of a server.
const PAGE_MAX: usize = 100;

/// The filters and the page of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFilter {
    ids: WantedIds,
    states: States,
    metadata: MetadataFilters,
    offset: usize,
    /// The size of the page; `None` if no page was requested.
    limit: Option<usize>,
}

/// The ids that a caller names, in order.
enum Ids {
    All,
    /// Beginnings of `recordID`s.
    Records(Vec<String>),
    Meetings(Vec<String>),
}

/// The same ids, prepared for lookups: a list may be as long as those of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WantedIds {
    All,
    Records(Beginnings),
    Meetings(HashSet<String>),
}

/// Sorted texts of which none begins with another. Every text that begins with one of them sorts
/// directly after it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beginnings(Vec<String>);

impl Beginnings {
    fn new(mut texts: Vec<String>) -> Self {
        texts.sort_unstable();
        texts.dedup_by(|text, shorter| text.starts_with(shorter.as_str()));
        Self(texts)
    }

    fn begin(&self, text: &str) -> bool {
        let behind = self.0.partition_point(|known| known.as_str() <= text);
        behind.checked_sub(1).is_some_and(|at| text.starts_with(&self.0[at]))
    }
}

/// The wanted values of each key of metadata, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct MetadataFilters(HashMap<String, Vec<String>>);

impl MetadataFilters {
    fn read(parameters: &ParameterList<'_>) -> Self {
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        for (_, key, value) in metadata(parameters) {
            if let Some(key) = key.filter(|_| !value.is_empty()) {
                filters.entry(key).or_default().push(value.into_owned());
            }
        }
        Self(filters)
    }

    /// Returns whether the metadata of a recording matches all filters. The first of several values
    /// of one key counts.
    fn admit(&self, recording: &ListedRecording<'_>) -> bool {
        let mut seen = HashSet::new();
        for (key, held) in recording.own_metadata().filter(|_| !self.0.is_empty()) {
            let Some((key, wanted)) = self.0.get_key_value(&key.to_ascii_lowercase()) else { continue };
            if seen.insert(key) && !wanted.iter().all(|wanted| is_like(held, wanted)) {
                return false;
            }
        }
        seen.len() == self.0.len()
    }
}

/// Returns the largest number of filters that `parameters` have for one key of metadata.
pub fn filters_of_key(parameters: &ParameterList<'_>) -> usize {
    MetadataFilters::read(parameters).0.values().map(Vec::len).max().unwrap_or(0)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum States {
    Any,
    Of(HashSet<String>),
}

impl RecordingFilter {
    /// Reads the parameters of a `getRecordings`.
    pub fn read(query: &ParameterList<'_>) -> Self {
        let number = |name| query.first(name).and_then(|value| value.trim().parse::<i64>().ok());
        let states = query.first("state").unwrap_or_default();
        let states = match entries(&states) {
            states if states.contains(&"any") => States::Any,
            states if states.is_empty() => {
                States::Of(["published".to_owned(), "unpublished".to_owned()].into())
            }
            states => States::Of(states.into_iter().map(str::to_owned).collect()),
        };
        let ids = match ids(query) {
            Ids::All => WantedIds::All,
            Ids::Records(ids) => WantedIds::Records(Beginnings::new(ids)),
            Ids::Meetings(ids) => WantedIds::Meetings(ids.into_iter().collect()),
        };
        Self {
            ids,
            states,
            metadata: MetadataFilters::read(query),
            offset: number("offset").and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0),
            limit: number("limit").map(|limit| usize::try_from(limit).unwrap_or(1).clamp(1, PAGE_MAX)),
        }
    }

    /// Returns whether the filters match a recording. `own_id` is its meeting's id as the caller
    /// knows it.
    pub fn admits(&self, recording: &ListedRecording<'_>, own_id: &str) -> bool {
        let by_id = match &self.ids {
            WantedIds::All => true,
            WantedIds::Records(ids) => ids.begin(&recording.record_id),
            WantedIds::Meetings(ids) => ids.contains(own_id),
        };
        let by_state = match &self.states {
            States::Any => true,
            States::Of(states) => states.contains(&recording.state),
        };
        by_id && by_state && self.metadata.admit(recording)
    }

    /// Returns the answer with a page that the library has cut, of `total` recordings.
    pub fn library_page(&self, page: &[LibraryRecording], total: u64, base: &str) -> String {
        let shown: Vec<String> = page.iter().map(|recording| recording.element(base)).collect();
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        reply::recordings(shown.iter().map(String::as_str), self.page(total).1)
    }

    /// Returns the requested part of `total` recordings, and the page that it is.
    pub fn page(&self, total: usize) -> (std::ops::Range<usize>, Option<RecordingPage>) {
        let start = self.offset.min(total);
        let end = self.limit.map_or(total, |limit| start.saturating_add(limit).min(total));
        (start..end, self.limit.map(|limit| RecordingPage { offset: self.offset, limit, total }))
    }
}

fn ids(query: &ParameterList<'_>) -> Ids {
    let list = |name| -> Vec<String> {
        let given = query.first(name).unwrap_or_default();
        entries(&given).into_iter().flat_map(readings).collect()
    };
    match (list("recordID"), list("meetingID")) {
        (records, _) if !records.is_empty() => Ids::Records(records),
        (_, meetings) if !meetings.is_empty() => Ids::Meetings(meetings),
        _ => Ids::All,
    }
}

/// Returns the possible readings of an entry. BBB decodes the entries of a list once more than it
/// should, and some callers encode them accordingly.
fn readings(entry: &str) -> Vec<String> {
    let again = decode(entry).into_owned();
    if again == entry { vec![again] } else { vec![entry.to_owned(), again] }
}

/// Returns whether `held` matches `wanted`, in which `%` at either end matches any text.
fn is_like(held: &str, wanted: &str) -> bool {
    match (wanted.strip_prefix('%'), wanted.strip_suffix('%')) {
        (Some(rest), Some(_)) => held.contains(rest.strip_suffix('%').unwrap_or(rest)),
        (Some(end), None) => held.ends_with(end),
        (None, Some(start)) => held.starts_with(start),
        (None, None) => held == wanted,
    }
}

/// The question to the library that `parameters` ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LibraryQuestion {
    /// Beginnings of `recordID`s.
    pub records: Vec<String>,
    /// Ids of meetings, as the tenant knows them.
    pub meetings: Vec<String>,
    /// The states, in the words of BBB.
    pub states: Vec<String>,
    /// The keys of metadata in lower case, each with its pattern.
    pub metadata: Vec<(String, String)>,
    /// The number of recordings before the page.
    pub offset: usize,
    /// The size of the page; `None` if all are wanted.
    pub limit: Option<usize>,
}

/// Returns the question to the library that `parameters` ask, with their page.
pub fn for_library(parameters: &ParameterList<'_>) -> LibraryQuestion {
    let RecordingFilter { states, metadata, offset, limit, .. } = RecordingFilter::read(parameters);
    let states = match states {
        States::Any => ["published", "unpublished", "deleted"].map(str::to_owned).into(),
        States::Of(states) => states.into_iter().collect(),
    };
    let (records, meetings) = match ids(parameters) {
        Ids::All => (Vec::new(), Vec::new()),
        Ids::Records(records) => (records, Vec::new()),
        Ids::Meetings(meetings) => (Vec::new(), meetings),
    };
    let metadata = metadata.0.into_iter();
    let metadata =
        metadata.flat_map(|(key, wanted)| wanted.into_iter().map(move |value| (key.clone(), value)));
    LibraryQuestion { records, meetings, states, metadata: metadata.collect(), offset, limit }
}

/// Returns the parameters that request, from a server, the tenant's part of the recordings that
/// `parameters` request.
pub fn for_server(parameters: &ParameterList<'_>, whose: RecordingOwner<'_>) -> String {
    // An empty filter means no filter here, and causes an exception on servers.
    let useless = metadata(parameters)
        .filter(|(name, key, value)| key.is_none() || value.is_empty() || is_ours(name))
        .map(|(name, ..)| QueryEdit::Remove(name));
    let (name, list) = match ids(parameters) {
        Ids::All => ("", String::new()),
        Ids::Records(ids) => ("recordID", joined(ids.iter().map(String::as_str))),
        Ids::Meetings(ids) => {
            let scoped: Vec<_> = ids.iter().map(|id| whose.scope.scoped(id).to_string()).collect();
            ("meetingID", joined(scoped.iter().chain(&ids).map(String::as_str)))
        }
    };
    let mut edits: Vec<QueryEdit<'_>> = useless.collect();
    edits.extend(["offset", "limit", "recordID", "meetingID"].map(QueryEdit::Remove));
    if !list.is_empty() {
        edits.push(QueryEdit::Set(name, &list));
    }
    if !whose.owns(&ListedRecording::default()) {
        edits.push(QueryEdit::Set(TENANT_MARK, whose.tenant.as_str()));
    }
    let mut sent = parameters.edited();
    sent.apply(edits);
    sent.to_text()
}

/// Makes a list that a server reads correctly, although it decodes the entries twice.
fn joined<'i>(ids: impl Iterator<Item = &'i str>) -> String {
    let mut seen = HashSet::new();
    let list: Vec<String> = ids
        .filter(|id| !id.contains(',') && seen.insert(*id))
        .map(|id| id.replace('%', "%25").replace('+', "%2B"))
        .collect();
    list.join(",")
}

/// Returns the parameters that query a server for these recordings, in any state.
pub fn for_ids(ids: &[String], whose: RecordingOwner<'_>) -> String {
    let list = usher_bbb::query::encode(&joined(ids.iter().map(String::as_str)));
    for_server(&ParameterList::of_own_text(format!("recordID={list}&state=any")), whose)
}

/// Returns the parameters of one page, for a server that returns its list only in pages, and the
/// offset of the next page. `parameters` are those of [`for_server`], which have no page.
pub fn server_page(parameters: &str, offset: usize) -> (String, usize) {
    let separator = if parameters.is_empty() { "" } else { "&" };
    (format!("{parameters}{separator}offset={offset}&limit={PAGE_MAX}"), offset + PAGE_MAX)
}

#[cfg(test)]
mod tests;
