//! The token with which a server signs each request of an upload: a JWT (HS256) with the server's own secret, for one
//! path and for ten minutes at most.

use usher_model::{callback::jwt, routing::ServerRoute};

/// The longest validity of a token, and the allowance for the difference of clocks, seconds.
const VALID_MAX: f64 = 600.0;
const CLOCKS_DIFFER: f64 = 60.0;

/// The reason why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// No server's secret signed it, or it has expired.
    #[error(
        "no server of the fleet signed the token, or it has expired; compare the secret and the clock of the server"
    )]
    Unsigned,
    /// It has no expiry, or one that is too late.
    #[error("the token must expire within ten minutes (`exp`)")]
    Expiry,
    /// It was made for another path.
    #[error("the token was made for another path (`path`)")]
    Path,
}

/// Returns the server that signed a request to `path`. If several servers share the secret, the one whose host the
/// token names (`iss`) is returned, else the first by id.
///
/// # Errors
/// The token is not valid for the request.
pub fn signer<'s>(
    token: &str,
    path: &str,
    servers: impl IntoIterator<Item = &'s ServerRoute>,
    now_ms: u64,
) -> Result<&'s ServerRoute, TokenRefusal> {
    let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let signed = |server: &ServerRoute| jwt::verify(token, [&server.secret], now).ok();
    let mut signers = servers.into_iter().filter_map(|server| Some((server, signed(server)?)));
    let (first, claims) = signers.next().ok_or(TokenRefusal::Unsigned)?;
    let expiry = claims.get("exp").and_then(serde_json::Value::as_f64).ok_or(TokenRefusal::Expiry)?;
    if expiry > now_ms as f64 / 1000.0 + VALID_MAX + CLOCKS_DIFFER {
        return Err(TokenRefusal::Expiry);
    }
    let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    if text("path") != Some(path) {
        return Err(TokenRefusal::Path);
    }
    let Some(host) = text("iss") else { return Ok(first) };
    let named = std::iter::once(first).chain(signers.map(|(server, _)| server));
    Ok(named.into_iter().find(|server| host_of(&server.url) == Some(host)).unwrap_or(first))
}

/// Returns the host of an address, without scheme, port and path.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
    use usher_model::{
        id::ServerId,
        server::{AdminState, Health},
    };

    use super::*;

    const PATH: &str = "/usher/recordings/offers";
    const NOW_MS: u64 = 1_700_000_000_000;

    fn server(id: &str, secret: &str) -> ServerRoute {
        ServerRoute {
            id: ServerId::parse(id).expect("is an id"),
            url: format!("https://{id}.example.org/bigbluebutton/api/"),
            secret: Secret::new(secret),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha256,
        }
    }

    fn token(secret: &str, claims: &Value) -> String {
        let claims: Map<String, Value> = claims.as_object().expect("is an object").clone();
        jwt::sign_claims(&claims, &Secret::new(secret)).expect("signs")
    }

    #[test]
    fn a_token_names_its_signer_for_one_path_and_a_short_time() {
        let servers = [server("a", "one"), server("b", "two"), server("c", "two")];
        let now = NOW_MS / 1000;
        let found = |token: &str| signer(token, PATH, &servers, NOW_MS).map(|server| server.id.to_string());
        let sign = |secret: &str, claims: Value| found(&token(secret, &claims));
        assert_eq!(sign("one", json!({"path": PATH, "exp": now + 500})), Ok("a".into()));
        assert_eq!(sign("two", json!({"path": PATH, "exp": now + 500})), Ok("b".into()));
        let named = json!({"path": PATH, "exp": now + 500, "iss": "c.example.org"});
        assert_eq!(sign("two", named), Ok("c".into()));
        let stranger = json!({"path": PATH, "exp": now + 500, "iss": "a.example.org"});
        assert_eq!(sign("two", stranger), Ok("b".into()), "a host alone proves nothing");
        assert_eq!(sign("three", json!({"path": PATH, "exp": now + 500})), Err(TokenRefusal::Unsigned));
        assert_eq!(sign("one", json!({"path": PATH, "exp": now - 500})), Err(TokenRefusal::Unsigned));
        assert_eq!(sign("one", json!({"path": PATH})), Err(TokenRefusal::Expiry));
        assert_eq!(sign("one", json!({"path": PATH, "exp": now + 5000})), Err(TokenRefusal::Expiry));
        assert_eq!(sign("one", json!({"path": "/other", "exp": now + 500})), Err(TokenRefusal::Path));
    }
}
