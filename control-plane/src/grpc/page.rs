//! Pages of a list. A token is opaque and names the last key of the page before, so that a list
//! that changes between two pages neither repeats nor skips an entry that remains.

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
        let size = match usize::try_from(size) {
            Err(_) => return Err(RpcRefusal::field("page_size", "must not be negative; 0 means 100")),
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
        };
        let after = if token.is_empty() { None } else { Some(decode(token)?) };
        Ok(Self { size, after })
    }

    /// Cuts the page out of a list; `key` must be unique. Only the entries of the page are sorted
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

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn encode(key: &str) -> String {
    let nibbles = key.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

fn decode(token: &str) -> Result<String, RpcRefusal> {
    let bad =
        || RpcRefusal::field("page_token", "is not a token from `next_page_token`; leave it empty to start");
    let digits: Vec<u8> = token
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(bad)?;
    if !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let bytes = digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
    String::from_utf8(bytes).map_err(|_| bad())
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
