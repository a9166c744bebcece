//! The ids of requests that create a resource (AIP-155, ADR 35).

use prost::Message;
use sha2::{Digest as _, Sha256};
use usher_model::request_mark::{HALF, RequestMark};

use super::status::RpcRefusal;

/// Length of the longest request id in bytes.
const LONGEST: usize = 64;

/// Returns the mark of a request with this id. A request without an id gets an id of its own, so that
/// only the repetitions inside this program are recognised.
///
/// # Errors
/// The id is too long or has other characters than an id of a request.
pub(crate) fn of<M: Message>(id: &str, request: &M) -> Result<RequestMark, RpcRefusal> {
    let is_fit = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if id.len() > LONGEST || !id.bytes().all(is_fit) {
        let problem = "is no request id: at most 64 letters, digits, `-`, `_` and `.`, for example a UUID";
        return Err(RpcRefusal::field("request_id", problem));
    }
    let own = if id.is_empty() { rand::random::<[u8; 16]>() } else { [0; 16] };
    let of_id = Sha256::new_with_prefix(own).chain_update(id);
    // Messages without maps have one encoding. The length of the digest before it separates id and content.
    let of_content = Sha256::new_with_prefix(of_id.clone().finalize()).chain_update(request.encode_to_vec());
    Ok(RequestMark { id: half(&of_id.finalize()), content: half(&of_content.finalize()) })
}

fn half(digest: &[u8]) -> [u8; HALF] {
    let mut half = [0; HALF];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    half
}

#[cfg(test)]
mod tests {
    use usher_model::request_mark::RequestRelation;
    use usher_proto::v1::CreateTenantRequest;

    use super::*;

    fn request(request_id: &str, tenant_id: &str) -> CreateTenantRequest {
        CreateTenantRequest { request_id: request_id.into(), tenant_id: tenant_id.into(), tenant: None }
    }

    fn mark(request_id: &str, tenant_id: &str) -> Option<RequestMark> {
        of(request_id, &request(request_id, tenant_id)).ok()
    }

    #[test]
    fn a_mark_is_of_one_id_and_one_content() {
        let relation = |a, b| RequestMark::relation(a, b);
        assert_eq!(relation(mark("r-1", "a"), mark("r-1", "a")), RequestRelation::Repeated);
        assert_eq!(relation(mark("r-1", "a"), mark("r-2", "a")), RequestRelation::Other);
        assert_eq!(relation(mark("r-1", "a"), mark("r-1", "b")), RequestRelation::OtherContent);
        let without_id = relation(mark("", "a"), mark("", "a"));
        assert_eq!(without_id, RequestRelation::Other, "without an id each request is its own");
        assert_eq!(mark("an id", "a"), None);
        assert_eq!(mark(&"a".repeat(65), "a"), None);
    }
}
