//! Pieces of markup. Each is read when it is complete.

use usher_bbb::{query::decode, work};

use super::{body_fault::BodyFault, text::is_known};

/// The limit of attributes of one element.
const ATTRIBUTES: usize = 64;
/// The limit of prefixes that are bound at a time.
const PREFIXES: usize = 64;

/// The start tag of an element.
#[derive(Debug)]
pub(super) struct StartTag<'m> {
    pub(super) name: &'m [u8],
    pub(super) attributes: TagAttributes<'m>,
    pub(super) is_empty: bool,
}

/// The attributes of a tag in order, each with its value as written.
#[derive(Debug)]
pub(super) struct TagAttributes<'m>(Vec<(&'m [u8], &'m [u8])>);

impl TagAttributes<'_> {
    /// Returns whether an attribute `name` of any prefix has this value: the parser of BBB looks
    /// attributes up by their local names.
    pub(super) fn name_is(&self, wanted: &str) -> bool {
        let keys = self.0.iter().map(|(key, _)| *key);
        keys.filter(|key| key.rsplit(|byte| *byte == b':').next() == Some(b"name"))
            .any(|key| self.value_of(key).as_deref() == Some(wanted))
    }

    /// Returns the value of an attribute with its references resolved.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.value_of(name.as_bytes())
    }

    fn value_of(&self, name: &[u8]) -> Option<String> {
        let (_, value) = self.0.iter().find(|(key, _)| *key == name)?;
        let text = String::from_utf8_lossy(value);
        quick_xml::escape::unescape(&text).ok().map(std::borrow::Cow::into_owned)
    }
}

/// Reads a start tag, given without its brackets.
pub(super) fn element(tag: &[u8]) -> Result<StartTag<'_>, BodyFault> {
    work::count(tag.len());
    let (tag, is_empty) = tag.strip_suffix(b"/").map_or((tag, false), |tag| (tag, true));
    let (name, rest) = name(tag)?;
    Ok(StartTag { name, attributes: attributes(rest)?, is_empty })
}

/// Checks an instruction, given without its brackets and question marks. The instruction `xml` is
/// the declaration: it must come first and have a version, an optional encoding and an optional
/// `standalone`, in this order.
pub(super) fn instruction(inner: &[u8], is_first: bool) -> Result<(), BodyFault> {
    let (target, rest) = name(inner)?;
    if !rest.first().is_none_or(u8::is_ascii_whitespace) || target.contains(&b':') {
        return Err(BodyFault::Malformed);
    }
    if !target.eq_ignore_ascii_case(b"xml") {
        return Ok(());
    }
    let TagAttributes(said) = attributes(rest)?;
    let mut said = said.into_iter().peekable();
    let version = said.next_if(|(name, _)| *name == b"version");
    let encoding = said.next_if(|(name, _)| *name == b"encoding");
    let alone = said.next_if(|(name, _)| *name == b"standalone");
    let is_encoding = |name: &[u8]| {
        name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    let is_sound = is_first
        && target == b"xml"
        && version.is_some_and(|(_, version)| version == b"1.0" || version == b"1.1")
        && encoding.is_none_or(|(_, name)| is_encoding(name))
        && alone.is_none_or(|(_, alone)| alone == b"yes" || alone == b"no")
        && said.next().is_none();
    if is_sound { Ok(()) } else { Err(BodyFault::Malformed) }
}

/// Splits off the name at the beginning of a text.
fn name(text: &[u8]) -> Result<(&[u8], &[u8]), BodyFault> {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(byte) || *byte >= 0x80;
    let length = text.iter().take_while(|byte| is_inner(byte)).count();
    let (name, rest) = text.split_at(length);
    let begins = name.first().is_some_and(|byte| !byte.is_ascii_digit() && !b".-".contains(byte));
    if begins { Ok((name, rest)) } else { Err(BodyFault::Malformed) }
}

fn attributes(mut rest: &[u8]) -> Result<TagAttributes<'_>, BodyFault> {
    let mut found: Vec<(&[u8], &[u8])> = Vec::new();
    loop {
        let next = rest.trim_ascii_start();
        if next.is_empty() {
            return Ok(TagAttributes(found));
        }
        if next.len() == rest.len() {
            return Err(BodyFault::Malformed); // white space must separate attributes
        }
        let (name, after) = name(next)?;
        let after = after.trim_ascii_start().strip_prefix(b"=").ok_or(BodyFault::Malformed)?;
        let (quote, after) = after.trim_ascii_start().split_first().ok_or(BodyFault::Malformed)?;
        if !b"\"'".contains(quote) {
            return Err(BodyFault::Malformed);
        }
        let length = after.iter().position(|byte| byte == quote).ok_or(BodyFault::Malformed)?;
        let value = &after[..length];
        work::count(found.len() + length);
        if !has_known_references(value) || found.iter().any(|(other, _)| *other == name) {
            return Err(BodyFault::Malformed);
        }
        if found.len() == ATTRIBUTES {
            return Err(BodyFault::Excessive);
        }
        found.push((name, value));
        rest = &after[length + 1..];
    }
}

fn has_known_references(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'&').skip(1).all(|after| {
        let end = after.iter().position(|byte| *byte == b';');
        end.is_some_and(|end| is_known(&after[..end]))
    })
}

/// The bound namespace prefixes, each with the depth of the element that binds it.
#[derive(Debug, Default)]
pub(super) struct NamespacePrefixes(Vec<(usize, Vec<u8>)>);

impl NamespacePrefixes {
    /// Enters an element at `depth`: binds its prefixes, and checks that all used prefixes are
    /// bound.
    pub(super) fn open(
        &mut self,
        depth: usize,
        name: &[u8],
        TagAttributes(attributes): &TagAttributes<'_>,
    ) -> Result<(), BodyFault> {
        for (key, value) in attributes {
            if let Some(prefix) = key.strip_prefix(b"xmlns:") {
                if prefix.is_empty() || prefix.contains(&b':') || value.is_empty() {
                    return Err(BodyFault::Malformed);
                }
                if self.0.len() == PREFIXES {
                    return Err(BodyFault::Excessive);
                }
                self.0.push((depth, prefix.to_vec()));
            }
        }
        let names = attributes.iter().map(|(key, _)| *key).filter(|key| !key.starts_with(b"xmlns:"));
        if names.chain([name]).all(|name| self.knows(name)) { Ok(()) } else { Err(BodyFault::Malformed) }
    }

    /// Leaves the element at `depth`.
    pub(super) fn close(&mut self, depth: usize) {
        self.0.retain(|(bound, _)| *bound < depth);
    }

    fn knows(&self, name: &[u8]) -> bool {
        let mut parts = name.splitn(2, |byte| *byte == b':');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        second.is_none_or(|local| {
            work::count(self.0.len());
            let is_bound = first == b"xml" || self.0.iter().any(|(_, prefix)| prefix == first);
            is_bound && !local.is_empty() && !local.contains(&b':')
        })
    }
}

/// Returns whether the address of a document ends in a name that a server can decode.
pub(super) fn names_a_file(url: &str) -> bool {
    let Some(name) = url.split('/').rfind(|part| !part.is_empty()) else { return false };
    let is_escape =
        |after: &str| after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    name.split('%').skip(1).all(is_escape) && !decode(name).is_empty()
}
