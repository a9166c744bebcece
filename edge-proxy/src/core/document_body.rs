//! Checks the body of a `create` or `insertDocument` while it streams through the edge
//! (wire-contract 4.9, ADR 17).
//!
//! A BBB server reads such a body with an XML parser that knows namespaces and refuses document
//! types. It uses the elements below the presentation modules of the root and ignores the rest. If
//! the body is not XML, or has a document without a file name, the server fails with HTTP 500, and
//! HTTP 500 counts as evidence that the server is unhealthy. So that no caller can provoke such a
//! failure, the edge refuses these bodies. An accepted body is forwarded byte for byte.
//!
//! The body is read in parts, because it may be large. The checker keeps one piece of markup and
//! the names of the open elements, and both are limited. The parser of a library would hold a
//! document of many megabytes, base64 in one text, in memory.

mod body_fault;
mod markup;
mod presentation_edit;
mod text;

#[cfg(test)]
mod tests;

pub use self::{
    body_fault::BodyFault,
    presentation_edit::{PresentationEdit, PresentationMode},
};
use usher_bbb::work;

use self::{
    markup::{NamespacePrefixes, StartTag, TagAttributes},
    text::TextCheck,
};

/// The limit of open elements. A real body has three.
const DEPTH: usize = 32;
/// The largest piece of markup, in bytes.
const MARKUP: usize = 64 << 10;

/// The state of the check of one body.
#[derive(Debug, Default)]
pub struct DocumentBody {
    state: State,
    /// The piece of markup that is being read, without its `<`.
    markup: Vec<u8>,
    text: TextCheck,
    open: Vec<Vec<u8>>,
    prefixes: NamespacePrefixes,
    /// Whether the children of the open module are documents.
    in_presentation: bool,
    has_root: bool,
    /// Whether a byte was read.
    has_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After `<`, before the kind of markup is known.
    Opening,
    /// In a tag, and inside quotes of this kind if there is one.
    Tag(Option<u8>),
    Comment(Tail),
    Cdata(Tail),
    Instruction(Tail),
}

/// The number of bytes of `-->`, `]]>` or `?>` that were just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tail(u8);

impl DocumentBody {
    /// Reads the next part of the body.
    ///
    /// # Errors
    /// Every server would refuse the body, however it continues.
    pub fn read(&mut self, part: &[u8]) -> Result<(), BodyFault> {
        work::count(part.len());
        self.has_begun |= !part.is_empty();
        let mut rest = part;
        while !rest.is_empty() {
            // Most of a large body is the base64 text of a document.
            let is_content = self.state == State::Text && !self.open.is_empty() && self.text.is_whole();
            let plain = if is_content { text::plain_length(rest) } else { 0 };
            self.text.skip(&rest[..plain]);
            // A whole block byte by byte, also if its first bytes are plain: each byte is read twice at most.
            let (block, more) = rest[plain..].split_at((rest.len() - plain).min(text::BLOCK));
            for byte in block {
                self.byte(*byte)?;
            }
            rest = more;
        }
        Ok(())
    }

    /// Returns whether the body is complete. An empty body is accepted, because it contains no
    /// document.
    ///
    /// # Errors
    /// The body breaks off.
    pub fn end(&self) -> Result<(), BodyFault> {
        let is_whole = self.state == State::Text && self.text.is_whole();
        let is_closed = self.open.is_empty() && self.has_root;
        if !self.has_begun || (is_whole && is_closed) { Ok(()) } else { Err(BodyFault::Malformed) }
    }

