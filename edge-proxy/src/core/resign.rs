//! Changes a request that the tenant signed into one that is signed for a server. Unchanged
//! parameters keep their bytes and their order.

use usher_bbb::{
    call::ApiCall,
    checksum::{sign, sign_from},
    query::EditedParameters,
};
use usher_model::routing::ServerRoute;

/// The longest URL of a call to a server, in bytes. Longer parameters go into a form.
const URL_MAX: usize = 6 << 10;

/// A call as it is sent to a server.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingCall {
    /// The complete URL, checksum included.
    pub url: String,
    /// The parameters as a form, if they do not fit into the URL.
    pub form: Option<String>,
}

impl std::fmt::Debug for OutgoingCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingCall").finish_non_exhaustive() // the URL gives access to the server
    }
}

/// The space for the checksum that follows the parameters, in bytes.
const ROOM_FOR_CHECKSUM: usize = 138;

/// Returns the URL of a join. The parameters are written into it once, and signed in the same
/// allocation.
pub fn join_url(server: &ServerRoute, parameters: &EditedParameters<'_>) -> String {
    url(server, ApiCall::Join, parameters.length_max(), |url| parameters.push_to(url))
}

/// Returns a call that has its own body, so that all parameters are in the URL.
pub fn in_url(server: &ServerRoute, call: ApiCall, parameters: &str) -> OutgoingCall {
    let url = url(server, call, parameters.len(), |url| url.push_str(parameters));
    OutgoingCall { url, form: None }
}

/// Returns a call without its own body: a GET, or a form if the URL would be too long. The checksum
/// of a form covers the empty query, which old and new servers accept.
pub fn outgoing(server: &ServerRoute, call: ApiCall, parameters: &str) -> OutgoingCall {
    let checksum = "&checksum=".len() + server.algorithm.hex_len();
    let length = server.url.len() + call.name().len() + 1 + parameters.len() + checksum;
    if length <= URL_MAX || !call.accepts_method(&http::Method::POST) {
        return in_url(server, call, parameters);
    }
    let checksum = sign(server.algorithm, call.name(), "", &server.secret);
    OutgoingCall {
        url: format!("{}{}?checksum={checksum}", server.url, call.name()),
        form: Some(parameters.to_owned()),
    }
}

/// Returns the signed URL of a call with the parameters that `push` appends, at most `length` bytes.
fn url(server: &ServerRoute, call: ApiCall, length: usize, push: impl FnOnce(&mut String)) -> String {
    let base = server.url.len() + call.name().len() + 1;
    let mut url = String::with_capacity(base + length + ROOM_FOR_CHECKSUM);
    url.push_str(&server.url);
    url.push_str(call.name());
    url.push('?');
    push(&mut url);
    sign_from(server.algorithm, call.name(), url, base, &server.secret)
}

#[cfg(test)]
mod tests {
    use usher_bbb::{
        checksum::{ChecksumAlgorithm, verify},
        query::{ParameterList, RawQuery},
        secret::Secret,
    };
    use usher_model::{
        id::ServerId,
        server::{AdminState, Health},
    };

    use super::*;

    fn server() -> ServerRoute {
        ServerRoute {
            id: ServerId::parse("a").unwrap(),
            url: "https://a.test/bigbluebutton/api/".into(),
            secret: Secret::new("server secret"),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha512,
        }
    }

    #[test]
    fn everything_but_the_checksum_stays_as_it_came() {
        let parameters = "&name=J%c3%bcrgen+x%20y&meetingID=a&meetingID=b&welcome=&x='|'";
        let list = ParameterList::parse(parameters, 10).unwrap();
        let url = join_url(&server(), &list.edited());
        let (base, query) = url.split_once('?').unwrap();
        assert_eq!(base, "https://a.test/bigbluebutton/api/join");
        let signed = RawQuery::new(query).take_checksum().unwrap();
        assert_eq!(signed.query, parameters);
        assert!(verify("join", parameters, &signed.checksum, [&server().secret]));
    }

    #[test]
    fn a_call_that_is_too_long_becomes_a_form_signed_over_the_empty_query() {
        let parameters = format!("meetingID=a&welcome={}", "x".repeat(URL_MAX));
        let long = outgoing(&server(), ApiCall::Create, &parameters);
        let query = long.url.split_once('?').unwrap().1;
        let checksum = query.strip_prefix("checksum=").unwrap();
        assert!(verify("create", "", checksum, [&server().secret]));
        assert_eq!(long.form.as_deref(), Some(parameters.as_str()));
        assert_eq!(outgoing(&server(), ApiCall::SendChatMessage, &parameters).form, None, "GET only");
    }
}
