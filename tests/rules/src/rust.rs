//! Splits Rust source text into tokens and comments, so that a rule never mistakes a string for
//! code or code for prose.

use std::iter::Peekable;
use std::str::CharIndices;

/// Stands for every string, character and number in a list of tokens.
pub const LITERAL: &str = "\"\"";

/// One word, punctuation mark or literal of source code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Line of its first character, from 1.
    pub line: usize,
    /// The word or the mark itself; `::` is one mark; a literal is [`LITERAL`].
    pub text: &'a str,
}

impl Token<'_> {
    /// Returns whether this is an identifier or a keyword.
    pub fn is_word(&self) -> bool {
        self.text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
    }
}

/// Which of the three kinds of comment a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentKind {
    /// `///`, documentation of the item that follows.
    Outer,
    /// `//!`, documentation of the file or the item around it.
    Inner,
    /// `//`, a remark for the reader of the code.
    Plain,
}

/// One line of comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommentLine<'a> {
    /// Line in the file, from 1.
    pub line: usize,
    /// Kind of the whole comment.
    pub kind: CommentKind,
    /// Text without the marks that begin and end the comment.
    pub text: &'a str,
}

/// The tokens and the comments of one file, each in the order of the text.
#[derive(Debug, Default)]
pub struct SplitSource<'a> {
    /// The code without its comments.
    pub tokens: Vec<Token<'a>>,
    /// The comments without the code.
    pub comments: Vec<CommentLine<'a>>,
}

/// Splits a file into tokens and comments.
pub fn split(text: &str) -> SplitSource<'_> {
    let mut scanner = Scanner { text, chars: text.char_indices().peekable(), line: 1 };
    let mut found = SplitSource::default();
    while let Some(&(start, first)) = scanner.chars.peek() {
        let rest = &text[start..];
        if rest.starts_with("//") || rest.starts_with("/*") {
            scanner.comment(start, &mut found.comments);
        } else if first.is_whitespace() {
            scanner.next();
        } else {
            let line = scanner.line;
            found.tokens.push(Token { line, text: scanner.token(start, first) });
        }
    }
    found
}