    fn byte(&mut self, byte: u8) -> Result<(), BodyFault> {
        if !self.text.is_character(byte) {
            return Err(BodyFault::Malformed);
        }
        match self.state {
            State::Text if byte == b'<' => {
                self.text.markup_begins()?;
                self.markup.clear();
                self.state = State::Opening;
            }
            State::Text if self.open.is_empty() => return outside(byte),
            State::Text => self.text.content(byte)?,
            State::Opening => {
                self.push(byte)?;
                self.opening()?;
            }
            State::Tag(quote) => self.tag(byte, quote)?,
            State::Comment(tail) => self.comment(byte, tail)?,
            State::Cdata(Tail(seen)) => {
                self.state = match (seen, byte) {
                    (2, b'>') => State::Text,
                    (_, b']') => State::Cdata(Tail(seen.saturating_add(1).min(2))),
                    _ => State::Cdata(Tail(0)),
                };
            }
            State::Instruction(Tail(seen)) => {
                if seen == 1 && byte == b'>' {
                    self.instruction()?;
                    self.state = State::Text;
                } else {
                    self.push(byte)?;
                    self.state = State::Instruction(Tail(u8::from(byte == b'?')));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Result<(), BodyFault> {
        if self.markup.len() >= MARKUP {
            return Err(BodyFault::Excessive);
        }
        self.markup.push(byte);
        Ok(())
    }

    /// Decides the kind of the markup by its first bytes.
    fn opening(&mut self) -> Result<(), BodyFault> {
        const COMMENT: &[u8] = b"!--";
        const CDATA: &[u8] = b"![CDATA[";
        let begun = self.markup.as_slice();
        self.state = match begun {
            b"?" => State::Instruction(Tail(0)),
            COMMENT => State::Comment(Tail(0)),
            CDATA if !self.open.is_empty() => State::Cdata(Tail(0)),
            // Document types are refused: a body could read files and grow without bounds by them.
            [b'!', ..] if COMMENT.starts_with(begun) || CDATA.starts_with(begun) && begun != CDATA => {
                State::Opening
            }
            [b'!' | b'>', ..] => return Err(BodyFault::Malformed),
            _ => State::Tag(None),
        };
        Ok(())
    }

    fn tag(&mut self, byte: u8, quote: Option<u8>) -> Result<(), BodyFault> {
        match (quote, byte) {
            (_, b'<') => return Err(BodyFault::Malformed),
            (None, b'>') => {
                self.state = State::Text;
                return self.element();
            }
            (None, b'"' | b'\'') => self.state = State::Tag(Some(byte)),
            (Some(quote), _) if byte == quote => self.state = State::Tag(None),
            _ => {}
        }
        self.push(byte)
    }

    /// Reads a byte of a comment, in which two hyphens are only allowed as its end.
    fn comment(&mut self, byte: u8, Tail(seen): Tail) -> Result<(), BodyFault> {
        self.state = match (seen, byte) {
            (2, b'>') => State::Text,
            (2, _) => return Err(BodyFault::Malformed),
            (_, b'-') => State::Comment(Tail(seen + 1)),
            _ => State::Comment(Tail(0)),
        };
        Ok(())
    }

    /// Checks an instruction. The instruction `xml` is the declaration, which is only allowed at
    /// the very beginning.
    fn instruction(&mut self) -> Result<(), BodyFault> {
        let inner = self.markup.get(1..self.markup.len() - 1).unwrap_or_default();
        let is_first = !self.has_root && self.text.read() == self.markup.len() + 2;
        markup::instruction(inner, is_first)
    }

    fn element(&mut self) -> Result<(), BodyFault> {
        let markup = std::mem::take(&mut self.markup);
        let judged = self.judge(&markup);
        self.markup = markup;
        judged
    }

    fn judge(&mut self, tag: &[u8]) -> Result<(), BodyFault> {
        if let Some(name) = tag.strip_prefix(b"/") {
            let open = self.open.pop().ok_or(BodyFault::Malformed)?;
            self.prefixes.close(self.open.len());
            return if name.trim_ascii_end() == open { Ok(()) } else { Err(BodyFault::Malformed) };
        }
        if self.open.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(BodyFault::Malformed); // there is a second root
        }
        let StartTag { name, attributes, is_empty } = markup::element(tag)?;
        let depth = self.open.len();
        self.prefixes.open(depth, name, &attributes)?;
        self.judge_document(depth, &attributes)?;
        if is_empty {
            self.prefixes.close(depth);
        } else if depth == DEPTH {
            return Err(BodyFault::Excessive);
        } else {
            self.open.push(name.to_vec());
        }
        Ok(())
    }

    /// Checks the address of a document, because a server takes the file name from its last part.
    fn judge_document(&mut self, depth: usize, attributes: &TagAttributes<'_>) -> Result<(), BodyFault> {
        match depth {
            1 => self.in_presentation = attributes.name_is("presentation"),
            2 if self.in_presentation => {
                let url = attributes.value("url").unwrap_or_default();
                if !url.is_empty() && !markup::names_a_file(&url) {
                    return Err(BodyFault::NamelessDocument);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Checks a byte outside the root, where only white space is allowed.
fn outside(byte: u8) -> Result<(), BodyFault> {
    if byte.is_ascii_whitespace() { Ok(()) } else { Err(BodyFault::Malformed) }
}
