//! Finds the citations of the rules (`H10`, `design 7`, `wire-contract 1.5`, `style P9`, `ADR 18`)
//! in prose: in comments and documents, not in code, strings or code spans, where such letters and
//! digits are data.

use crate::rust::split;

/// A place that the text sends its reader to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Citation {
    /// A requirement, such as `H10`.
    Requirement(String),
    /// A numbered section of `docs/design.md`.
    Design(String),
    /// A numbered section of `docs/wire-contract.md`.
    WireContract(String),
    /// A principle of `docs/style.md`, `P9`.
    Style(String),
    /// A decision in `docs/adr/`, without leading zeros.
    Decision(String),
    /// A section of the document that has the text; in code it names no document.
    Section(String),
    /// A section of the BBB contract by one of its former names.
    Former(String),
}

/// Letters that begin a requirement's number. A citation with another letter would be taken for data.
pub const REQUIREMENT_LETTERS: &str = "ACDEFHIKRSX";

/// Returns the prose of a file as lines of the same numbers, other text blank.
///
/// `extension` is the file's, without a dot; an empty one means a script.
pub fn prose(text: &str, extension: &str) -> String {
    let mut lines = vec![String::new(); text.lines().count()];
    match extension {
        "rs" => {
            for comment in split(text).comments {
                lines[comment.line - 1] = without_code_spans(comment.text);
            }
        }
        "md" => {
            let mut in_block = false;
            for (at, line) in text.lines().enumerate() {
                let is_fence = line.trim_start().starts_with("```");
                in_block ^= is_fence;
                if !in_block && !is_fence {
                    lines[at] = without_code_spans(line);
                }
            }
        }
        _ => {
            let marker = if extension == "proto" { "//" } else { "#" };
            for (at, line) in text.lines().enumerate() {
                lines[at] = without_code_spans(comment_after(line, marker));
            }
        }
    }
    lines.join("\n")
}

/// Returns the comment of a line: from a marker that begins the line or follows white space, outside
/// strings.
fn comment_after<'a>(line: &'a str, marker: &str) -> &'a str {
    let begins = |at: &usize| {
        let before = &line[..*at];
        let is_apart = before.is_empty() || before.ends_with(char::is_whitespace);
        is_apart && before.matches('"').count().is_multiple_of(2)
    };
    let start = line.match_indices(marker).map(|(at, _)| at).find(begins);
    start.map_or("", |at| &line[at + marker.len()..])
}

/// Returns a line without the texts between backticks.
fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// A run of letters, digits, dots and hyphens, and the line it is on.
struct Token<'a> {
    line: usize,
    text: &'a str,
    is_marked: bool,
}

fn tokens(prose: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (at, line) in prose.lines().enumerate() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '%');
        let mut rest = line;
        while let Some(start) = rest.find(is_part) {
            let is_marked = rest[..start].ends_with('§');
            let after = &rest[start..];
            let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
            let text = after[..end].trim_matches(['.', '-']);
            if !text.is_empty() {
                found.push(Token { line: at + 1, text, is_marked });
            }
            rest = &after[end..];
        }
    }
    found
}

/// Returns the citations in prose, each with the number of its line.
pub fn citations(prose: &str) -> Vec<(usize, Citation)> {
    let tokens = tokens(prose);
    let before = |at: usize, back: usize| at.checked_sub(back).map_or("", |at| tokens[at].text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let text = token.text.to_owned();
        if is_section(&text) {
            let citation = match before(at, 1) {
                "design" | "design.md" => Citation::Design(text),
                "wire-contract" | "wire-contract.md" => Citation::WireContract(text),
                "bbb-api" | "bbb-api.md" => Citation::Former(text),
                "ADR" => Citation::Decision(text),
                "section" | "sections" if before(at, 3) == "BBB" && before(at, 2) == "API" => {
                    Citation::Former(text)
                }
                "section" | "sections" if before(at, 3) == "RFC" => continue,
                "section" | "sections" => Citation::Section(text),
                _ if token.is_marked => Citation::Section(text),
                _ => continue,
            };
            found.push((token.line, citation));
        } else {
            let numbers = text.split('-').take_while(|part| is_number(part) || is_section(part));
            let numbers = numbers.filter(|part| is_number(part)).map(|number| {
                let number = number.to_owned();
                let is_style = number.starts_with('P');
                if is_style { Citation::Style(number) } else { Citation::Requirement(number) }
            });
            found.extend(numbers.map(|citation| (token.line, citation)));
        }
    }
    found
}

/// Returns whether a text is the number of a section, `4` or `4.9`.
fn is_section(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
}

/// Returns whether a text is the number of a requirement or a principle: a letter, one or two digits.
fn is_number(text: &str) -> bool {
    let mut chars = text.chars();
    let has_letter = chars.next().is_some_and(|c| c == 'P' || REQUIREMENT_LETTERS.contains(c));
    let digits = chars.as_str();
    has_letter && (1..=2).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
}

/// Returns the numbers of a document's headings, without a final dot: `## 3. Storage` is `3`.
pub fn numbered_headings(document: &str) -> Vec<String> {
    let headings = document.lines().filter_map(|line| line.strip_prefix('#'));
    let first_words =
        headings.filter_map(|heading| heading.trim_start_matches('#').split_whitespace().next());
    first_words.map(|word| word.trim_end_matches('.').to_owned()).filter(|word| is_section(word)).collect()
}
