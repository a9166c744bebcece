//! Lists with `filter` and `order_by`. The fleet's lock is held for one step at a time, and a page
//! examines a bounded number of entries, however few of them the filter admits.

use std::{fmt::Display, sync::Arc};

use tokio::sync::Semaphore;

use super::{
    page::{ListPage, PageRequest},
    status::RpcRefusal,
};
use crate::{
    core::{
        filter::{FilteredEntry, ListFilter, ListOrder, TopEntries},
        fleet::Fleet,
    },
    tasks::fleet_handle::FleetHandle,
};

/// Entries that are examined while the lock of the fleet is held.
const STEP: usize = 1000;
/// Steps of one page. A page in another order than by id examines all entries instead.
const STEPS_OF_PAGE: usize = 20;
/// Lists in another order than by id that are made at once.
const SORTED_AT_ONCE: usize = 2;

/// A family of entries that can be listed by queries.
pub(super) trait QueriedList {
    /// Key of an entry; lists are in its order.
    type Key: Clone + Ord;
    /// An entry, with the source of its fields.
    type Entry<'f>: FilteredEntry
    where
        Self: 'f;
    /// An entry in the answer.
    type Shown;

    /// Visits the entries after a key, or all, in the order of their keys.
    fn after<'f>(
        &'f self,
        fleet: &'f Fleet,
        after: Option<&'f Self::Key>,
    ) -> Box<dyn Iterator<Item = Self::Entry<'f>> + 'f>;
    /// Returns the entry of a key.
    fn find<'f>(&'f self, fleet: &'f Fleet, key: &'f Self::Key) -> Option<Self::Entry<'f>>;
    /// Returns the key of an entry.
    fn key<'e>(entry: &'e Self::Entry<'_>) -> &'e Self::Key;
    /// Writes a key as a page token.
    fn token(key: &Self::Key) -> String;
    /// Converts an entry.
    fn show(&self, fleet: &Fleet, entry: &Self::Entry<'_>) -> Self::Shown;
}

/// The query of a list request.
pub(super) struct ListQuery {
    filter: ListFilter,
    order: ListOrder,
}

impl ListQuery {
    /// Reads the fields `filter` and `order_by`; `None` if both are empty. Tokens of `page` then
    /// belong to these texts and to `scope`, the other fields that choose entries.
    ///
    /// # Errors
    /// The first fault of one of them, by the name of the field.
    pub(super) fn parse<E: FilteredEntry>(filter: &str, order_by: &str) -> Result<Option<Self>, RpcRefusal> {
        let named =
            |field: &'static str| move |fault: &dyn Display| RpcRefusal::field(field, fault.to_string());
        let order = ListOrder::parse::<E>(order_by).map_err(|fault| named("order_by")(&fault))?;
        let filter = ListFilter::parse::<E>(filter).map_err(|fault| named("filter")(&fault))?;
        Ok((!filter.admits_all() || order != ListOrder::ById).then_some(Self { filter, order }))
    }

    /// Reads the filter of a watch.
    ///
    /// # Errors
    /// The first fault, by the name of the field.
    pub(super) fn filter<E: FilteredEntry>(filter: &str) -> Result<ListFilter, RpcRefusal> {
        ListFilter::parse::<E>(filter).map_err(|fault| RpcRefusal::field("filter", fault.to_string()))
    }

    /// Reads a page of the list. In the order of ids, a page may have fewer entries than its size,
    /// or none, and a next page. In another order there is one page, the first of the order.
    ///
    /// # Errors
    /// The token belongs to a list of several pages, or too many lists are sorted now.
    pub(super) async fn page<L: QueriedList>(
        &self,
        fleet: &FleetHandle,
        list: &L,
        page: &PageRequest,
        start: Option<L::Key>,
        sorting: &SortedLists,
    ) -> Result<ListPage<L::Shown>, RpcRefusal> {
        match self.order {
            ListOrder::ById => Ok(self.by_id(fleet, list, page, start).await),
            ListOrder::ByField { .. } if start.is_some() => {
                let problem = "a list in this order has one page; `page_size` is the number of its entries";
                Err(RpcRefusal::field("page_token", problem))
            }
            ListOrder::ByField { field, descending } => {
                let busy = |_| RpcRefusal::retry("SORTED_LISTS", "other lists are being sorted");
                let _one = sorting.0.try_acquire().map_err(busy)?;
                let top = TopEntries::new(page.size(), field, descending);
                Ok(self.sorted(fleet, list, top).await)
            }
        }
    }

    async fn by_id<L: QueriedList>(
        &self,
        fleet: &FleetHandle,
        list: &L,
        page: &PageRequest,
        mut after: Option<L::Key>,
    ) -> ListPage<L::Shown> {
        let mut items = Vec::new();
        for _ in 0..STEPS_OF_PAGE {
            let next = fleet.read(|fleet| {
                let (mut examined, mut last) = (0, None);
                for entry in list.after(fleet, after.as_ref()) {
                    if examined == STEP || items.len() == page.size() {
                        return last.as_ref().map(|entry| L::key(entry).clone());
                    }
                    examined += 1;
                    if self.filter.admits(&entry) {
                        items.push(list.show(fleet, &entry));
                    }
                    last = Some(entry);
                }
                None
            });
            match next {
                Some(next) => after = Some(next),
                None => return ListPage { items, next: String::new(), total: 0 },
            }
            if items.len() >= page.size() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let next = after.map(|key| page.token(&L::token(&key))).unwrap_or_default();
        ListPage { items, next, total: 0 }
    }

    async fn sorted<L: QueriedList>(
        &self,
        fleet: &FleetHandle,
        list: &L,
        mut top: TopEntries<L::Key>,
    ) -> ListPage<L::Shown> {
        let mut after: Option<L::Key> = None;
        loop {
            after = fleet.read(|fleet| {
                let (mut examined, mut last) = (0, None);
                for entry in list.after(fleet, after.as_ref()) {
                    if examined == STEP {
                        return last.as_ref().map(|entry| L::key(entry).clone());
                    }
                    examined += 1;
                    if self.filter.admits(&entry) {
                        top.offer(&entry, || L::key(&entry).clone());
                    }
                    last = Some(entry);
                }
                None
            });
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let keys: Vec<L::Key> = top.into_keys().collect();
        let items = fleet.read(|fleet| {
            let entries = keys.iter().filter_map(|key| list.find(fleet, key));
            entries.map(|entry| list.show(fleet, &entry)).collect()
        });
        ListPage { items, next: String::new(), total: 0 }
    }
}

/// The places of lists that are sorted at once; each visits every entry.
#[derive(Clone)]
pub(super) struct SortedLists(Arc<Semaphore>);

impl Default for SortedLists {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SORTED_AT_ONCE)))
    }
}
