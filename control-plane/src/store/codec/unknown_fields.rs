//! Top-level protobuf fields of a value that this version does not know.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// The unknown fields of the values that have some, by path.
#[derive(Debug, Default)]
pub(super) struct UnknownFields {
    kept: HashMap<String, Bytes>,
}

impl UnknownFields {
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    pub(super) fn forget(&mut self, path: &str) {
        self.kept.remove(path);
    }

    pub(super) fn remember(&mut self, path: &str, fields: Bytes) {
        if fields.is_empty() {
            self.forget(path);
        } else {
            self.kept.insert(path.to_owned(), fields);
        }
    }

    /// Appends the unknown fields of `path` to a value; protobuf reads fields in any order.
    pub(super) fn append(&self, path: &str, value: &mut Vec<u8>) {
        if let Some(fields) = self.kept.get(path) {
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
