//! Answers lists: the ids of a page first, by the index that fits the question, then the rows of these ids
//! alone. The texts of all queries are constant; each text of a question is a bound value.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::SqlitePool;

use super::{
    rows,
    values::{capped, json, unavailable},
};
use crate::{
    core::{
        query::{MetadataFilter, RecordingQuery, TextPattern, WantedIds},
        shown::RecordingState,
    },
    ports::{IndexError, IndexPage},
};

/// The conditions that all lists share. The metadata is read only where there are filters, so that other
/// lists skip and count in the index alone. Values are compared as bytes: a text with a zero ends early in
/// text functions.
macro_rules! wanted {
    () => {
        "r.state in (?2, ?3, ?4) and (?5 is null or not exists ( \
         select 1 from json_each(?5) as wanted where not exists ( \
         select 1 from json_each(r.meta) as held where lower(held.key) = wanted.value ->> 'key' and \
         case wanted.value ->> 'place' \
         when 'all' then held.value = wanted.value ->> 'text' \
         when 'start' then wanted.value ->> 'text' = '' or \
         substr(cast(held.value as blob), 1, length(cast(wanted.value ->> 'text' as blob))) \
         = cast(wanted.value ->> 'text' as blob) \
         when 'end' then wanted.value ->> 'text' = '' or \
         (length(cast(held.value as blob)) >= length(cast(wanted.value ->> 'text' as blob)) and \
         substr(cast(held.value as blob), -length(cast(wanted.value ->> 'text' as blob))) \
         = cast(wanted.value ->> 'text' as blob)) \
         else instr(cast(held.value as blob), cast(wanted.value ->> 'text' as blob)) > 0 end)))"
    };
}

/// The rows of a question: of a whole tenant, of the beginnings of ids, of meetings. `cross join` keeps
/// SQLite from walking the recordings instead of the values, and the `+` from walking a tenant for each
/// beginning.
macro_rules! source {
    (All) => {
        " from recordings as r where r.tenant = ?1 and "
    };
    (Prefixes) => {
        " from json_each(?6) as named cross join recordings as r \
         on r.record_id >= named.value and r.record_id < named.value || '~' where +r.tenant = ?1 and "
    };
    (Meetings) => {
        " from json_each(?6) as named cross join recordings as r \
         on r.tenant = ?1 and r.meeting_id = named.value where "
    };
}

macro_rules! list_query {
    ($source:ident) => {
        PageQuery {
            ids: concat!(
                "select r.record_id",
                source!($source),
                wanted!(),
                " order by r.start_ms desc, r.record_id desc limit ?7 offset ?8"
            ),
            total: concat!("select count(*)", source!($source), wanted!()),
        }
    };
}

/// The two texts of one kind of list.
pub(super) struct PageQuery {
    pub(super) ids: &'static str,
    pub(super) total: &'static str,
}

pub(super) const OF_TENANT: PageQuery = list_query!(All);
pub(super) const BY_PREFIXES: PageQuery = list_query!(Prefixes);
pub(super) const BY_MEETINGS: PageQuery = list_query!(Meetings);

const COUNTED: &str =
    "select coalesce(sum(recordings), 0) from usage where tenant = ?1 and state in (?2, ?3, ?4)";

/// A filter of metadata, in the form in which the queries read it.
#[derive(Serialize)]
struct BoundFilter<'a> {
    key: String,
    place: &'static str,
    text: &'a str,
}

impl<'a> BoundFilter<'a> {
    fn new(filter: &'a MetadataFilter) -> Self {
        let (place, text) = match &filter.value {
            TextPattern::Equal(text) => ("all", text),
            TextPattern::Begins(text) => ("start", text),
            TextPattern::Ends(text) => ("end", text),
            TextPattern::Contains(text) => ("any", text),
        };
        Self { key: filter.key.to_ascii_lowercase(), place, text }
    }
}

/// Returns a page of the recordings that match a question. One read transaction makes the total, the ids
/// and the rows those of one moment.
pub(super) async fn page(pool: &SqlitePool, query: &RecordingQuery) -> Result<IndexPage, IndexError> {
    let wanted = match &query.ids {
        WantedIds::All => None,
        WantedIds::RecordPrefixes(starts) => match distinct_prefixes(starts) {
            starts if starts == [""] => None,
            starts => Some((BY_PREFIXES, starts)),
        },
        WantedIds::Meetings(ids) => {
            let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
            Some((BY_MEETINGS, ids.into_iter().collect()))
        }
    };
    let Some([first, second, third]) = three_states(&query.states) else {
        return Ok(IndexPage::default());
    };
    if wanted.as_ref().is_some_and(|(_, named)| named.is_empty()) {
        return Ok(IndexPage::default());
    }
    // The counters of a tenant know only states.
    let counted = wanted.is_none() && query.metadata.is_empty();
    let (list, named) = wanted.unwrap_or((OF_TENANT, Vec::new()));
    let filters: Vec<BoundFilter<'_>> = query.metadata.iter().map(BoundFilter::new).collect();
    let filters = if filters.is_empty() { None } else { Some(json(&filters)?) };
    let named = json(&named)?;
    let mut transaction = pool.begin().await.map_err(unavailable)?;
    // A filter reads the metadata of each candidate: once for the total and the page together.
    let (limit, offset) = match &filters {
        Some(_) => (-1, 0),
        None => (query.limit.map_or(-1, i64::from), capped(query.offset)),
    };
    let mut ids: Vec<String> = sqlx::query_scalar(list.ids)
        .bind(query.tenant.as_str())
        .bind(first)
        .bind(second)
        .bind(third)
        .bind(&filters)
        .bind(&named)
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *transaction)
        .await
        .map_err(unavailable)?;
    let total = if filters.is_some() {
        let total = ids.len() as u64;
        ids.drain(..usize::try_from(query.offset).unwrap_or(usize::MAX).min(ids.len()));
        ids.truncate(query.limit.map_or(usize::MAX, |limit| limit as usize));
        total
    } else {
        let total: i64 = sqlx::query_scalar(if counted { COUNTED } else { list.total })
            .bind(query.tenant.as_str())
            .bind(first)
            .bind(second)
            .bind(third)
            .bind(&filters)
            .bind(&named)
            .fetch_one(&mut *transaction)
            .await
            .map_err(unavailable)?;
        u64::try_from(total).unwrap_or(0)
    };
    let rows = rows::recordings(&mut transaction, &ids).await?;
    let recordings = rows.iter().map(|row| row.recording.shown()).collect();
    Ok(IndexPage { recordings, total })
}

/// Returns the beginnings that can be those of an id, without those that another one covers: so that no
/// recording is found twice. An id consists of a-z, 0-9 and a hyphen, so that `~` sorts behind all its
/// characters.
fn distinct_prefixes(starts: &[String]) -> Vec<&str> {
    let possible = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts: BTreeSet<&str> =
        starts.iter().map(String::as_str).filter(|start| start.bytes().all(possible)).collect();
    let mut distinct: Vec<&str> = Vec::new();
    for start in starts {
        if !distinct.last().is_some_and(|covering| start.starts_with(covering)) {
            distinct.push(start);
        }
    }
    distinct
}

/// Returns the words of the states, one of them repeated up to three.
fn three_states(states: &BTreeSet<RecordingState>) -> Option<[&'static str; 3]> {
    let first = states.first()?.as_str();
    let mut words = states.iter().map(|state| state.as_str());
    Some(std::array::from_fn(|_| words.next().unwrap_or(first)))
}
