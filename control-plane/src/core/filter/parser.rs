//! The grammar of filters (AIP-160, without functions, wildcards and comparisons of all fields):
//!
//! ```text
//! filter     = [ factor { "AND" factor } ]
//! factor     = term { "OR" term }
//! term       = [ "NOT" | "-" ] ( "(" filter ")" | field comparator value )
//! comparator = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! ```
//!
//! As AIP-160 has it, OR binds more tightly than AND.

use super::{
    fault::FilterFault,
    node::{ComparedValue, FilterNode},
    token::{Comparator, FilterToken, tokens},
    value::{FieldKind, FieldSpec},
};

/// Length of the longest filter in bytes.
pub const LONGEST: usize = 2048;
/// Largest number of levels of parentheses and negations.
pub const MOST_NESTED: usize = 16;
/// Largest number of comparisons.
pub const MOST_COMPARISONS: usize = 50;

const OPERATORS: [&str; 3] = ["AND", "OR", "NOT"];

/// Reads a filter; `None` if it is empty.
pub(super) fn parse(text: &str, fields: &'static [FieldSpec]) -> Result<Option<FilterNode>, FilterFault> {
    if text.len() > LONGEST {
        return Err(FilterFault::TooLong(LONGEST));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = FilterParser { tokens: &tokens, next: 0, comparisons: 0, fields };
    let node = parser.filter(0)?;
    match parser.peek() {
        None => Ok(Some(node)),
        Some(_) => Err(parser.unexpected("AND, OR or the end")),
    }
}

struct FilterParser<'t> {
    tokens: &'t [(FilterToken, usize)],
    next: usize,
    comparisons: usize,
    fields: &'static [FieldSpec],
}

impl<'t> FilterParser<'t> {
    fn peek(&self) -> Option<&'t FilterToken> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// Takes the next token if it is this operator.
    fn takes(&mut self, operator: &str) -> bool {
        let is_it = matches!(self.peek(), Some(FilterToken::Bare(text)) if text == operator);
        self.next += usize::from(is_it);
        is_it
    }

    fn filter(&mut self, depth: usize) -> Result<FilterNode, FilterFault> {
        self.joined("AND", FilterNode::All, |parser| parser.factor(depth))
    }

    fn factor(&mut self, depth: usize) -> Result<FilterNode, FilterFault> {
        self.joined("OR", FilterNode::Any, |parser| parser.term(depth))
    }

    /// Reads parts between which `operator` stands; a single part stays as it is.
    fn joined(
        &mut self,
        operator: &str,
        join: impl FnOnce(Vec<FilterNode>) -> FilterNode,
        part: impl Fn(&mut Self) -> Result<FilterNode, FilterFault>,
    ) -> Result<FilterNode, FilterFault> {
        let first = part(self)?;
        if !self.takes(operator) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.takes(operator) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn term(&mut self, depth: usize) -> Result<FilterNode, FilterFault> {
        if depth > MOST_NESTED {
            return Err(FilterFault::TooDeep(MOST_NESTED));
        }
        let minus = self.peek() == Some(&FilterToken::Minus);
        self.next += usize::from(minus);
        if minus || self.takes("NOT") {
            return Ok(FilterNode::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.peek() == Some(&FilterToken::Open) {
            self.next += 1;
            let inner = self.filter(depth + 1)?;
            if self.peek() != Some(&FilterToken::Close) {
                return Err(self.unexpected("AND, OR or `)`"));
            }
            self.next += 1;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<FilterNode, FilterFault> {
        let Some(FilterToken::Bare(name)) = self.peek() else {
            return Err(self.unexpected("a field"));
        };
        if OPERATORS.contains(&name.as_str()) {
            return Err(self.unexpected("a field"));
        }
        let field = self.fields.iter().position(|field| field.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
            FilterFault::UnknownField { name: name.clone(), known: known.join(", ") }
        })?;
        self.next += 1;
        let Some(FilterToken::Compare(comparator)) = self.peek() else {
            return Err(self.unexpected("a comparator such as `=`"));
        };
        self.next += 1;
        let Some(FilterToken::Bare(value) | FilterToken::Quoted(value)) = self.peek() else {
            return Err(self.unexpected("a value"));
        };
        self.next += 1;
        self.comparisons += 1;
        if self.comparisons > MOST_COMPARISONS {
            return Err(FilterFault::TooMany(MOST_COMPARISONS));
        }
        let operand = operand(&self.fields[field], *comparator, value)?;
        Ok(FilterNode::Compare { field, comparator: *comparator, operand })
    }

    fn unexpected(&self, wanted: &'static str) -> FilterFault {
        let end = self.tokens.last().map_or(1, |(_, at)| at + 1);
        let (found, at) = match self.tokens.get(self.next) {
            None => ("its end".to_owned(), end),
            Some((token, at)) => (shown(token), *at),
        };
        FilterFault::Unexpected { found, wanted, at }
    }
}

fn shown(token: &FilterToken) -> String {
    match token {
        FilterToken::Open => "`(`".into(),
        FilterToken::Close => "`)`".into(),
        FilterToken::Minus => "`-`".into(),
        FilterToken::Compare(comparator) => format!("`{}`", comparator.text()),
        FilterToken::Bare(text) | FilterToken::Quoted(text) => {
            format!("`{}`", text.chars().take(40).collect::<String>())
        }
    }
}

/// Reads a value for a field.
fn operand(field: &FieldSpec, comparator: Comparator, value: &str) -> Result<ComparedValue, FilterFault> {
    let unfit = |wanted: String| FilterFault::Unfit {
        field: field.name,
        value: value.chars().take(40).collect(),
        wanted,
    };
    let has_order = matches!(field.kind, FieldKind::Number | FieldKind::Duration);
    let is_ordering = !matches!(comparator, Comparator::Equal | Comparator::NotEqual | Comparator::Has);
    if is_ordering && !has_order {
        return Err(FilterFault::NoOrder { field: field.name, comparator: comparator.text() });
    }
    let text = |text: &str| ComparedValue::Text(text.to_owned(), text.to_lowercase());
    match field.kind {
        FieldKind::Text | FieldKind::Texts => Ok(text(value)),
        FieldKind::Id(prefix) => Ok(text(value.strip_prefix(prefix).unwrap_or(value))),
        FieldKind::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(value)) {
            Some(word) => Ok(text(word)),
            None => Err(unfit(format!("one of {}", words.join(", ")))),
        },
        FieldKind::Number => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(ComparedValue::Number(number)),
            _ => Err(unfit("a number".into())),
        },
        FieldKind::Duration => seconds(value)
            .map(ComparedValue::Number)
            .ok_or_else(|| unfit("a duration such as 90s, 10m, 1h, 2d".into())),
        FieldKind::Flag => match value {
            "true" => Ok(ComparedValue::Flag(true)),
            "false" => Ok(ComparedValue::Flag(false)),
            _ => Err(unfit("true or false".into())),
        },
    }
}

/// Reads a duration: a number and one of the units s, m, h, d.
fn seconds(text: &str) -> Option<f64> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86400.0,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    let is_plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = if is_plain { number.parse().ok()? } else { return None };
    Some(number * seconds).filter(|seconds| seconds.is_finite())
}
