//! The body of a `create` or `insertDocument`, checked as it comes (wire-contract 4.9).
//!
//! A BBB server reads it with an XML parser that knows namespaces and refuses document types, takes what
//! the elements below the root's presentation modules name, and ignores the rest. At what is no XML, or
//! names a document without a name, it fails with HTTP 500, by which a server that is sick is told from one
//! that is well. So that no caller can bring such a failure about, the same is refused here; the body itself
//! goes on byte for byte. It is read in parts, because it may be large: what is kept of it is a piece of
//! markup and the names of the open elements, and both have limits. A library's parser would hold a whole
//! document of many megabytes, base64 in one text.

mod markup;
mod text;

#[cfg(test)]
mod tests;

use self::{
    markup::{NamespacePrefixes, StartTag, TagAttributes},
    text::TextCheck,
};

/// Elements that may be open at a time; three are needed.
const DEPTH: usize = 32;
/// Largest piece of markup, bytes.
const MARKUP: usize = 64 << 10;

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is no well-formed XML.
    #[error("Request body is not well-formed XML")]
    Malformed,
    /// It is, and beyond what Usher reads.
    #[error("Request body is nested too deeply or has too much markup")]
    Excessive,
    /// A document's address names no file.
    #[error("Request body names a document without a file name")]
    NamelessDocument,
}

/// Checks a body.
#[derive(Debug, Default)]
pub struct DocumentBody {
    state: State,
    /// Of the markup that is being read, without its `<`.
    markup: Vec<u8>,
    text: TextCheck,
    open: Vec<Vec<u8>>,
    prefixes: NamespacePrefixes,
    /// The module that is open says that its children are documents.
    in_presentation: bool,
    has_root: bool,
    /// A byte of it came.
    has_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After `<`; it is not known yet of what.
    Opening,
    /// In a tag, and in quotes of that kind if any.
    Tag(Option<u8>),
    Comment(Tail),
    Cdata(Tail),
    Instruction(Tail),
}

/// How much of `-->`, `]]>` or `?>` has just been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tail(u8);

impl DocumentBody {
    /// Reads the next part.
    ///
    /// # Errors
    /// No server would take it, whatever follows.
    pub fn read(&mut self, part: &[u8]) -> Result<(), BodyFault> {
        for byte in part {
            self.byte(*byte)?;
            self.has_begun = true;
        }
        Ok(())
    }

    /// Tells whether that was all of it; nothing at all is no document, and not malformed.
    ///
    /// # Errors
    /// It breaks off.
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

    /// Decides of what kind the markup is, by its first bytes.
    fn opening(&mut self) -> Result<(), BodyFault> {
        const COMMENT: &[u8] = b"!--";
        const CDATA: &[u8] = b"![CDATA[";
        let begun = self.markup.as_slice();
        self.state = match begun {
            b"?" => State::Instruction(Tail(0)),
            COMMENT => State::Comment(Tail(0)),
            CDATA if !self.open.is_empty() => State::Cdata(Tail(0)),
            // A document type, by which a body could name files and grow without bounds, is none of them.
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

    /// Two hyphens end a comment, or break it.
    fn comment(&mut self, byte: u8, Tail(seen): Tail) -> Result<(), BodyFault> {
        self.state = match (seen, byte) {
            (2, b'>') => State::Text,
            (2, _) => return Err(BodyFault::Malformed),
            (_, b'-') => State::Comment(Tail(seen + 1)),
            _ => State::Comment(Tail(0)),
        };
        Ok(())
    }

    /// Judges an instruction; `xml` names the declaration, which stands at the very beginning.
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
            return Err(BodyFault::Malformed); // a second root
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

    /// A server names a document by the last part of its address.
    fn judge_document(&mut self, depth: usize, attributes: &TagAttributes<'_>) -> Result<(), BodyFault> {
        match depth {
            1 => self.in_presentation = attributes.value("name").as_deref() == Some("presentation"),
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

/// Around the root there is white space only.
fn outside(byte: u8) -> Result<(), BodyFault> {
    if byte.is_ascii_whitespace() { Ok(()) } else { Err(BodyFault::Malformed) }
}
