//! The order of a list. Every list has an index by id; any other order is the best entries of one
//! walk, as many as fit a page.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::value::{FieldKind, FieldValue, FilteredEntry};

/// The order that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// By id, ascending.
    ById,
    /// By a field with an order, ties by id.
    ByField {
        /// Place in the fields of the entry.
        field: usize,
        /// Whether the largest value comes first.
        descending: bool,
    },
}

/// A text that is no order of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no order of this list: write one of {known}, with ` desc` for the largest first; empty means by id"
)]
pub struct UnknownOrder {
    /// The fields with an order.
    known: String,
}

impl ListOrder {
    /// Reads an order for entries of the type `E`.
    ///
    /// # Errors
    /// The text names another field than a number or a duration, or several.
    pub fn parse<E: FilteredEntry>(text: &str) -> Result<Self, UnknownOrder> {
        let ordered = |kind| matches!(kind, FieldKind::Number | FieldKind::Duration);
        let mut words = text.split_whitespace();
        let (name, direction, rest) = (words.next(), words.next(), words.next());
        let unknown = || {
            let known = E::FIELDS.iter().filter(|field| ordered(field.kind)).map(|field| field.name);
            UnknownOrder { known: known.collect::<Vec<_>>().join(", ") }
        };
        let descending = match (direction, rest) {
            (None | Some("asc"), None) => false,
            (Some("desc"), None) => true,
            _ => return Err(unknown()),
        };
        match name {
            None => Ok(Self::ById),
            Some("id" | "name") if !descending => Ok(Self::ById),
            Some(name) => {
                let named = |field: &super::value::FieldSpec| field.name == name && ordered(field.kind);
                let field = E::FIELDS.iter().position(named).ok_or_else(unknown)?;
                Ok(Self::ByField { field, descending })
            }
        }
    }
}

/// The first entries of an order, at most as many as a page has.
#[derive(Debug)]
pub struct TopEntries<K> {
    most: usize,
    field: usize,
    descending: bool,
    heap: BinaryHeap<RankedKey<K>>,
}

impl<K: Ord> TopEntries<K> {
    /// Returns an empty list of at most `most` entries in the order of a field.
    pub fn new(most: usize, field: usize, descending: bool) -> Self {
        Self { most, field, descending, heap: BinaryHeap::with_capacity(most.min(1001)) }
    }

    /// Offers an entry; entries come in the order of their ids. `key` is read only for an entry that
    /// is taken.
    pub fn offer(&mut self, entry: &impl FilteredEntry, key: impl FnOnce() -> K) {
        let place = match entry.value(self.field) {
            FieldValue::Number(number) if self.descending => -number,
            FieldValue::Number(number) => number,
            // An entry without the value comes last in both directions.
            _ => f64::INFINITY,
        };
        let is_full = self.heap.len() >= self.most;
        // A later id loses every tie.
        if is_full && self.heap.peek().is_none_or(|last| last.place.total_cmp(&place).is_le()) {
            return;
        }
        if is_full {
            self.heap.pop();
        }
        self.heap.push(RankedKey { place, key: key() });
    }

    /// Returns the keys in the order.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.key)
    }
}

/// A key with its place in the order: smaller is earlier.
#[derive(Debug)]
struct RankedKey<K> {
    place: f64,
    key: K,
}

impl<K: Ord> Ord for RankedKey<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.total_cmp(&other.place).then_with(|| self.key.cmp(&other.key))
    }
}

impl<K: Ord> PartialOrd for RankedKey<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> PartialEq for RankedKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K: Ord> Eq for RankedKey<K> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::filter::FieldSpec;

    struct Users(Option<u8>);

    impl FilteredEntry for Users {
        const FIELDS: &'static [FieldSpec] = &[
            FieldSpec { name: "state", kind: FieldKind::Text },
            FieldSpec { name: "users", kind: FieldKind::Number },
        ];

        fn value(&self, field: usize) -> FieldValue<'_> {
            assert_eq!(field, 1);
            self.0.map_or(FieldValue::Absent, |users| FieldValue::Number(users.into()))
        }
    }

    #[test]
    fn only_fields_with_an_order_are_taken() {
        let order = ListOrder::parse::<Users>;
        for text in ["", "  ", "id", "name asc"] {
            assert_eq!(order(text), Ok(ListOrder::ById), "{text}");
        }
        assert_eq!(order("users"), Ok(ListOrder::ByField { field: 1, descending: false }));
        assert_eq!(order(" users  desc "), Ok(ListOrder::ByField { field: 1, descending: true }));
        for text in ["state", "load", "users up", "users desc, id", "id desc", "users desc desc"] {
            assert!(order(text).expect_err(text).to_string().contains("one of users,"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_first_entries_of_the_order_are_kept(
            entries in prop::collection::vec(prop::option::of(0..6_u8), 0..40),
            most in 1..10_usize, descending in any::<bool>(),
        ) {
            let mut top = TopEntries::new(most, 1, descending);
            for (key, users) in entries.iter().enumerate() {
                top.offer(&Users(*users), || key);
            }
            let mut sorted: Vec<usize> = (0..entries.len()).collect();
            let place = |key: &usize| entries[*key].map_or(i32::MAX, |users| if descending { -i32::from(users) } else { users.into() });
            sorted.sort_by_key(place); // stable: ties by key
            sorted.truncate(most);
            prop_assert_eq!(top.into_keys().collect::<Vec<_>>(), sorted);
        }
    }
}
