//! The head of an answer, parsed as far as needed to check the redirect.

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: u16,
    pub(crate) location: Option<&'a [u8]>,
    /// The length of head and body together, in bytes.
    pub(crate) length: usize,
}

/// Parses the head at the start of `bytes`; returns `None` if it is incomplete or malformed.
pub(crate) fn read(bytes: &[u8]) -> Option<AnswerHead<'_>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    let (mut location, mut body, mut at) = (None, 0, 0);
    loop {
        let line = &bytes[at..];
        let line = &line[..line.iter().position(|&byte| byte == b'\n')?];
        at += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Some(AnswerHead { status, location, length: at + body });
        }
        if let Some(value) = field(line, b"location: ") {
            location = Some(value);
        } else if let Some(value) = field(line, b"content-length: ") {
            body = std::str::from_utf8(value).ok()?.parse().ok()?;
        }
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT: &[u8] =
        b"HTTP/1.1 302 Found\r\nLocation: https://a.example/join?x\r\ncontent-length: 3\r\n\r\nabc";

    #[test]
    fn a_redirect_is_read_with_the_length_of_its_body() {
        let head = read(REDIRECT).unwrap();
        assert_eq!((head.status, head.length), (302, REDIRECT.len()));
        assert_eq!(head.location, Some(&b"https://a.example/join?x"[..]));
    }

    #[test]
    fn half_a_head_is_no_head() {
        for end in 0..REDIRECT.len() - 3 {
            assert_eq!(read(&REDIRECT[..end]), None, "{end}");
        }
        assert_eq!(read(b"hello\r\n\r\n"), None);
    }
}
