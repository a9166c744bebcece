//! The mark of the request that created a stored resource. A request that arrives again, because its
//! answer was lost, is recognised by it (AIP-155, ADR 35).

/// Length of a half of a mark in bytes.
pub const HALF: usize = 16;

/// Hashes of a request's id and of its id together with its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestMark {
    /// First bytes of the SHA-256 of the id.
    pub id: [u8; HALF],
    /// First bytes of the SHA-256 of id and content.
    pub content: [u8; HALF],
}

/// The relation of a request to the one that created a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestRelation {
    /// It is the same request, sent again.
    Repeated,
    /// It has the same id and another content.
    OtherContent,
    /// It is another request, or the creating one is unknown.
    Other,
}

impl std::fmt::Debug for RequestMark {
    /// Shows no byte of the mark, because the content has secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestMark(***)")
    }
}

impl RequestMark {
    /// Reads a stored mark; `None` if the bytes are no mark.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        let (id, content) = bytes.split_at_checked(HALF)?;
        Some(Self { id: id.try_into().ok()?, content: content.try_into().ok()? })
    }

    /// Returns the bytes to store: none without a mark.
    pub fn to_stored(mark: Option<Self>) -> Vec<u8> {
        mark.map(|mark| [mark.id, mark.content].concat()).unwrap_or_default()
    }

    /// Returns the relation of a request with the mark `given` to the resource that the request with
    /// the mark `stored` created.
    pub fn relation(stored: Option<Self>, given: Option<Self>) -> RequestRelation {
        match (stored, given) {
            (Some(stored), Some(given)) if stored == given => RequestRelation::Repeated,
            (Some(stored), Some(given)) if stored.id == given.id => RequestRelation::OtherContent,
            _ => RequestRelation::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_shows_no_byte() {
        let mark = RequestMark { id: [1; HALF], content: [7; HALF] };
        assert_eq!(RequestMark::from_stored(&RequestMark::to_stored(Some(mark))), Some(mark));
        assert!(RequestMark::to_stored(None).is_empty());
        for bytes in [&[][..], &[1; 16], &[1; 31], &[1; 33]] {
            assert_eq!(RequestMark::from_stored(bytes), None);
        }
        assert_eq!(format!("{mark:?}"), "RequestMark(***)");
    }

    #[test]
    fn only_the_same_id_and_content_are_the_same_request() {
        let mark = |id: u8, content: u8| Some(RequestMark { id: [id; HALF], content: [content; HALF] });
        assert_eq!(RequestMark::relation(mark(1, 1), mark(1, 1)), RequestRelation::Repeated);
        assert_eq!(RequestMark::relation(mark(1, 1), mark(1, 2)), RequestRelation::OtherContent);
        assert_eq!(RequestMark::relation(mark(1, 1), mark(2, 2)), RequestRelation::Other);
        assert_eq!(RequestMark::relation(None, None), RequestRelation::Other);
        assert_eq!(RequestMark::relation(mark(1, 1), None), RequestRelation::Other);
    }
}
