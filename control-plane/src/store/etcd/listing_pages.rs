//! The pages of a listing. For each page, etcd visits every key from the page's first one to the end
//! of the range, because its answer contains their number, so that pages of a fixed size cost the
//! square of the number of keys. Two rules keep the cost near linear: the pages of a large family of
//! keys (`meetings/`) grow up to a number of bytes, and their range ends with the family. A page of
//! all keys was rejected: its answer may exceed the largest message, and one lost answer repeats
//! everything.

use super::key_space::end_of;

/// Number of entries of the first page of a family, the sizes of whose values are not known yet.
const FIRST: u64 = 500;
/// Number of bytes at which a page aims.
const BYTES: u64 = 16 << 20;
/// Largest number of entries of a page, also if those of the page before were small.
const MOST: u64 = 100_000;
/// Largest growth from one page to the next, so that a few small values at the start of a family do
/// not lead to a huge page of large ones.
const GROWTH: u64 = 4;

/// The entries of a page that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageRead<'a> {
    /// The last key, with the store's prefix; `None` if the page is empty.
    pub(super) last: Option<&'a [u8]>,
    pub(super) entries: u64,
    /// Bytes of all keys and values.
    pub(super) bytes: u64,
    /// Whether the range has entries after the last key.
    pub(super) more: bool,
}

/// The range of the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListingPages {
    pub(super) from: Vec<u8>,
    /// First key after the range of the page.
    pub(super) until: Vec<u8>,
    /// Largest number of entries of the page.
    pub(super) limit: u64,
    /// Largest number of entries of any page.
    most: u64,
    /// First key after the listing.
    end: Vec<u8>,
    /// Length of the store's prefix, which is no part of the name of a family.
    prefix: usize,
}

impl ListingPages {
    /// Returns the first page of all keys that start with `start`, of whose bytes the first `prefix`
    /// are the prefix of the store.
    pub(super) fn new(start: &str, prefix: usize) -> Self {
        let end = end_of(start);
        Self { from: start.as_bytes().to_vec(), until: end.clone(), limit: FIRST, most: MOST, end, prefix }
    }

    /// Moves on from a page that was read; returns `false` if it was the last one.
    pub(super) fn advance(&mut self, page: PageRead<'_>) -> bool {
        match page.last.filter(|_| page.more) {
            Some(last) => {
                self.from = [last, b"\0"].concat();
                if self.until == self.end
                    && let Some(until) = self.end_of_family(last)
                {
                    self.until = until;
                }
                let fitting = BYTES * page.entries / page.bytes.max(1);
                self.limit = fitting.clamp(1, self.most).min(self.limit.max(FIRST) * GROWTH);
                true
            }
            None if self.until == self.end => false,
            None => {
                self.from = std::mem::replace(&mut self.until, self.end.clone());
                self.limit = FIRST;
                true
            }
        }
    }

    /// Makes this page and all later ones smaller, because it was not read in time; returns `false`
    /// if it is small already. A slow network carries no large page within the deadline of a call.
    pub(super) fn shrink(&mut self) -> bool {
        let smaller = (self.limit / GROWTH).max(FIRST);
        let shrunk = smaller < self.limit;
        (self.most, self.limit) = (smaller, self.limit.min(smaller));
        shrunk
    }

    /// Returns the first key after the family of `key`, if the listing goes on after the family.
    fn end_of_family(&self, key: &[u8]) -> Option<Vec<u8>> {
        let name = key.get(self.prefix..)?.iter().position(|byte| *byte == b'/')?;
        let family = std::str::from_utf8(key.get(..=self.prefix + name)?).ok()?;
        // A family that is listed alone ends with the listing, whose end may be etcd's `\0`.
        Some(end_of(family)).filter(|until| self.end == b"\0" || *until < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists `keys` as etcd does, and returns the keys, the number of pages and the number of keys
    /// that etcd visits.
    fn list(keys: &[String], start: &str, value: impl Fn(&str) -> u64) -> (Vec<String>, u64, u64) {
        let mut pages = ListingPages::new(start, "/usher/".len());
        let (mut listed, mut count, mut visited) = (Vec::new(), 0, 0);
        loop {
            let after = |key: &String| pages.until != b"\0" && key.as_bytes() >= &pages.until[..];
            let from = keys.partition_point(|key| key.as_bytes() < &pages.from[..]);
            let until = keys.partition_point(|key| !after(key));
            let page = &keys[from..until.min(from + pages.limit as usize)];
            listed.extend_from_slice(page);
            visited += (until - from) as u64;
            count += 1;
            let bytes: u64 = page.iter().map(|key| key.len() as u64 + value(key)).sum();
            assert!(bytes <= BYTES * GROWTH || page.len() as u64 <= FIRST, "{bytes} bytes in a page");
            let read = PageRead {
                last: page.last().map(String::as_bytes),
                entries: page.len() as u64,
                bytes,
                more: from + page.len() < until,
            };
            if !pages.advance(read) {
                return (listed, count, visited);
            }
        }
    }

    fn keys(meetings: u32) -> Vec<String> {
        let mut keys: Vec<String> =
            (0..meetings).map(|n| format!("/usher/meetings/default/{n:08}")).collect();
        for family in ["fresh", "health", "load", "servers"] {
            keys.extend((0..1000).map(|n| format!("/usher/{family}/bbb{n}")));
        }
        keys.extend(["/usher/meta".to_owned(), "/usher/deletions".to_owned()]);
        keys.sort();
        keys
    }

    fn size(key: &str) -> u64 {
        if key.contains("/load/") { 100_000 } else { 250 }
    }

    #[test]
    fn a_listing_costs_etcd_a_few_visits_a_key_and_not_one_for_each_page() {
        let keys = keys(300_000);
        let (listed, pages, visited) = list(&keys, "/usher/", size);
        assert_eq!(listed, keys);
        let each = visited / keys.len() as u64;
        // Pages of 500 make 609 pages, and 304 visits a key.
        assert!(each <= 20 && pages <= 60, "{each} visits a key, {pages} pages");
    }

    #[test]
    fn pages_that_a_network_does_not_carry_in_time_become_smaller_and_stay_so() {
        let mut pages = ListingPages::new("/usher/", "/usher/".len());
        let small = PageRead { last: Some(b"/usher/meetings/a"), entries: 500, bytes: 50_000, more: true };
        (0..4).for_each(|_| assert!(pages.advance(small)));
        let (from, large) = (pages.from.clone(), pages.limit);
        assert!(large > 50_000 && pages.shrink(), "{large}");
        assert_eq!((pages.from.clone(), pages.limit), (from, large / GROWTH));
        assert!(pages.advance(small) && pages.limit == large / GROWTH, "no growth beyond it");
        while pages.shrink() {}
        assert_eq!(pages.limit, FIRST);
    }

    #[test]
    fn every_listing_is_complete_and_ordered() {
        for meetings in [0, 1, 499, 500, 501, 3000] {
            let keys = keys(meetings);
            for start in
                ["", "/usher/", "/usher/meetings/", "/usher/me", "/usher/meetings/default/0000", "/x"]
            {
                let expected: Vec<String> =
                    keys.iter().filter(|key| key.starts_with(start)).cloned().collect();
                assert_eq!(list(&keys, start, size).0, expected, "{meetings} meetings below {start}");
            }
        }
    }
}
