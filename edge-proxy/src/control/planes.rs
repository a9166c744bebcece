//! The control planes an edge may ask: one lazy connection each, the bearer token, trace context.

use std::time::Duration;

use rand::seq::SliceRandom;
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use usher_bbb::secret::Secret;
use usher_runtime::telemetry;

/// Longest time to connect to a control plane.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time after which a silent connection is probed, also while nothing is asked: a network that
/// swallows everything is to be noticed before a request finds out.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longest wait for a probe's answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// HTTP/2 windows: snapshots are large, and the default of 64 KiB would stall them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// An address or token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlanesError {
    /// No address at all.
    #[error("no control plane is configured")]
    None,
    /// Not an `http://` or `https://` address.
    #[error("control plane address `{address}`")]
    Address {
        /// As configured.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The token has characters that no header may have.
    #[error("the admin token cannot be sent")]
    Token,
}

/// A connection that signs each request.
pub type PlaneConnection = InterceptedService<Channel, PlaneCredentials>;

/// Adds the bearer token and the trace context to each request.
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
    /// Its address, for people.
    pub address: String,
    /// The connection to it, made when first used.
    pub connection: PlaneConnection,
}

/// Every control plane, in an order of this edge's own.
#[derive(Clone, Debug)]
pub struct ControlPlanes(Vec<ControlPlane>);

impl ControlPlanes {
    /// Prepares a connection to each address, in random order; nothing is connected yet.
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

    /// Never true: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns one by its place in the order, which goes round.
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
