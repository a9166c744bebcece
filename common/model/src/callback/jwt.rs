//! The JSON Web Tokens that sign callbacks with a shared secret (wire-contract 6).

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use usher_bbb::secret::Secret;

/// The validity of the token of an analytics callback, seconds (wire-contract 6).
const BEARER_SECONDS: i64 = 24 * 60 * 60;

/// The error for a token that no secret signed, or that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not signed by anybody known, or has run out")]
pub struct BadToken;

/// Signs the claims of a recording-ready callback (HS256).
///
/// # Errors
/// The secret cannot be used as a key.
pub fn sign_claims(claims: &Map<String, Value>, secret: &Secret) -> Result<String, BadToken> {
    sign(Algorithm::HS256, claims, secret)
}

/// Returns the bearer token of an analytics callback (HS512), valid for a day from `now_ms`.
///
/// # Errors
/// The secret cannot be used as a key.
pub fn bearer(now_ms: i64, secret: &Secret) -> Result<String, BadToken> {
    sign(Algorithm::HS512, &json!({ "exp": now_ms / 1000 + BEARER_SECONDS }), secret)
}

fn sign(algorithm: Algorithm, claims: &impl serde::Serialize, secret: &Secret) -> Result<String, BadToken> {
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).map_err(|_| BadToken)
}

/// Returns the claims of a token that one of `secrets` signed, with any of the hashes. A token with an expiry
/// must not have expired; 60 s are allowed for the difference of clocks.
///
/// # Errors
/// No secret matches, or the token has expired.
pub fn verify<'s>(
    token: &str,
    secrets: impl IntoIterator<Item = &'s Secret>,
    now_ms: i64,
) -> Result<Map<String, Value>, BadToken> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    rules.required_spec_claims.clear();
    rules.validate_exp = false; // by the caller's clock, below
    rules.validate_aud = false;
    let claims = secrets
        .into_iter()
        .find_map(|secret| {
            let key = DecodingKey::from_secret(secret.expose().as_bytes());
            jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules).ok()
        })
        .ok_or(BadToken)?
        .claims;
    let until = claims.get("exp").map(|until| until.as_f64().unwrap_or(0.0));
    match until {
        Some(until) if until + 60.0 < now_ms as f64 / 1000.0 => Err(BadToken),
        _ => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of wire-contract 6; its header has only the algorithm.
    const SAMPLE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJtZWV0aW5nX2lkIjoicm9vbS00MiIsInJlY29yZF9pZCI6IjE4M2YwYmYzYTA5ODJhMTI3YmRiODE2MWUwYzQ0ZWI2OTZiM2U3NWMtMTU1NDIzMDc0OTkyMCJ9.N3I2O7DBJWJakd1hQXmWnNolvJ6rPRo9tgv-9PS_y0c";

    fn secret() -> Secret {
        Secret::new("lb-Secret.0123456789ABCDEFabcdef")
    }

    #[test]
    fn the_servers_own_tokens_verify_with_its_secret_and_no_other() {
        let claims = verify(SAMPLE, [&Secret::new("another"), &secret()], 0).expect("is signed");
        assert_eq!(claims["meeting_id"], "room-42");
        assert_eq!(verify(SAMPLE, [&Secret::new("another")], 0), Err(BadToken));
        assert_eq!(verify(SAMPLE, [], 0), Err(BadToken));
        let unsigned = format!("{}.", SAMPLE.rsplit_once('.').expect("has three parts").0);
        for forged in ["", "a.b.c", &unsigned, &SAMPLE.replace("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0")]
        {
            assert_eq!(verify(forged, [&secret()], 0), Err(BadToken));
        }
    }

    #[test]
    fn tokens_of_ours_say_the_same_and_run_out() {
        let claims = verify(SAMPLE, [&secret()], 0).expect("is signed");
        let again = sign_claims(&claims, &Secret::new("tenant")).expect("signs");
        assert_eq!(verify(&again, [&Secret::new("tenant")], 0), Ok(claims));
        let bearer = bearer(1_000_000, &secret()).expect("signs");
        let day = BEARER_SECONDS * 1000;
        assert_eq!(
            verify(&bearer, [&secret()], 1_000_000 + day).expect("is good")["exp"],
            1000 + BEARER_SECONDS
        );
        assert_eq!(verify(&bearer, [&secret()], 1_000_000 + day + 61_000), Err(BadToken));
    }
}
