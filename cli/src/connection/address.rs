//! The addresses of control planes, and the way to connect to one.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error};

use crate::{args::GlobalOptions, exit::CommandFailure};

/// The largest number of addresses.
const MOST: usize = 16;
/// The longest time that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An address of a control plane.
#[derive(Debug, Clone)]
pub(super) struct PlaneAddress {
    /// The URL, as messages show it.
    pub(super) url: String,
    endpoint: Endpoint,
}

impl PlaneAddress {
    /// Reads the addresses of the options, each once. `https://` trusts the CA of `--ca`, or the
    /// CAs of the system.
    ///
    /// # Errors
    /// There is none, there are more than 16, or one of them or the CA file is malformed.
    pub(super) fn all(global: &GlobalOptions) -> Result<Vec<Self>, CommandFailure> {
        let mut urls: Vec<String> = Vec::new();
        for text in global.endpoint.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        if urls.is_empty() || urls.len() > MOST {
            return Err(CommandFailure::Usage(format!("--endpoint takes 1 to {MOST} addresses")));
        }
        urls.into_iter().map(|url| Self::read(url, global)).collect()
    }

    fn read(url: String, global: &GlobalOptions) -> Result<Self, CommandFailure> {
        let malformed = |problem: String| CommandFailure::Usage(format!("--endpoint {url}: {problem}"));
        let mut endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| malformed("write it as http://HOST:9090".into()))?
            .connect_timeout(CONNECT_TIMEOUT.min(global.timeout))
            .timeout(global.timeout);
        if url.starts_with("https://") {
            let tls = match &global.ca {
                None => ClientTlsConfig::new().with_native_roots(),
                Some(path) => {
                    let pem = std::fs::read(path).map_err(|error| {
                        CommandFailure::Usage(format!("--ca {}: {error}", path.display()))
                    })?;
                    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
                }
            };
            let unfit = |error: Error| {
                malformed(format!("{}; --ca FILE names the CA of its certificate", cause(&error)))
            };
            endpoint = endpoint.tls_config(tls).map_err(unfit)?;
        }
        Ok(Self { url, endpoint })
    }

    /// Connects.
    ///
    /// # Errors
    /// The reason, for operators.
    pub(super) async fn connect(&self) -> Result<Channel, String> {
        self.endpoint.connect().await.map_err(|error| {
            let why = cause(&error);
            // Only the check of a certificate fails with a reason that another CA would change.
            let hint =
                if why.contains("certificate") { "; --ca FILE names the CA of its certificate" } else { "" };
            format!("{why}{hint}")
        })
    }
}

/// Returns the text of the innermost cause, which is the specific one: "Connection refused", not
/// "transport error".
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
