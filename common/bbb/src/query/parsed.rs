//! The one pass over a query or a form: it finds the parameters and the checksum.

use std::{borrow::Cow, ops::Range, sync::OnceLock};

use smallvec::SmallVec;

use super::{
    encoding::{decode, url_safe},
    parameters::{ParameterList, ParameterSpan, TooManyParameters},
    signed::{CHECKSUM, ChecksumFault, trimmed},
};
use crate::work;

/// A query or a form body whose signature is not verified yet. It keeps at most a given number of parameters, so that a
/// caller without a secret costs one pass and little memory.
#[derive(Clone)]
pub struct ParsedQuery<'a> {
    list: ParameterList<'a>,
    /// The place of the first checksum in the text; `None` without one.
    checksum: Option<Range<usize>>,
    /// The number of checksums among the parameters.
    checksums: usize,
    /// Whether there are more parameters than `most`, which are not in the list.
    surplus: bool,
}

impl std::fmt::Debug for ParsedQuery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParsedQuery").finish_non_exhaustive() // queries have passwords, and checksums grant access
    }
}

/// The signed text of a query, and its checksum.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedParts<'q> {
    /// The text before and after the checksum, without the `&` that is removed with it. The checksum covers one after
    /// the other.
    pub parts: [&'q str; 2],
    /// The checksum of the request, not empty.
    pub checksum: Cow<'q, str>,
}

impl std::fmt::Debug for SignedParts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedParts").finish_non_exhaustive()
    }
}

impl<'a> ParsedQuery<'a> {
    /// Finds the parameters in a text of less than 4 GiB. At most `most` are kept, beside the checksum.
    pub fn parse(text: impl Into<Cow<'a, str>>, most: usize) -> Self {
        let text = text.into();
        work::count(text.len());
        let (mut spans, mut decoded) = (SmallVec::new(), Vec::new());
        let (mut checksum, mut checksums, mut surplus) = (None, 0, u32::try_from(text.len()).is_err());
        let bytes = text.as_bytes();
        let mut start = 0;
        while start < bytes.len() && !(surplus && checksums > 1) {
            let (mut name_end, mut is_encoded) = (start, false);
            while let Some(byte) = bytes.get(name_end).filter(|byte| !matches!(byte, b'=' | b'&')) {
                is_encoded |= matches!(byte, b'%' | b'+');
                name_end += 1;
            }
            let has_value = bytes.get(name_end) == Some(&b'=');
            let length = if has_value { text[name_end..].find('&') } else { Some(0) };
            let end = length.map_or(bytes.len(), |length| name_end + length);
            if end > start {
                let raw = &text[start..name_end];
                let name = if is_encoded { decode(raw) } else { Cow::Borrowed(raw) };
                let is_checksum = name == CHECKSUM;
                checksums += usize::from(is_checksum);
                if is_checksum && checksum.is_none() {
                    checksum = Some(start..end);
                } else if spans.len().saturating_sub(usize::from(checksum.is_some())) >= most {
                    surplus = true;
                }
                if !surplus {
                    let decoded = match name {
                        Cow::Borrowed(_) => 0,
                        Cow::Owned(name) => {
                            decoded.push(name.into_boxed_str());
                            decoded.len() as u32
                        }
                    };
                    let [start, name_end, end] = [start, name_end, end].map(|at| at as u32);
                    spans.push(ParameterSpan { start, name_end, end, decoded });
                }
            }
            start = end + 1;
        }
        let list = ParameterList { text, spans, decoded, index: OnceLock::new() };
        Self { list, checksum, checksums, surplus }
    }

    /// Returns the unchanged text.
    pub fn text(&self) -> &str {
        self.list.text()
    }

    /// Returns whether there is no parameter but checksums.
    pub fn is_bare(&self) -> bool {
        !self.surplus && self.list.len() == self.checksums
    }

    /// Returns the text that the checksum covers, and the checksum, at any position.
    ///
    /// # Errors
    /// The query has no checksum or more than one.
    pub fn signed(&self) -> Result<SignedParts<'_>, ChecksumFault> {
        if self.checksums > 1 {
            return Err(ChecksumFault::Repeated);
        }
        let place = self.checksum.clone().ok_or(ChecksumFault::Missing)?;
        let (text, cut) = (self.text(), self.cut(&place));
        let value = text[place].split_once('=').map_or("", |(_, value)| value);
        let checksum = trimmed(decode(value));
        if checksum.is_empty() {
            return Err(ChecksumFault::Missing);
        }
        Ok(SignedParts { parts: [&text[..cut.start], &text[cut.end..]], checksum })
    }

    /// Returns the query without its checksum, as [`super::RawQuery::take_checksum`] removes it.
    #[must_use]
    pub fn without_checksum(mut self) -> Self {
        let Some(place) = self.checksum.take() else { return self };
        let cut = self.cut(&place);
        self.checksums = 0;
        let list = &mut self.list;
        // Most clients append the checksum.
        if let Some(at) = list.spans.iter().rposition(|span| span.start as usize == place.start) {
            list.spans.remove(at);
            let length = cut.len() as u32;
            for span in &mut list.spans[at..] {
                for place in [&mut span.start, &mut span.name_end, &mut span.end] {
                    *place -= length;
                }
            }
        }
        list.index = OnceLock::new();
        list.text = match std::mem::take(&mut list.text) {
            Cow::Borrowed(text) if cut.start == 0 => Cow::Borrowed(&text[cut.end..]),
            Cow::Borrowed(text) if cut.end == text.len() => Cow::Borrowed(&text[..cut.start]),
            text => {
                let mut text = text.into_owned();
                text.drain(cut);
                Cow::Owned(text)
            }
        };
        self
    }

    /// Returns the parameters.
    ///
    /// # Errors
    /// Returns the query itself if it has more parameters than were to be kept.
    pub fn into_parameters(self) -> Result<ParameterList<'a>, Box<Self>> {
        if self.surplus { Err(Box::new(self)) } else { Ok(self.list) }
    }

    /// Returns the range that is removed with a checksum: it takes the `&` before it, or else the one after it. Any
    /// other `&` stays and is hashed (wire-contract 1).
    fn cut(&self, checksum: &Range<usize>) -> Range<usize> {
        match checksum.start {
            0 => 0..(checksum.end + 1).min(self.text().len()),
            start => start - 1..checksum.end,
        }
    }
}

impl<'a> ParameterList<'a> {
    /// Finds the parameters of a text, which has no checksum of its own any more.
    ///
    /// # Errors
    /// There are more than `most` parameters.
    pub fn parse(text: impl Into<Cow<'a, str>>, most: usize) -> Result<Self, TooManyParameters> {
        ParsedQuery::parse(text, most).into_parameters().map_err(|_| TooManyParameters)
    }

    /// Finds the parameters of a text that the program itself has made, which needs no limit.
    pub fn of_own_text(text: impl Into<Cow<'a, str>>) -> Self {
        ParsedQuery::parse(text, usize::MAX).list
    }

    /// Returns the same parameters in a form that is valid in a request line, as [`url_safe`] does. Only a text with
    /// other bytes is read a second time.
    #[must_use]
    pub fn into_url_safe(self) -> Self {
        match url_safe(&self.text) {
            Cow::Borrowed(_) => self,
            Cow::Owned(safe) => ParsedQuery::parse(safe, self.spans.len()).list,
        }
    }
}

#[cfg(test)]
mod tests;
