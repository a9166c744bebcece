//! The bytes of answers on their way to clients: a client that reads slowly holds a long list for minutes.

use bytes::Bytes;
use futures::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;

use crate::{
    core::admission::{ByteHolder, OverByteBudget},
    server::transport::HttpResponse,
};

/// The bytes of an answer, with their part of the budget.
struct HeldAnswer {
    bytes: Bytes,
    _holder: ByteHolder,
}

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes the bytes of an answer from the budget until the answer is sent.
///
/// # Errors
/// The owner may not have them now.
pub(in crate::server) fn held(
    response: HttpResponse,
    mut holder: ByteHolder,
) -> Result<HttpResponse, OverByteBudget> {
    let size = response.body().size_hint().lower();
    holder.add(usize::try_from(size).unwrap_or(usize::MAX))?;
    if !holder.is_counted() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // The body is whole in memory, so that it is there at once.
    let bytes = body.collect().now_or_never().and_then(Result::ok).unwrap_or_default().to_bytes();
    let bytes = Bytes::from_owner(HeldAnswer { bytes, _holder: holder });
    Ok(HttpResponse::from_parts(parts, bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::admission::{ByteBudget, ByteOwner};

    #[test]
    fn an_answer_holds_its_bytes_until_it_is_dropped() {
        let budget = ByteBudget::new(1 << 20);
        let answer = |size: usize| HttpResponse::new(Bytes::from(vec![b'x'; size]).into());
        let held_answer = held(answer(300 << 10), budget.holder(ByteOwner::Fleet)).unwrap();
        assert!(budget.held() >= 284 << 10);
        assert!(held(answer(300 << 10), budget.holder(ByteOwner::Fleet)).is_err());
        assert!(held(answer(1 << 10), budget.holder(ByteOwner::Fleet)).is_ok());
        let body = held_answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!((body.len(), body[0]), (300 << 10, b'x'));
        drop(body);
        assert_eq!(budget.held(), 0);
    }
}
