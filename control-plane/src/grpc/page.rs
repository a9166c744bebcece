//! Pages of a list. A token is opaque and names the last key of the page before, so that a list
//! that changes between two pages neither repeats nor skips an entry that remains.

use sha2::{Digest as _, Sha256};

use super::status::RpcRefusal;

/// Page size for a request without one.
const DEFAULT_SIZE: usize = 100;
/// Largest page size.
const MAX_SIZE: usize = 1000;

/// The page that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    size: usize,
    after: Option<String>,
    /// Digest of the query that the tokens belong to; none if every entry is listed.
    scope: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListPage<T> {
    /// The entries of the page.
    pub(crate) items: Vec<T>,
    /// Token of the next page; empty on the last page.
    pub(crate) next: String,
    /// Length of the whole list.
    pub(crate) total: i32,
}

impl PageRequest {
    /// Reads the two page fields of a list request.
    ///
    /// # Errors
    /// The size is negative, or the token was not issued by this service.
    pub(crate) fn parse(size: i32, token: &str) -> Result<Self, RpcRefusal> {
        Self::parse_within::<0>(size, token, None)
    }

    /// Reads the two page fields of a list request whose entries a query chooses: the texts of
    /// `scope`. Its tokens are refused by a list with another query.
    ///
    /// # Errors
    /// The size is negative, or the token was not issued for this query.
    pub(crate) fn parse_within<const N: usize>(
        size: i32,
        token: &str,
        scope: Option<&[&str; N]>,
    ) -> Result<Self, RpcRefusal> {
        let size = match usize::try_from(size) {
            Err(_) => return Err(RpcRefusal::field("page_size", "must not be negative; 0 means 100")),
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
        };
        let scope = scope.map(|texts| digest(texts));
        let after = match (token.split_once('.'), &scope) {
            _ if token.is_empty() => None,
            (None, None) => Some(decode(token)?),
            (Some((of, key)), Some(scope)) if of == scope => Some(decode(key)?),
            _ => {
                let problem = "belongs to a list with another filter or order; leave it empty to start";
                return Err(RpcRefusal::field("page_token", problem));
            }
        };
        Ok(Self { size, after, scope })
    }

    /// Returns the largest number of entries of the page.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the token of the page after the entry with this key.
    pub(crate) fn token(&self, key: &str) -> String {
        match &self.scope {
            Some(scope) => format!("{scope}.{}", encode(key)),
            None => encode(key),
        }
    }

    /// Reads the key after which the page begins; `None` on the first page.
    ///
    /// # Errors
    /// `read` finds no key in the token.
    pub(crate) fn after<K>(&self, read: impl Fn(&str) -> Option<K>) -> Result<Option<K>, RpcRefusal> {
        self.after.as_deref().map(|token| read(token).ok_or_else(not_ours)).transpose()
    }

    /// Returns the number of entries that [`PageRequest::take`] visits at most.
    pub(crate) fn most_visited(&self) -> usize {
        self.size + 1
    }

    /// Takes the page from the entries after [`PageRequest::after`], which come in the order of
    /// their keys. It visits one entry more than the page has, for any length of the list, so that
    /// a reader of a long list holds the lock of its owner for a page only. `total` is the length of
    /// the whole list.
    pub(crate) fn take<S, T>(
        &self,
        total: usize,
        rest: impl Iterator<Item = S>,
        key: impl Fn(&S) -> String,
        convert: impl Fn(S) -> T,
    ) -> ListPage<T> {
        let (mut rest, mut items, mut last) = (rest.peekable(), Vec::new(), String::new());
        while items.len() < self.size
            && let Some(item) = rest.next()
        {
            if items.len() + 1 == self.size && rest.peek().is_some() {
                last = key(&item);
            }
            items.push(convert(item));
        }
        ListPage { items, next: encode(&last), total: i32::try_from(total).unwrap_or(i32::MAX) }
    }

