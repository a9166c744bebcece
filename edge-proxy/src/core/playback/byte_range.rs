//! The range of bytes that a request asks for (RFC 9110, 14).

use std::ops::Range;

/// The part of a file that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeAnswer {
    /// The whole file, with status 200.
    Whole,
    /// A part, with status 206.
    Part(Range<u64>),
    /// No part: the range begins behind the end; status 416.
    Unsatisfiable,
}

/// Reads the header `Range` of a request for a file of `size` bytes. Several ranges and other units are answered with
/// the whole file, as RFC 9110 permits: no player asks for them.
pub fn requested_range(header: Option<&str>, size: u64) -> RangeAnswer {
    let Some(asked) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return RangeAnswer::Whole;
    };
    let Some((first, last)) = asked.split_once('-') else { return RangeAnswer::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match number(last) {
            None => RangeAnswer::Whole,
            Some(0) => RangeAnswer::Unsatisfiable,
            Some(_) if size == 0 => RangeAnswer::Unsatisfiable,
            Some(count) => RangeAnswer::Part(size.saturating_sub(count)..size),
        };
    }
    let Some(first) = number(first) else { return RangeAnswer::Whole };
    let end = match last {
        "" => size,
        last => match number(last) {
            Some(last) if last >= first => last.saturating_add(1).min(size),
            _ => return RangeAnswer::Whole,
        },
    };
    if first >= size { RangeAnswer::Unsatisfiable } else { RangeAnswer::Part(first..end) }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large is behind every end.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_players_ask() {
        use RangeAnswer::{Part, Unsatisfiable, Whole};
        for (header, expected) in [
            ("bytes=0-", Part(0..10)),
            ("bytes=0-0", Part(0..1)),
            ("bytes=9-9", Part(9..10)),
            ("bytes=3-100", Part(3..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-30", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-4", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=a-", Whole),
            ("bytes=-", Whole),
            ("items=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(requested_range(Some(header), 10), expected, "{header}");
        }
        assert_eq!(requested_range(None, 10), Whole);
        assert_eq!(requested_range(Some("bytes=0-"), 0), Unsatisfiable);
        assert_eq!(requested_range(Some("bytes=-5"), 0), Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_lies_in_the_file(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0_u64..2000) {
            if let RangeAnswer::Part(range) = requested_range(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
