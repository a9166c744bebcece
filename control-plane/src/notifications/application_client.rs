//! Applications over HTTP. Each attempt is signed anew and has a deadline. Addresses that
//! [`AllowedAddresses`] refuses, and the fleet's own edges, are never called. The addresses of a name
//! are checked for each connection, and the connection goes to exactly the checked ones; redirects
//! are followed here, and checked like the first address.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Method, StatusCode, header};
use reqwest::{
    Response,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    callback::{MARK_HEADER, jwt, webhook},
    settings::CallbackSettings,
};
use usher_runtime::{names::NameResolver, pending::PendingCalls};

use crate::notifications::{
    ports::{ApplicationCalls, DeliveryResult, OutgoingCallback},
    rules::delivery::{DeliveryForm, TryOutcome, address::AllowedAddresses, target},
};

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest number of redirects that one attempt follows.
const REDIRECTS: usize = 3;

/// Recognizes addresses that lead to the fleet's own edges.
#[derive(Clone)]
pub struct OwnAddressCheck(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl OwnAddressCheck {
    /// Returns a check that calls `leads` with each address.
    pub fn new(leads: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(leads))
    }
}

impl fmt::Debug for OwnAddressCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeadsHome")
    }
}

/// Client that calls applications; clones share its connections.
#[derive(Debug, Clone)]
pub struct ApplicationClient {
    http: reqwest::Client,
    allowed: Arc<AllowedAddresses>,
    leads_home: OwnAddressCheck,
    timeout: Duration,
    hook_checksum: ChecksumAlgorithm,
    pending: PendingCalls,
}

/// The address is not allowed for callbacks.
#[derive(Debug, thiserror::Error)]
#[error("the address is not public, and callbacks.allow does not list it")]
struct ForbiddenAddress;

