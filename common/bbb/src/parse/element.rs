//! Reads an answer element by element.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

/// The largest size of an answer, bytes: room for some ten thousand meetings.
pub const MAX_BYTES: usize = 64 << 20;

/// The deepest nesting that is read. Answers of servers have six levels.
const MAX_DEPTH: usize = 32;

/// The reason why an answer is not a complete answer of a BBB server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableReply {
    /// The answer has no body.
    #[error("the answer is empty")]
    Empty,
    /// The body is HTML, JSON or another text without `<response>`.
    #[error("the answer is no BBB response")]
    NotAResponse,
    /// The body ends before `</response>`.
    #[error("the answer is cut short")]
    Cut,
    /// The body is not well-formed XML.
    #[error("the answer is malformed")]
    Malformed,
    /// The body is larger than [`MAX_BYTES`].
    #[error("the answer is too large")]
    TooLarge,
    /// The elements are nested deeper than the limit.
    #[error("the answer is nested too deeply")]
    TooDeep,
    /// The answer lacks an element that is required.
    #[error("the answer has no `{0}`")]
    Missing(&'static str),
}

/// The next part of a document that an [`ElementWalk`] reads.
pub(super) enum ElementStep<'a> {
    /// An element begins at byte `at`.
    Open { name: &'a str, at: usize },
    /// Text of the innermost element, decoded.
    Text(Cow<'a, str>),
    /// One or more elements ended; [`ElementWalk::depth`] tells how many are still open.
    Close,
    /// The document ended and is complete.
    End,
}

/// A complete element without attributes, elements or references inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlainLeaf<'a> {
    pub(super) name: &'a str,
    /// Position of the text, bytes.
    pub(super) text_at: usize,
    pub(super) text: &'a str,
}

/// A reader of a document, at a position between its first and its last byte.
///
/// Below `metadata` and `customdata` applications name the elements, and servers do not escape the names. There an end
/// tag without a begin tag is skipped; at any other place it is an error.
pub(super) struct ElementWalk<'a> {
    document: &'a str,
    reader: Reader<&'a [u8]>,
    /// Position at which `reader` began, bytes.
    begun_at: usize,
    /// Position after the last leaf that was read without `reader`, if the reader is not there yet.
    ahead: Option<usize>,
    open: Vec<&'a str>,
}

impl<'a> ElementWalk<'a> {
    /// Returns a reader at the beginning of the `<response>` of `body`.
    pub(super) fn response(body: &'a str) -> Result<Self, UnreadableReply> {
        if body.len() > MAX_BYTES {
            return Err(UnreadableReply::TooLarge);
        }
        let mut walk = Self::around(body.trim_start_matches('\u{feff}').trim())?;
        match walk.next()? {
            ElementStep::Open { name: "response", .. } => Ok(walk),
            _ => Err(UnreadableReply::NotAResponse),
        }
    }

    /// Returns a reader before the single element of `document`.
    pub(super) fn around(document: &'a str) -> Result<Self, UnreadableReply> {
        if document.is_empty() {
            return Err(UnreadableReply::Empty);
        }
        let (reader, open) = (reader_of(document), Vec::with_capacity(8));
        Ok(Self { document, reader, begun_at: 0, ahead: None, open })
    }

    /// Returns the number of open elements.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Returns the position after the last step, in bytes.
    pub(super) fn position(&self) -> usize {
        let read = || usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        self.ahead.unwrap_or_else(|| self.begun_at.saturating_add(read()).min(self.document.len()))
    }

