//! Conversion of settings into endpoints: addresses, certificates, user.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use usher_model::settings::StoreSettings;

/// Interval of HTTP/2 pings. etcd closes connections whose client pings more often than every 5 s,
/// so the deadlines of calls find a dead connection first.
const PING: Duration = Duration::from_secs(10);

/// Longest time to connect to one endpoint.
const CONNECT: Duration = Duration::from_secs(2);

/// The reason why the settings do not name a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The list of endpoints is empty.
    #[error("`store.endpoints` is empty")]
    NoEndpoints,
    /// An endpoint is not an address.
    #[error("`store.endpoints`: `{0}` is neither http://HOST:PORT nor https://HOST:PORT")]
    Endpoint(String),
    /// Encrypted endpoints need a CA.
    #[error("`store.ca` is needed for https endpoints")]
    NoCa,
    /// A certificate is set without its key, or the other way round.
    #[error("`store.cert` and `store.key` go together")]
    HalfIdentity,
    /// A user is set without a password, or the other way round.
    #[error("`store.user` and `store.password` go together")]
    HalfUser,
    /// A PEM file is unreadable.
    #[error("read `{path}`")]
    Pem {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// Returns the addresses of the endpoints.
///
/// # Errors
/// The settings are contradictory, or a certificate is unreadable.
pub(super) fn endpoints(settings: &StoreSettings) -> Result<Vec<String>, ConnectError> {
    if settings.endpoints.is_empty() {
        return Err(ConnectError::NoEndpoints);
    }
    if settings.user.is_some() != settings.password.is_some() {
        return Err(ConnectError::HalfUser);
    }
    tls(settings)?;
    let urls = settings.endpoints.iter();
    urls.map(|url| options(settings, url).map(|_| url.trim_end_matches('/').to_owned())).collect()
}

/// Returns the options of a connection, with the certificates that are on disk now. The user is not
/// part of them, because etcd's authentication may be off.
///
/// # Errors
/// The address is none, or a certificate is unreadable.
pub(super) fn options(settings: &StoreSettings, url: &str) -> Result<ConnectOptions, ConnectError> {
    let wrong = || ConnectError::Endpoint(url.to_owned());
    let parsed: http::Uri = url.parse().map_err(|_| wrong())?;
    if parsed.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    let plain = ConnectOptions::new()
        .with_connect_timeout(CONNECT.min(settings.timeout))
        .with_keep_alive(PING, settings.timeout)
        .with_keep_alive_while_idle(false)
        // A member that is cut off from the cluster must return an error, not its old data.
        .with_require_leader(true);
    match parsed.scheme_str() {
        Some("http") => Ok(plain),
        Some("https") => Ok(plain.with_tls(tls(settings)?.ok_or(ConnectError::NoCa)?)),
        _ => Err(wrong()),
    }
}

fn tls(settings: &StoreSettings) -> Result<Option<TlsOptions>, ConnectError> {
    let identity = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => Some(Identity::from_pem(pem(cert)?, pem(key)?)),
        (None, None) => None,
        _ => return Err(ConnectError::HalfIdentity),
    };
    let Some(ca) = &settings.ca else { return Ok(None) };
    let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(pem(ca)?));
    Ok(Some(match identity {
        Some(identity) => tls.identity(identity),
        None => tls,
    }))
}

/// The versions of the files of certificates, by their times of change and lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileVersions([Option<(SystemTime, u64)>; 3]);

impl FileVersions {
    /// Looks at the files. A file that is missing for a moment is a version too.
    pub(super) fn of(settings: &StoreSettings) -> Self {
        Self([&settings.ca, &settings.cert, &settings.key].map(|path| {
            let found = fs::metadata(path.as_ref()?).ok()?;
            Some((found.modified().ok()?, found.len()))
        }))
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, ConnectError> {
    fs::read(path).map_err(|source| ConnectError::Pem { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;

    use super::*;

    fn fault(change: impl FnOnce(&mut StoreSettings)) -> String {
        let mut settings = StoreSettings::default();
        change(&mut settings);
        endpoints(&settings).map(|found| found.len()).expect_err("is refused").to_string()
    }

    #[test]
    fn errors_of_settings_name_their_keys() {
        assert!(fault(|s| s.endpoints.clear()).contains("store.endpoints"));
        for url in ["127.0.0.1:2379", "ftp://h:1", "http://", "not a url"] {
            assert!(fault(|s| s.endpoints = vec![url.into()]).contains(url));
        }
        assert!(fault(|s| s.endpoints = vec!["https://h:1".into()]).contains("store.ca"));
        assert!(fault(|s| s.cert = Some("c".into())).contains("store.key"));
        assert!(fault(|s| s.user = Some("u".into())).contains("store.password"));
        assert!(fault(|s| s.ca = Some("/nowhere.pem".into())).contains("/nowhere.pem"));
    }

    #[test]
    fn endpoints_lose_only_a_slash_at_the_end() {
        let settings = StoreSettings {
            endpoints: vec!["http://a:2379/".into(), "http://[::1]:2379".into()],
            user: Some("u".into()),
            password: Some(Secret::new("p")),
            ..Default::default()
        };
        let urls = endpoints(&settings).expect("a cluster");
        assert_eq!(urls, ["http://a:2379", "http://[::1]:2379"]);
    }
}