    /// Cuts the page out of a list in any order; `key` must be unique. Only the entries of the page are sorted
    /// and converted, for any length of the list.
    pub(crate) fn cut<S, T>(
        &self,
        list: impl Iterator<Item = S>,
        key: impl Fn(&S) -> String,
        convert: impl Fn(S) -> T,
    ) -> ListPage<T> {
        let mut total = 0_i32;
        let mut rest: Vec<(String, S)> = list
            .inspect(|_| total = total.saturating_add(1))
            .map(|item| (key(&item), item))
            .filter(|(key, _)| self.after.as_ref().is_none_or(|after| key > after))
            .collect();
        let more = rest.len() > self.size;
        if more {
            rest.select_nth_unstable_by(self.size, |a, b| a.0.cmp(&b.0));
            rest.truncate(self.size);
        }
        rest.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let next =
            if more { rest.last().map(|(key, _)| encode(key)).unwrap_or_default() } else { String::new() };
        ListPage { items: rest.into_iter().map(|(_, item)| convert(item)).collect(), next, total }
    }
}

fn not_ours() -> RpcRefusal {
    RpcRefusal::field("page_token", "is not a token from `next_page_token`; leave it empty to start")
}

/// Returns a digest of the texts of a query, 16 digits.
fn digest(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn encode(key: &str) -> String {
    let nibbles = key.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

fn decode(token: &str) -> Result<String, RpcRefusal> {
    let digits: Vec<u8> = token
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(not_ours)?;
    if !digits.len().is_multiple_of(2) {
        return Err(not_ours());
    }
    let bytes = digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
    String::from_utf8(bytes).map_err(|_| not_ours())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(list: &[&str], size: i32) -> Vec<Vec<String>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let request = PageRequest::parse(size, &token).expect("is a page");
            let page = request.cut(list.iter(), |key| (**key).to_owned(), |key| (*key).to_owned());
            assert_eq!(page.total, list.len() as i32);
            pages.push(page.items);
            token = page.next;
            if token.is_empty() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_cover_the_list_once_in_order() {
        let pages = walk(&["d", "a", "ü/東", "c", "b"], 2);
        assert_eq!(pages, [vec!["a", "b"], vec!["c", "d"], vec!["ü/東"]]);
        assert_eq!(walk(&[], 0), [Vec::<String>::new()]);
        assert_eq!(walk(&["a", "b"], 2).len(), 1, "a full last page has no next one");
    }

    #[test]
    fn a_page_of_an_ordered_list_visits_its_own_entries_and_one_more() {
        let visited = std::cell::Cell::new(0_usize);
        let page = |token: &str| {
            let request = PageRequest::parse(100, token).expect("is a page");
            let after = request.after(|token| token.parse::<u32>().ok()).expect("is our token");
            let rest =
                (after.map_or(0, |after| after + 1)..100_050).inspect(|_| visited.set(visited.get() + 1));
            request.take(100_050, rest, u32::to_string, |item| item)
        };
        let first = page("");
        assert_eq!((first.items.len(), first.total, visited.get()), (100, 100_050, 101));
        let second = page(&first.next);
        assert_eq!((second.items.first(), visited.get()), (Some(&100), 202));
        let last = page(&encode("99999"));
        assert_eq!((last.items.len(), last.next.as_str()), (50, ""));
        assert_eq!(page(&encode("99949")).next, "", "a full last page has no next one");
        assert!(PageRequest::parse(1, &encode("x")).expect("is a page").after(|_| None::<u32>).is_err());
    }

    #[test]
    fn a_token_belongs_to_its_query() {
        let within = |token: &str, scope: Option<&[&str; 2]>| PageRequest::parse_within(1, token, scope);
        let of = ["users > 3", "tenants/a"];
        let token = within("", Some(&of)).expect("is a page").token("key");
        let next = within(&token, Some(&of)).expect("is our token");
        assert_eq!(next.after(|key| Some(key.to_owned())), Ok(Some("key".to_owned())));
        for scope in [None, Some(&["users > 4", "tenants/a"]), Some(&["users > 3tenants/a", ""])] {
            assert!(within(&token, scope).is_err(), "{scope:?}");
        }
        assert!(within(&encode("key"), Some(&of)).is_err());
        assert!(within(&encode("key"), None).is_ok());
    }

    #[test]
    fn a_malformed_token_is_refused_by_name() {
        for token in ["zz", "6", "ff"] {
            assert!(
                matches!(PageRequest::parse(1, token), Err(RpcRefusal::Invalid(v)) if v[0].field == "page_token")
            );
        }
        assert!(
            matches!(PageRequest::parse(-1, ""), Err(RpcRefusal::Invalid(v)) if v[0].field == "page_size")
        );
    }
}
