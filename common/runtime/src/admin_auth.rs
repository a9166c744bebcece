//! Access to the control port (design 11): by the token, or without one from this machine only.

use std::net::SocketAddr;

use subtle::ConstantTimeEq;
use tonic::{Request, Status, service::Interceptor};
use usher_bbb::secret::Secret;
use usher_model::settings::AdminSettings;

/// Accepts the requests that carry the token, or all requests if no token is set.
#[derive(Debug, Clone)]
pub struct AdminAuth(Option<Secret>);

/// The control port would be open to other machines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "address {0} is reachable from other machines and nothing guards it: set `admin.token`, \
     or `admin.insecure = true` if the network itself is trusted"
)]
pub struct UnguardedAddress(SocketAddr);

impl AdminAuth {
    /// Checks that the port is guarded.
    ///
    /// # Errors
    /// No token is set, the address is not loopback, and `admin.insecure` is not set.
    pub fn new(settings: &AdminSettings, control: SocketAddr) -> Result<Self, UnguardedAddress> {
        if settings.token.is_none() && !settings.insecure && !control.ip().is_loopback() {
            return Err(UnguardedAddress(control));
        }
        Ok(Self(settings.token.clone()))
    }
}

impl Interceptor for AdminAuth {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else { return Ok(request) };
        let given = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")));
        match given {
            None => Err(Status::unauthenticated("send the control port's token: `authorization: Bearer …`")),
            Some(given) if bool::from(given.trim().as_bytes().ct_eq(token.expose().as_bytes())) => {
                Ok(request)
            }
            Some(_) => Err(Status::unauthenticated("the token is not the control port's")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(token: Option<&str>, insecure: bool) -> AdminSettings {
        AdminSettings { token: token.map(Secret::new), insecure }
    }

    fn request(header: Option<&'static str>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().expect("is ascii"));
        }
        request
    }

    #[test]
    fn without_a_token_only_loopback_is_bound() {
        let (near, far) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([0, 0, 0, 0], 1)));
        assert!(AdminAuth::new(&settings(None, false), near).is_ok());
        let error = AdminAuth::new(&settings(None, false), far).expect_err("is refused").to_string();
        assert!(error.contains("admin.token") && error.contains("0.0.0.0"), "{error}");
        assert!(AdminAuth::new(&settings(None, true), far).is_ok());
        assert!(AdminAuth::new(&settings(Some("t"), false), far).is_ok());
    }

    #[test]
    fn only_the_token_opens_the_port() {
        let near = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut auth = AdminAuth::new(&settings(Some("s3cret"), false), near).expect("is guarded");
        assert!(auth.call(request(Some("Bearer s3cret"))).is_ok());
        for header in [None, Some("Bearer s3cre"), Some("Bearer "), Some("s3cret"), Some("Basic s3cret")] {
            assert_eq!(
                auth.call(request(header)).expect_err("is refused").code(),
                tonic::Code::Unauthenticated
            );
        }
        let mut open = AdminAuth::new(&settings(None, false), near).expect("is local");
        assert!(open.call(request(None)).is_ok());
    }
}
