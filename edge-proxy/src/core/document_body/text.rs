//! Characters and references, as they come.

use super::BodyFault;

/// Longest reference, bytes: `&#x10FFFF;` and some leading zeros.
const REFERENCE: usize = 16;

/// Checks what stands between pieces of markup, and every byte for being part of a character of XML.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    /// Bytes read so far.
    read: usize,
    /// The last two of them.
    last: [u8; 2],
    /// A reference that is being read, without its `&`.
    reference: Option<Vec<u8>>,
    /// Brackets just read: `]]>` ends a section that did not begin.
    brackets: u8,
}

impl TextCheck {
    /// Tells whether `byte` may come next, anywhere. What is no UTF-8 a server replaces by a character that
    /// is allowed; U+FFFE and U+FFFF are not.
    pub(super) fn is_character(&mut self, byte: u8) -> bool {
        let is_allowed = match byte {
            b'\t' | b'\n' | b'\r' => true,
            0..=0x1f => false,
            0xbe | 0xbf => self.last != [0xef, 0xbf],
            _ => true,
        };
        self.last = [self.last[1], byte];
        self.read += 1;
        is_allowed
    }

    /// Returns how many bytes were read.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// Reads a byte of an element's text.
    pub(super) fn content(&mut self, byte: u8) -> Result<(), BodyFault> {
        if let Some(mut reference) = self.reference.take() {
            if byte == b';' {
                return if is_known(&reference) { Ok(()) } else { Err(BodyFault::Malformed) };
            }
            if reference.len() == REFERENCE {
                return Err(BodyFault::Malformed);
            }
            reference.push(byte);
            self.reference = Some(reference);
            return Ok(());
        }
        let brackets = std::mem::take(&mut self.brackets);
        match byte {
            b'&' => self.reference = Some(Vec::new()),
            b']' => self.brackets = brackets.saturating_add(1).min(2),
            b'>' if brackets == 2 => return Err(BodyFault::Malformed),
            _ => {}
        }
        Ok(())
    }

    /// Text ends here: no reference may be open.
    pub(super) fn markup_begins(&mut self) -> Result<(), BodyFault> {
        self.brackets = 0;
        if self.is_whole() { Ok(()) } else { Err(BodyFault::Malformed) }
    }

    /// Tells whether no reference is open.
    pub(super) fn is_whole(&self) -> bool {
        self.reference.is_none()
    }
}

/// Tells whether a reference, without `&` and `;`, stands for a character: without a document type there are
/// five names.
pub(super) fn is_known(reference: &[u8]) -> bool {
    let number = match reference {
        b"amp" | b"lt" | b"gt" | b"quot" | b"apos" => return true,
        [b'#', b'x', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    number.and_then(char::from_u32).is_some_and(|c| match c {
        '\t' | '\n' | '\r' => true,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    })
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    // What the standard library reads may have a sign.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(digits, radix).ok())?
}
