//! The control planes that a program may call: one lazy connection to each, with the bearer token and
//! the trace context.

use std::time::Duration;

use rand::seq::SliceRandom;
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use usher_bbb::secret::Secret;

use crate::telemetry;

/// The longest time to connect to a control plane.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The silence after which an idle connection is probed. A network that drops all packets must be
/// noticed before a request depends on it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The longest wait for the answer to a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// The HTTP/2 window of a stream in bytes. The default of 64 KiB would stall snapshots, which are
/// large.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The reason why the control planes of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlanesError {
    /// The configuration has no address.
    #[error("no control plane is configured")]
    None,
    /// The address is not an `http://` or `https://` address.
    #[error("control plane address `{address}`")]
    Address {
        /// The address as configured.
        address: String,
        /// The parser's reason.
        #[source]
        source: tonic::transport::Error,
    },
    /// The token contains characters that a header may not contain.
    #[error("the admin token cannot be sent")]
    Token,
}

/// A connection that adds the credentials to each request.
pub type PlaneConnection = InterceptedService<Channel, PlaneCredentials>;

/// The bearer token, which is added to each request together with the trace context.
#[derive(Clone, Debug)]
pub struct PlaneCredentials(Option<MetadataValue<Ascii>>);

impl Interceptor for PlaneCredentials {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        telemetry::inject_metadata(request.metadata_mut());
        Ok(request)
    }
}

/// One control plane.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// The address, for log lines.
    pub address: String,
    /// The connection, made when it is first used.
    pub connection: PlaneConnection,
}

/// All control planes, in a random order of this program's own so that the callers spread over them.
#[derive(Clone, Debug)]
pub struct ControlPlanes(Vec<ControlPlane>);

impl ControlPlanes {
    /// Prepares a connection to each address, in random order. No connection is made yet.
    ///
    /// # Errors
    /// An address or the token cannot be used.
    pub fn new(addresses: &[String], token: Option<&Secret>) -> Result<Self, ControlPlanesError> {
        let bearer = token.map(|token| format!("Bearer {}", token.expose()).parse()).transpose();
        let mut bearer: Option<MetadataValue<Ascii>> = bearer.map_err(|_| ControlPlanesError::Token)?;
        if let Some(bearer) = &mut bearer {
            bearer.set_sensitive(true);
        }
        let credentials = PlaneCredentials(bearer);
        let mut planes = addresses
            .iter()
            .map(|address| {
                let channel = endpoint(address)
                    .map_err(|source| ControlPlanesError::Address { address: address.clone(), source })?;
                let connection = InterceptedService::new(channel.connect_lazy(), credentials.clone());
                Ok(ControlPlane { address: address.clone(), connection })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if planes.is_empty() {
            return Err(ControlPlanesError::None);
        }
        planes.shuffle(&mut rand::rng());
        Ok(Self(planes))
    }

    /// Returns the number of control planes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns false: there is at least one control plane.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the control plane at `index`, which wraps around.
    pub fn nth(&self, index: usize) -> &ControlPlane {
        &self.0[index % self.0.len()]
    }
}

fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(address.to_owned())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(PROBE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if address.starts_with("https:") {
        return endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    Ok(endpoint)
}
