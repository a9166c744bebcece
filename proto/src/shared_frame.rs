//! A frame of the routing stream that is encoded once and sent to many edges.
//!
//! On the wire it is a `usher.v1.StreamRoutesResponse`. A sender builds it from encoded bytes; a receiver reads it as
//! the generated message.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};

use super::v1::StreamRoutesResponse;

/// A `StreamRoutesResponse`: encoded to be sent, or decoded after it was received.
#[derive(Debug, Clone, PartialEq)]
pub enum SharedFrame {
    /// The encoded message to send. Clones share the bytes.
    Encoded(Bytes),
    /// The received message, decoded.
    Decoded(StreamRoutesResponse),
}

impl Default for SharedFrame {
    fn default() -> Self {
        Self::Decoded(StreamRoutesResponse::default())
    }
}

impl SharedFrame {
    /// Returns a frame of a message, which is encoded once for any number of receivers.
    pub fn encode_once(message: &StreamRoutesResponse) -> Self {
        Self::Encoded(message.encode_to_vec().into())
    }

    /// Returns the message.
    ///
    /// # Errors
    /// The bytes are not a `StreamRoutesResponse`.
    pub fn into_message(self) -> Result<StreamRoutesResponse, DecodeError> {
        match self {
            Self::Encoded(bytes) => StreamRoutesResponse::decode(bytes),
            Self::Decoded(message) => Ok(message),
        }
    }
}

impl Message for SharedFrame {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        match self {
            Self::Encoded(bytes) => buf.put_slice(bytes),
            Self::Decoded(message) => message.encode_raw(buf),
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if let Self::Encoded(bytes) = self {
            *self = Self::Decoded(StreamRoutesResponse::decode(std::mem::take(bytes))?);
        }
        match self {
            Self::Decoded(message) => message.merge_field(tag, wire_type, buf, ctx),
            Self::Encoded(_) => Ok(()),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Decoded(message) => message.encoded_len(),
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Heartbeat, Revision, stream_routes_response::Message as Body};

    #[test]
    fn an_encoded_frame_reads_as_the_message_it_was_made_of() {
        let message = StreamRoutesResponse {
            message: Some(Body::Heartbeat(Heartbeat {
                revision: Some(Revision { epoch: 7, seq: 9 }),
                digest: 11,
            })),
        };
        let sent = SharedFrame::encode_once(&message).encode_to_vec();
        assert_eq!(SharedFrame::decode(&*sent).and_then(SharedFrame::into_message), Ok(message));
    }
}
