//! The credentials of every call.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};
use usher_bbb::secret::Secret;
use usher_runtime::telemetry;

use crate::exit::CommandFailure;

/// Adds the bearer token and the trace context of the command to each call.
#[derive(Clone)]
pub struct CallCredentials(Option<MetadataValue<Ascii>>);

impl CallCredentials {
    /// Returns credentials with this token, or without one.
    ///
    /// # Errors
    /// No header can carry the token.
    pub fn new(token: Option<&Secret>) -> Result<Self, CommandFailure> {
        let Some(token) = token else { return Ok(Self(None)) };
        let mut bearer =
            MetadataValue::try_from(format!("Bearer {}", token.expose().trim())).map_err(|_| {
                CommandFailure::Usage("the token holds characters that a header cannot carry".into())
            })?;
        bearer.set_sensitive(true);
        Ok(Self(Some(bearer)))
    }
}

impl Interceptor for CallCredentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        telemetry::inject_metadata(request.metadata_mut());
        Ok(request)
    }
}
