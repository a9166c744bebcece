//! Checks of characters and references, byte by byte.

use super::body_fault::BodyFault;

/// The longest reference in bytes: `&#x10FFFF;` and some leading zeros.
const REFERENCE: usize = 16;

/// Bytes that are examined together.
pub(super) const BLOCK: usize = 32;

/// Returns the length of the whole blocks at the beginning of an element's text that hold plain characters
/// alone: of ASCII, allowed at every place, and neither markup nor a part of a reference or of `]]>`.
pub(super) fn plain_length(text: &[u8]) -> usize {
    // Without a branch for each byte, so that the processor examines many at once.
    let is_plain = |block: &&[u8]| block.iter().fold(true, |all, byte| all & is_plain(*byte));
    text.chunks_exact(BLOCK).take_while(is_plain).count() * BLOCK
}

#[expect(clippy::needless_bitwise_bool, reason = "lazy operators branch, which prevents vector instructions")]
fn is_plain(byte: u8) -> bool {
    let is_printable = (b' '..0x7f).contains(&byte);
    let is_space = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
    let is_special = (byte == b'<') | (byte == b'&') | (byte == b'>') | (byte == b']');
    (is_printable | is_space) & !is_special
}

/// Checks the text between pieces of markup, and that every byte belongs to a character that XML
/// allows.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    /// The number of bytes read so far.
    read: usize,
    /// The last two bytes.
    last: [u8; 2],
    /// The reference that is being read, without its `&`.
    reference: Option<Vec<u8>>,
    /// The number of brackets just read: `]]>` is not allowed outside a CDATA section.
    brackets: u8,
}

impl TextCheck {
    /// Returns whether `byte` may come next at any position. Invalid UTF-8 is accepted, because a
    /// server replaces it by an allowed character. U+FFFE and U+FFFF are not allowed.
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

    /// Passes over plain characters, outside a reference.
    pub(super) fn skip(&mut self, plain: &[u8]) {
        if let [.., before, last] = plain {
            self.last = [*before, *last];
            self.read += plain.len();
            self.brackets = 0;
        }
    }

    /// Returns the number of bytes read so far.
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

    /// Ends a text, in which no reference may be incomplete.
    pub(super) fn markup_begins(&mut self) -> Result<(), BodyFault> {
        self.brackets = 0;
        if self.is_whole() { Ok(()) } else { Err(BodyFault::Malformed) }
    }

    /// Returns whether no reference is incomplete.
    pub(super) fn is_whole(&self) -> bool {
        self.reference.is_none()
    }
}

/// Returns whether a reference, given without `&` and `;`, stands for a character. Without a
/// document type there are five named references.
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
    // The standard library would accept a sign before the digits.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(digits, radix).ok())?
}