struct Scanner<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<char> {
        let (_, letter) = self.chars.next()?;
        self.line += usize::from(letter == '\n');
        Some(letter)
    }

    /// Returns the byte position of the next character.
    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn skip_while(&mut self, is_part: impl Fn(char) -> bool) {
        while self.chars.peek().is_some_and(|(_, letter)| is_part(*letter)) {
            self.next();
        }
    }

    fn skip_bytes(&mut self, count: usize) {
        let end = self.at() + count;
        while self.at() < end && self.next().is_some() {}
    }

    fn comment(&mut self, start: usize, found: &mut Vec<CommentLine<'a>>) {
        let line = self.line;
        let rest = &self.text[start..];
        if rest.starts_with("//") {
            self.skip_while(|letter| letter != '\n');
            let whole = &self.text[start..self.at()];
            let kind = match whole.as_bytes().get(2) {
                Some(b'/') if !whole.starts_with("////") => CommentKind::Outer,
                Some(b'!') => CommentKind::Inner,
                _ => CommentKind::Plain,
            };
            found.push(CommentLine { line, kind, text: whole.trim_start_matches(['/', '!']).trim() });
            return;
        }
        let mut open = 0_usize;
        loop {
            let rest = &self.text[self.at()..];
            if rest.starts_with("/*") {
                open += 1;
                self.skip_bytes(2);
            } else if rest.starts_with("*/") {
                open -= 1;
                self.skip_bytes(2);
                if open == 0 {
                    break;
                }
            } else if self.next().is_none() {
                break;
            }
        }
        let whole = &self.text[start..self.at()];
        let kind = match whole.as_bytes().get(2) {
            Some(b'*') if whole.len() > 4 => CommentKind::Outer,
            Some(b'!') => CommentKind::Inner,
            _ => CommentKind::Plain,
        };
        let inside = whole.trim_start_matches(['/', '*', '!']).trim_end_matches(['/', '*']);
        let lines = inside.lines().enumerate();
        found.extend(lines.map(|(after, text)| CommentLine {
            line: line + after,
            kind,
            text: text.trim().trim_start_matches('*').trim(),
        }));
    }

    fn token(&mut self, start: usize, first: char) -> &'a str {
        let rest = &self.text[start..];
        if first == '"' {
            self.next();
            self.string();
            LITERAL
        } else if first == '\'' {
            self.quote()
        } else if first.is_ascii_digit() {
            self.skip_while(|letter| letter.is_alphanumeric() || letter == '_');
            LITERAL
        } else if first.is_alphabetic() || first == '_' {
            self.skip_while(|letter| letter.is_alphanumeric() || letter == '_');
            let word = &self.text[start..self.at()];
            self.after_prefix(word).unwrap_or(word)
        } else if rest.starts_with("::") {
            self.skip_bytes(2);
            "::"
        } else {
            self.next();
            &self.text[start..self.at()]
        }
    }

    /// Reads a string up to its closing quote; the opening one has been read.
    fn string(&mut self) {
        while let Some(letter) = self.next() {
            match letter {
                '\\' => drop(self.next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Reads a character or a lifetime.
    fn quote(&mut self) -> &'a str {
        self.next();
        let mut ahead = self.text[self.at()..].chars();
        let is_escape = ahead.next() == Some('\\');
        if !is_escape && ahead.next() != Some('\'') {
            self.skip_while(|letter| letter.is_alphanumeric() || letter == '_');
            return "'";
        }
        while let Some(letter) = self.next() {
            match letter {
                '\\' => drop(self.next()),
                '\'' => break,
                _ => {}
            }
        }
        LITERAL
    }

    /// Reads the literal or the raw identifier that a prefix like `r`, `b` or `br` belongs to.
    fn after_prefix(&mut self, word: &str) -> Option<&'a str> {
        let rest = &self.text[self.at()..];
        let is_raw = matches!(word, "r" | "br" | "cr");
        if is_raw {
            let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
            if rest[hashes..].starts_with('"') {
                self.skip_bytes(hashes + 1);
                let closing = format!("\"{}", "#".repeat(hashes));
                let inside = &self.text[self.at()..];
                self.skip_bytes(inside.find(&closing).map_or(inside.len(), |at| at + closing.len()));
                return Some(LITERAL);
            }
            if word == "r" && hashes == 1 {
                self.next();
                let start = self.at();
                self.skip_while(|letter| letter.is_alphanumeric() || letter == '_');
                return Some(&self.text[start..self.at()]);
            }
        }
        if matches!(word, "b" | "c") && rest.starts_with('"') {
            self.next();
            self.string();
            return Some(LITERAL);
        }
        (word == "b" && rest.starts_with('\'')).then(|| self.quote())
    }
}

/// Returns the tokens without the items, fields and statements marked `#[cfg(test)]`.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(|token| token.text).take(MARK.len()).eq(MARK);
        if marked {
            at = end_of_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Returns where the item that begins at `start` has ended, attributes before it included.
fn end_of_item(tokens: &[Token<'_>], mut start: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "async", "const", "enum", "extern", "fn", "impl", "mod", "pub", "static", "struct", "trait", "type",
        "unsafe", "use",
    ];
    while tokens.get(start).is_some_and(|token| token.text == "#") {
        start = end_of_group(tokens, start + 1);
    }
    let first = tokens.get(start).map_or("", |token| token.text);
    let (is_item, is_use) =
        (ITEMS.contains(&first), tokens.iter().skip(start).take(6).any(|t| t.text == "use"));
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            ")" | "]" | "}" => return at,
            "{" if !is_use => return end_of_group(tokens, at),
            "(" | "[" | "{" => at = end_of_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Returns the place behind the group of brackets that opens at `start`.
pub fn end_of_group(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        split(text).tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn strings_are_neither_code_nor_comments() {
        let text = r##"let a = "// no \" comment"; let b = r#"a "raw" // one"#; // yes"##;
        let found = split(text);
        assert_eq!(found.comments, [CommentLine { line: 1, kind: CommentKind::Plain, text: "yes" }]);
        assert_eq!(words(text), ["let", "a", "=", LITERAL, ";", "let", "b", "=", LITERAL, ";"]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        assert_eq!(
            words("f('a', '\\'', b'/', &'a str)"),
            ["f", "(", LITERAL, ",", LITERAL, ",", LITERAL, ",", "&", "'", "str", ")"]
        );
    }

    #[test]
    fn comments_have_kinds_and_lines() {
        let text = "//! File.\n/// Item.\nfn a() {} // why\n/* one\n * two */";
        let found: Vec<_> = split(text).comments.iter().map(|c| (c.line, c.kind, c.text)).collect();
        assert_eq!(
            found,
            [
                (1, CommentKind::Inner, "File."),
                (2, CommentKind::Outer, "Item."),
                (3, CommentKind::Plain, "why"),
                (4, CommentKind::Plain, "one"),
                (5, CommentKind::Plain, "two"),
            ]
        );
    }

    #[test]
    fn test_items_are_left_out() {
        let text =
            "#[cfg(test)] use a::{b, c}; fn d() {} #[cfg(test)] #[allow(x)] fn e<A, B>() { f } fn g() {}
                    struct S { #[cfg(test)] h: I, j: K }";
        let kept =
            without_tests(&split(text).tokens).iter().map(|token| token.text).collect::<Vec<_>>().join(" ");
        assert_eq!(kept, "fn d ( ) { } fn g ( ) { } struct S { j : K }");
    }
}
