//! The length of a text as BBB limits it.

/// Returns the number of UTF-16 code units of a text. The `@Size` limits of BBB count these, because BBB
/// is written in Java: an emoji counts twice (wire-contract 2).
pub fn utf16_length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_beyond_the_first_plane_counts_twice() {
        for (text, length) in [("", 0), ("ab", 2), ("é", 1), ("東京", 2), ("😀", 2), ("👩\u{200d}🏫", 5)]
        {
            assert_eq!(utf16_length(text), length, "{text}");
            assert_eq!(utf16_length(text), text.encode_utf16().count(), "{text}");
        }
    }
}
