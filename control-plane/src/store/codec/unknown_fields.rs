//! Top-level protobuf fields of a value that this version does not know.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// The unknown fields of the values that have some, by path.
#[derive(Debug, Default)]
pub(super) struct UnknownFields {
    /// The fields of each path, with the number of the listing that was under way when they were read.
    kept: HashMap<String, (Bytes, u64)>,
    listing: u64,
}

impl UnknownFields {
    /// Begins a listing. Values that are written while it is read keep their fields.
    pub(super) fn begin_listing(&mut self) {
        self.listing += 1;
    }

    /// Forgets the fields of values that the listing did not contain.
    pub(super) fn end_listing(&mut self) {
        self.kept.retain(|_, (_, listing)| *listing == self.listing);
    }

    pub(super) fn forget(&mut self, path: &str) {
        self.kept.remove(path);
    }

    pub(super) fn remember(&mut self, path: &str, fields: Bytes) {
        if fields.is_empty() {
            self.forget(path);
        } else {
            self.kept.insert(path.to_owned(), (fields, self.listing));
        }
    }

    /// Appends the unknown fields of `path` to a value; protobuf reads fields in any order.
    pub(super) fn append(&self, path: &str, value: &mut Vec<u8>) {
        if let Some((fields, _)) = self.kept.get(path) {
            value.extend_from_slice(fields);
        }
    }
}

/// Returns the fields of an encoded message whose numbers are above `known`, byte for byte. Bytes
/// that are not a message have no such fields.
pub(crate) fn fields(value: &[u8], known: u32) -> Bytes {
    let mut kept = BytesMut::new();
    let mut rest = value;
    while rest.has_remaining() {
        let field = rest;
        let skipped = decode_key(&mut rest).and_then(|(number, wire_type)| {
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).map(|()| number)
        });
        match skipped {
            Ok(number) if number > known => kept.extend_from_slice(&field[..field.len() - rest.len()]),
            Ok(_) => {}
            Err(_) => return Bytes::new(),
        }
    }
    kept.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fields: &UnknownFields, path: &str) -> Vec<u8> {
        let mut value = Vec::new();
        fields.append(path, &mut value);
        value
    }

    #[test]
    fn fields_are_kept_while_a_listing_is_read_and_then_only_if_it_has_them() {
        let mut fields = UnknownFields::default();
        fields.remember("servers/a", Bytes::from_static(b"a"));
        fields.remember("servers/b", Bytes::from_static(b"b"));
        fields.begin_listing();
        fields.begin_listing(); // the first one was not read to its end
        fields.remember("servers/b", Bytes::from_static(b"c"));
        assert_eq!(
            (value(&fields, "servers/a"), value(&fields, "servers/b")),
            (b"a".to_vec(), b"c".to_vec())
        );
        fields.end_listing();
        assert_eq!((value(&fields, "servers/a"), value(&fields, "servers/b")), (Vec::new(), b"c".to_vec()));
    }
}