/// Resolves names, and returns the allowed addresses only. The addresses are checked for each
/// connection, whether they were resolved now or before.
struct CheckedResolver {
    names: NameResolver,
    allowed: Arc<AllowedAddresses>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, allowed) = (self.names.clone(), Arc::clone(&self.allowed));
        Box::pin(async move {
            let found = names.resolve(name.as_str()).await?;
            let good = found.iter().filter(|address| allowed.permits(**address));
            let good: Vec<SocketAddr> = good.map(|address| SocketAddr::new(*address, 0)).collect();
            if good.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

impl ApplicationClient {
    /// Builds the client.
    ///
    /// # Errors
    /// TLS cannot be set up, for example because the machine has no certificate authorities.
    pub fn new(
        settings: &CallbackSettings,
        allowed: AllowedAddresses,
        leads_home: OwnAddressCheck,
        pending: PendingCalls,
    ) -> Result<Self, reqwest::Error> {
        let allowed = Arc::new(allowed);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(CheckedResolver { names: NameResolver::system(), allowed: Arc::clone(&allowed) })
            .referer(false)
            .no_proxy() // a proxy would resolve the name anew
            .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let hook_checksum = settings.hook_checksum;
        Ok(Self { http, allowed, leads_home, timeout: settings.timeout, hook_checksum, pending })
    }

    /// Attempts each secret in turn: an application that answers 401 may have another secret.
    async fn attempt(&self, parcel: &OutgoingCallback) -> DeliveryResult {
        let secrets: Vec<Option<&Secret>> = match parcel.form {
            DeliveryForm::Get => vec![None],
            DeliveryForm::SignedForm | DeliveryForm::BearerJson | DeliveryForm::Webhook => {
                parcel.secrets.iter().map(Some).collect()
            }
        };
        let mut last = failed(TryOutcome::Failed, "the tenant has no secret to sign with");
        let of_status = |status| of_status(status, parcel.form);
        for secret in secrets {
            match self.send(parcel, secret).await {
                Ok(status) if status == StatusCode::UNAUTHORIZED => last = of_status(status),
                Ok(status) => return of_status(status),
                Err(problem) => return problem,
            }
        }
        last
    }

    async fn send(
        &self,
        parcel: &OutgoingCallback,
        secret: Option<&Secret>,
    ) -> Result<StatusCode, DeliveryResult> {
        let bad = |what: &str| failed(TryOutcome::Failed, what);
        let address = match (parcel.form, secret) {
            // Where this redirects to is the application's choice and is called as it is.
            (DeliveryForm::Webhook, Some(secret)) => {
                let form = std::str::from_utf8(&parcel.body).map_err(|_| bad("the form is no text"))?;
                webhook::signed_url(self.hook_checksum, &parcel.url, form, secret)
            }
            _ => parcel.url.clone(),
        };
        let mut url = Url::parse(&address).map_err(|_| bad("the address is no URL"))?;
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let request =
                request(&self.http, &url, parcel, secret).ok_or_else(|| bad("it cannot be signed"))?;
            let response = request.send().await.map_err(of_error)?;
            match redirected(&url, &response, parcel.form) {
                Some(next) => url = next,
                None => return Ok(response.status()),
            }
        }
        Err(bad("the application redirects too often"))
    }

    /// Checks an address. A literal address is checked here, because no resolver sees it. An
    /// address of the fleet's own edges fails for this delivery only: other deliveries may reach
    /// the same application.
    fn check(&self, url: &Url) -> Result<(), DeliveryResult> {
        if (self.leads_home.0)(url.as_str()) {
            return Err(failed(TryOutcome::Failed, "the address leads to Usher itself"));
        }
        let written = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) => None,
            None => return Err(failed(TryOutcome::Failed, "the address names no host")),
        };
        match written {
            Some(address) if !self.allowed.permits(address) => {
                Err(failed(TryOutcome::Down, &ForbiddenAddress.to_string()))
            }
            _ if !matches!(url.scheme(), "http" | "https") => {
                Err(failed(TryOutcome::Failed, "the address is neither http nor https"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ApplicationCalls for ApplicationClient {
    async fn deliver(&self, parcel: &OutgoingCallback) -> DeliveryResult {
        let _pending = self.pending.enter(format!("application {}", target(&parcel.url)), "callback");
        timeout_at(Instant::now() + self.timeout, self.attempt(parcel))
            .await
            .unwrap_or_else(|_| failed(TryOutcome::Down, &format!("no answer within {:?}", self.timeout)))
    }
}

fn request(
    http: &reqwest::Client,
    url: &Url,
    parcel: &OutgoingCallback,
    secret: Option<&Secret>,
) -> Option<reqwest::RequestBuilder> {
    let request = match (parcel.form, secret) {
        (DeliveryForm::Get, _) => http.request(Method::GET, url.clone()),
        (DeliveryForm::SignedForm, Some(secret)) => {
            let claims = serde_json::from_slice(&parcel.body).ok()?;
            let token = jwt::sign_claims(&claims, secret).ok()?;
            http.request(Method::POST, url.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(format!("signed_parameters={token}")) // base64url and dots need no encoding
        }
        (DeliveryForm::BearerJson, Some(secret)) => http
            .request(Method::POST, url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "BigBlueButton Analytics Callback")
            .bearer_auth(jwt::bearer(parcel.now_ms, secret).ok()?)
            .body(parcel.body.clone()),
        (DeliveryForm::Webhook, Some(_)) => http
            .request(Method::POST, url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(parcel.body.clone()),
        (DeliveryForm::SignedForm | DeliveryForm::BearerJson | DeliveryForm::Webhook, None) => return None,
    };
    let marked = !parcel.mark.is_empty();
    Some(if marked { request.header(MARK_HEADER, parcel.mark.as_str()) } else { request })
}

/// Returns where a redirect leads. A POST is sent again only where the answer says so.
fn redirected(url: &Url, response: &Response, form: DeliveryForm) -> Option<Url> {
    let follows = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => form == DeliveryForm::Get,
        _ => false,
    };
    let location = response.headers().get(header::LOCATION).filter(|_| follows)?;
    url.join(location.to_str().ok()?).ok()
}

fn of_status(status: StatusCode, form: DeliveryForm) -> DeliveryResult {
    let outcome = match status.as_u16() {
        // An application that refuses the signature of a webhook gets it no second time, as from
        // bbb-webhooks.
        401 if form == DeliveryForm::Webhook => TryOutcome::Refused,
        200..=299 => TryOutcome::Taken,
        410 => TryOutcome::Refused,
        429 | 502..=504 => TryOutcome::Down,
        _ => TryOutcome::Failed,
    };
    failed(outcome, &format!("HTTP status {}", status.as_u16()))
}

/// Describes an error by its innermost cause, which never contains the URL.
fn of_error(error: reqwest::Error) -> DeliveryResult {
    let timeout = error.is_timeout();
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    failed(TryOutcome::Down, &if timeout { "timed out".to_owned() } else { cause.to_string() })
}

fn failed(outcome: TryOutcome, reason: &str) -> DeliveryResult {
    DeliveryResult { outcome, reason: reason.to_owned() }
}