    /// Returns a part of the document, unchanged.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.document.get(from..to).unwrap_or_default()
    }

    /// Returns the next child of the element at `depth`, or `None` if that element has ended.
    pub(super) fn child(&mut self, depth: usize) -> Result<Option<(&'a str, usize)>, UnreadableReply> {
        while self.depth() >= depth {
            if self.depth() > depth && self.plain_leaf().is_some() {
                continue;
            }
            match self.next()? {
                ElementStep::Open { name, at } if self.depth() == depth + 1 => return Ok(Some((name, at))),
                ElementStep::End => break,
                _ => {}
            }
        }
        Ok(None)
    }

    /// Returns the next child of the innermost element and passes it, if the child is the next part of
    /// the document and plain. Nearly all elements of an answer are, and this is several times as fast
    /// as the steps of the reader, whose results are the same.
    pub(super) fn plain_leaf(&mut self) -> Option<PlainLeaf<'a>> {
        let at = self.position();
        // The end of an empty element is still to come, although its text was read.
        if self.open.is_empty() || self.document.get(..at)?.ends_with("/>") {
            return None;
        }
        let from = at + self.document.get(at..)?.bytes().position(|byte| !byte.is_ascii_whitespace())?;
        let tag = self.document.get(from..)?.strip_prefix('<')?;
        let name_len = tag.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'-')?;
        let (name, inner) = (&tag[..name_len], tag[name_len..].strip_prefix('>')?);
        // A line end is left to the reader, because XML has rules for it.
        let text_len = inner.bytes().position(|byte| matches!(byte, b'<' | b'&' | b'\r'))?;
        let rest = inner[text_len..].strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
        let is_name = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !is_name || self.open.len() == MAX_DEPTH {
            return None;
        }
        self.ahead = Some(self.document.len() - rest.len());
        Some(PlainLeaf { name, text_at: from + name_len + 2, text: &inner[..text_len] })
    }

    /// Returns the text of the innermost element and leaves it.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, UnreadableReply> {
        let depth = self.depth();
        let mut text = Cow::Borrowed("");
        while self.depth() >= depth {
            match self.next()? {
                ElementStep::Text(part) if self.depth() == depth => {
                    if text.is_empty() {
                        text = part;
                    } else {
                        text.to_mut().push_str(&part);
                    }
                }
                ElementStep::End => break,
                _ => {}
            }
        }
        Ok(text)
    }

    /// Reads to the end of the document, so that a document that is cut after the needed elements is an error.
    pub(super) fn finish(mut self) -> Result<(), UnreadableReply> {
        loop {
            match self.next()? {
                ElementStep::End => return Ok(()),
                ElementStep::Text(_) | ElementStep::Close => {}
                ElementStep::Open { .. } if self.depth() > 1 => {}
                ElementStep::Open { .. } => return Err(UnreadableReply::Malformed),
            }
        }
    }

    /// Returns the next step of the document.
    pub(super) fn next(&mut self) -> Result<ElementStep<'a>, UnreadableReply> {
        if let Some(at) = self.ahead.take() {
            (self.reader, self.begun_at) = (reader_of(self.slice(at, self.document.len())), at);
        }
        loop {
            let at = self.position();
            let event = self.reader.read_event().map_err(|error| match error {
                quick_xml::Error::Syntax(_) => UnreadableReply::Cut, // the missing end of a tag
                _ => UnreadableReply::Malformed,
            })?;
            match event {
                Event::Start(start) => {
                    let name_len = start.name().as_ref().len();
                    if self.open.len() == MAX_DEPTH {
                        return Err(UnreadableReply::TooDeep);
                    }
                    let name = self.slice(at + 1, at + 1 + name_len);
                    self.open.push(name);
                    return Ok(ElementStep::Open { name, at });
                }
                Event::End(end) => {
                    if self.close(end.name().as_ref())? {
                        return Ok(ElementStep::Close);
                    }
                }
                Event::Text(text) => return self.words(text.into_inner()),
                Event::CData(text) => return self.words(text.into_inner()),
                Event::GeneralRef(reference) => return self.words(resolve(&reference)),
                Event::DocType(_) => return Err(UnreadableReply::NotAResponse),
                Event::Eof if self.open.is_empty() => return Ok(ElementStep::End),
                Event::Eof => return Err(UnreadableReply::Cut),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    /// Closes the element `name`. Returns false for an end tag that is skipped.
    fn close(&mut self, name: &str) -> Result<bool, UnreadableReply> {
        if self.open.last() == Some(&name) {
            self.open.pop();
            return Ok(true);
        }
        let users = self.open.iter().position(|open| matches!(*open, "metadata" | "customdata"));
        let users = users.ok_or(UnreadableReply::Malformed)?;
        let first_word = name.split_ascii_whitespace().next().unwrap_or_default();
        let ended = self.open.iter().rposition(|open| *open == first_word);
        match ended {
            Some(index) if index >= users => {
                self.open.truncate(index);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn words(&self, text: Cow<'a, str>) -> Result<ElementStep<'a>, UnreadableReply> {
        if self.open.is_empty() && !text.trim().is_empty() {
            return Err(UnreadableReply::NotAResponse);
        }
        Ok(ElementStep::Text(text))
    }
}

fn reader_of(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    config.expand_empty_elements = true;
    reader
}

fn resolve<'a>(reference: &BytesRef<'a>) -> Cow<'a, str> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Cow::Owned(c.to_string());
    }
    let name = reference.clone().into_inner();
    match quick_xml::escape::resolve_predefined_entity(&name) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(format!("&{name};")),
    }
}
