//! One endpoint of etcd: its client, the token of its user, and the certificates on disk.
//!
//! The client is made at the first call and made anew when a certificate changed on disk. A token is
//! requested when a call is refused because it lacks a valid one; a call that was
//! refused so is certainly not done. While etcd's authentication is off, calls carry no token.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcd_client::{Client, Error};
use tokio::sync::watch;
use tracing::warn;
use usher_model::settings::StoreSettings;
use usher_runtime::clock;

use super::{
    auth_failure::{is_switched_off, wants_token},
    connect::{FileVersions, options},
};

/// Interval at which the certificates on disk are looked at, while calls succeed.
const LOOK: Duration = Duration::from_secs(5);

/// Number of the current token; it is locked while another one is requested.
type TokenNumber = Arc<tokio::sync::Mutex<u64>>;

/// A client with the number of the token that its calls carry.
pub(super) struct EndpointClient {
    pub(super) client: Client,
    token: u64,
    tokens: TokenNumber,
}

impl EndpointClient {
    async fn new((client, tokens): (Client, TokenNumber)) -> Self {
        let token = *tokens.lock().await;
        Self { client, token, tokens }
    }
}

struct Connected {
    client: Client,
    tokens: TokenNumber,
    /// The state of the files from which the client was made.
    files: FileVersions,
    looked_at: Instant,
}

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) url: String,
    settings: Arc<StoreSettings>,
    connected: Mutex<Option<Connected>>,
    /// Serializes the making of clients.
    making: tokio::sync::Mutex<()>,
    /// Whether the log says that etcd's authentication is off.
    said_off: Arc<AtomicBool>,
    /// Whether a call was ever answered.
    has_answered: AtomicBool,
    /// Whether a call failed since the last answer of any endpoint.
    has_failed: AtomicBool,
    /// Number of times that another endpoint answered after this one failed; a watch on this
    /// endpoint ends when it grows.
    failures: watch::Sender<u64>,
}

impl Endpoint {
    /// Takes the address and the settings of its cluster. `said_off` is shared by the endpoints of
    /// a cluster.
    pub(super) fn new(url: String, settings: Arc<StoreSettings>, said_off: Arc<AtomicBool>) -> Self {
        Self {
            url,
            settings,
            connected: Mutex::new(None),
            making: tokio::sync::Mutex::new(()),
            said_off,
            has_answered: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            failures: watch::Sender::new(0),
        }
    }

    /// Returns the client. A client whose certificates changed on disk is made anew.
    ///
    /// # Errors
    /// The first client cannot be made.
    pub(super) async fn client(&self) -> Result<EndpointClient, Error> {
        if let Some(current) = self.current() {
            return Ok(EndpointClient::new(current).await);
        }
        Box::pin(self.make()).await // large, and seldom needed
    }

    async fn make(&self) -> Result<EndpointClient, Error> {
        let _making = self.making.lock().await;
        if let Some(current) = self.current() {
            return Ok(EndpointClient::new(current).await);
        }
        let files = FileVersions::of(&self.settings);
        let made = match options(&self.settings, &self.url) {
            Ok(options) => Client::connect([&self.url], Some(options)).await,
            Err(error) => Err(Error::EndpointError(error.to_string())),
        };
        let client = match made {
            Ok(client) => client,
            // The files may be half written. The former client serves until they change again.
            Err(error) => {
                let former = self.former(files).ok_or(error)?;
                warn!(endpoint = self.url, "changed certificates of the store unusable, former ones kept");
                return Ok(EndpointClient::new(former).await);
            }
        };
        self.authenticate(&client).await?;
        let tokens = TokenNumber::default();
        *self.lock() = Some(Connected {
            client: client.clone(),
            tokens: Arc::clone(&tokens),
            files,
            looked_at: clock::now(),
        });
        Ok(EndpointClient::new((client, tokens)).await)
    }

    /// Requests a new token after `refused` was the error of a call, unless another call has done so
    /// since. Returns whether the call may succeed now.
    ///
    /// # Errors
    /// etcd gives no token.
    pub(super) async fn renew(&self, used: &EndpointClient, refused: &Error) -> Result<bool, Error> {
        if self.settings.user.is_none() || !wants_token(refused) {
            return Ok(false);
        }
        let mut token = used.tokens.lock().await;
        if *token == used.token {
            Box::pin(self.authenticate(&used.client)).await?;
            *token += 1;
        }
        Ok(true)
    }

    async fn authenticate(&self, client: &Client) -> Result<(), Error> {
        let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) else {
            return Ok(());
        };
        let mut client = client.clone();
        match client.update_user(Some((user.clone(), password.expose().to_owned()))).await {
            Ok(()) => {
                self.said_off.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if is_switched_off(&error) => {
                if !self.said_off.swap(true, Ordering::Relaxed) {
                    warn!("etcd's authentication is off, `store.user` is not used");
                }
                client.update_user(None).await
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Notes that another endpoint answered.
    pub(super) fn outdone(&self) {
        if self.has_failed.swap(false, Ordering::Relaxed) {
            self.failures.send_modify(|count| *count += 1);
        }
    }

    /// Returns whether an endpoint with TLS never answered, and no client certificate is set.
    pub(super) fn lacks_certificate(&self) -> bool {
        let unset = self.settings.cert.is_none() && self.url.starts_with("https:");
        unset && !self.has_answered.load(Ordering::Relaxed)
    }

    /// Notes that a call failed: the certificates are looked at before the next one.
    pub(super) fn failed(&self) {
        if let Some(connected) = self.lock().as_mut() {
            connected.looked_at = connected.looked_at.checked_sub(LOOK).unwrap_or(connected.looked_at);
        }
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Returns a receiver that wakes when another endpoint answered after this one failed.
    pub(super) fn failures(&self) -> watch::Receiver<u64> {
        self.failures.subscribe()
    }

    /// Returns the client, unless it must be made anew.
    fn current(&self) -> Option<(Client, TokenNumber)> {
        let mut lock = self.lock();
        let connected = lock.as_mut()?;
        let now = clock::now();
        if now.saturating_duration_since(connected.looked_at) >= LOOK {
            if FileVersions::of(&self.settings) != connected.files {
                return None;
            }
            connected.looked_at = now;
        }
        Some((connected.client.clone(), Arc::clone(&connected.tokens)))
    }

    /// Returns the former client, and notes that files of this version give no other one.
    fn former(&self, files: FileVersions) -> Option<(Client, TokenNumber)> {
        let mut lock = self.lock();
        let connected = lock.as_mut()?;
        (connected.files, connected.looked_at) = (files, clock::now());
        Some((connected.client.clone(), Arc::clone(&connected.tokens)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connected>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
