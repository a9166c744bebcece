//! The tokens of a filter.

use super::fault::FilterFault;

/// The relation between a field and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

impl Comparator {
    /// Returns the text of the comparator.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Has => ":",
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilterToken {
    Open,
    Close,
    Minus,
    Compare(Comparator),
    /// Characters without quotes: a field, a value or an operator.
    Bare(String),
    /// A string in quotes.
    Quoted(String),
}

/// Whether a character can be in a text without quotes.
fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"()=!<>:\"',".contains(c)
}

/// Splits a filter into tokens, each with its place in characters from 1.
///
/// # Errors
/// A string has no end, or a character begins no token.
pub(super) fn tokens(text: &str) -> Result<Vec<(FilterToken, usize)>, FilterFault> {
    let (mut tokens, mut rest) = (Vec::new(), text.chars().enumerate().peekable());
    while let Some((place, c)) = rest.next() {
        let mut with_equals = |with: Comparator, without: Comparator| {
            FilterToken::Compare(if rest.next_if(|(_, next)| *next == '=').is_some() {
                with
            } else {
                without
            })
        };
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => FilterToken::Open,
            ')' => FilterToken::Close,
            '=' => FilterToken::Compare(Comparator::Equal),
            ':' => FilterToken::Compare(Comparator::Has),
            '<' => with_equals(Comparator::LessOrEqual, Comparator::Less),
            '>' => with_equals(Comparator::GreaterOrEqual, Comparator::Greater),
            '!' if rest.next_if(|(_, next)| *next == '=').is_some() => {
                FilterToken::Compare(Comparator::NotEqual)
            }
            '"' | '\'' => FilterToken::Quoted(quoted(c, &mut rest)?),
            // A minus negates what follows it; within a text it is a character.
            '-' if rest.peek().is_some_and(|(_, next)| *next == '(' || next.is_alphabetic()) => {
                FilterToken::Minus
            }
            c if is_bare(c) => {
                let mut bare = String::from(c);
                while let Some((_, next)) = rest.next_if(|(_, next)| is_bare(*next)) {
                    bare.push(next);
                }
                FilterToken::Bare(bare)
            }
            c => {
                return Err(FilterFault::Unexpected {
                    found: format!("`{}`", c.escape_debug()),
                    wanted: "a field, a comparator or a value",
                    at: place + 1,
                });
            }
        };
        tokens.push((token, place + 1));
    }
    Ok(tokens)
}

/// Reads a string to its closing quote. A backslash takes the next character as it is.
fn quoted(quote: char, rest: &mut impl Iterator<Item = (usize, char)>) -> Result<String, FilterFault> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some((_, c)) if c == quote => return Ok(text),
            Some((_, '\\')) => text.extend(rest.next().map(|(_, c)| c)),
            Some((_, c)) => text.push(c),
            None => return Err(FilterFault::OpenString(quote)),
        }
    }
}
