//! The fields of entries and their values.

use std::borrow::Cow;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text. `:` means that it contains the value, in any case of letters.
    Text,
    /// The id of a resource, which may be written as its name: with this prefix.
    Id(&'static str),
    /// One of these words, in any case of letters.
    Word(&'static [&'static str]),
    /// Several texts. `=` and `:` mean that one of them is the value.
    Texts,
    /// A number.
    Number,
    /// A time span such as `90s`, `10m`, `1h`, `2d`; its value is in seconds.
    Duration,
    /// `true` or `false`.
    Flag,
}

/// A field by which entries are filtered.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldKind,
}

/// The value of a field of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue<'a> {
    /// The value of a text, an id or a word.
    Text(Cow<'a, str>),
    /// The value of several texts.
    Texts(&'a [String]),
    /// The value of a number, or of a duration in seconds.
    Number(f64),
    /// The value of a flag.
    Flag(bool),
    /// The entry has no value of the field now.
    Absent,
}

impl<'a> FieldValue<'a> {
    /// Returns the value of a text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }
}

/// An entry that can be filtered.
pub trait FilteredEntry {
    /// All fields, each name once.
    const FIELDS: &'static [FieldSpec];

    /// Returns the value of the field at a place in [`Self::FIELDS`].
    fn value(&self, field: usize) -> FieldValue<'_>;
}
