//! Names of public types, and the doc comments of all items.

use crate::rust::{CommentKind, SplitSource, Token, end_of_group};

/// Returns the line and the name of each `pub` struct, enum, trait, type alias and union, however
/// far the `pub` reaches.
pub(super) fn public_types<'a>(tokens: &[Token<'a>]) -> Vec<(usize, &'a str)> {
    const KINDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];
    let mut found = Vec::new();
    for at in tokens.iter().enumerate().filter(|(_, token)| token.text == "pub").map(|(at, _)| at) {
        let mut next = at + 1;
        if tokens.get(next).is_some_and(|token| token.text == "(") {
            next = end_of_group(tokens, next);
        }
        if tokens.get(next).is_some_and(|token| token.text == "unsafe") {
            next += 1;
        }
        if let Some([kind, name]) = tokens.get(next..next + 2)
            && KINDS.contains(&kind.text)
            && name.is_word()
        {
            found.push((name.line, name.text));
        }
    }
    found
}

/// Returns whether a type name is a single word: `Fleet` and `BBB` are, `ServerId` is not.
pub(super) fn is_one_word(name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    let begins_word = |at: usize| {
        let (before, next) = (letters[at - 1], letters.get(at + 1));
        letters[at].is_uppercase() && (!before.is_uppercase() || next.is_some_and(|next| next.is_lowercase()))
    };
    !(1..letters.len()).any(begins_word)
}

/// Returns the first line and the number of words of each doc comment.
pub(super) fn doc_comments(split: &SplitSource<'_>) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut last: Option<(usize, CommentKind)> = None;
    for comment in split.comments.iter().filter(|comment| comment.kind != CommentKind::Plain) {
        let words = comment.text.split_whitespace().count();
        match found.last_mut() {
            Some((_, total)) if last == Some((comment.line - 1, comment.kind)) => *total += words,
            _ => found.push((comment.line, words)),
        }
        last = Some((comment.line, comment.kind));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust::split;

    #[test]
    fn types_of_each_visibility_are_found() {
        let text = "pub struct One; pub(crate) enum TwoWords {} pub(in crate::a) unsafe trait Three {}
                    struct Private; pub type Four<T> = Vec<T>; pub fn five() {} pub struct $name;";
        let found: Vec<_> = public_types(&split(text).tokens).into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, ["One", "TwoWords", "Three", "Four"]);
    }

    #[test]
    fn words_of_names() {
        for name in ["Fleet", "BBB", "A6", "Ipv4"] {
            assert!(is_one_word(name), "{name}");
        }
        for name in ["ServerId", "BBBClient", "HttpV2", "ApiURL"] {
            assert!(!is_one_word(name), "{name}");
        }
    }

    #[test]
    fn lines_of_one_doc_comment_are_one() {
        let text = "//! A file.\n\n/// One two\n/// three four.\n#[a]\n/// Short.\nfn a() {}\n// no doc";
        assert_eq!(doc_comments(&split(text)), [(1, 2), (3, 4), (6, 1)]);
    }
}
