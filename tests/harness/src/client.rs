//! A small BBB client that signs without Usher's code, so that an error in that code cannot hide an
//! equal error here.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, redirect::Policy};
use sha1::Digest as _;

/// The hash families that BBB accepts for checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningHash {
    /// SHA-1: 40 hex digits.
    Sha1,
    /// SHA-256: 64 hex digits.
    Sha256,
    /// SHA-384: 96 hex digits.
    Sha384,
    /// SHA-512: 128 hex digits.
    Sha512,
}

impl SigningHash {
    /// Every hash family that BBB accepts.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the checksum of a call (wire-contract 1.1).
    pub fn sign(self, call: &str, query: &str, secret: &str) -> String {
        let text = format!("{call}{query}{secret}");
        match self {
            Self::Sha1 => hex(&sha1::Sha1::digest(text)),
            Self::Sha256 => hex(&sha2::Sha256::digest(text)),
            Self::Sha384 => hex(&sha2::Sha384::digest(text)),
            Self::Sha512 => hex(&sha2::Sha512::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// An answer, with the parts that a BBB client reads.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The `Location` header of a redirect.
    pub location: Option<String>,
    /// The body as text.
    pub body: String,
}

impl HttpAnswer {
    /// Returns the text of the first element with this name.
    pub fn text(&self, element: &str) -> Option<&str> {
        let start = self.body.find(&format!("<{element}>"))? + element.len() + 2;
        let length = self.body[start..].find(&format!("</{element}>"))?;
        Some(&self.body[start..start + length])
    }

    /// Returns the texts of all elements with this name.
    pub fn texts(&self, element: &str) -> Vec<&str> {
        let open = format!("<{element}>");
        let close = format!("</{element}>");
        let parts = self.body.split(&open).skip(1);
        parts.filter_map(|part| part.split_once(&close).map(|(text, _)| text)).collect()
    }

    /// Returns whether the answer is HTTP 200 with `SUCCESS`.
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.text("returncode") == Some("SUCCESS")
    }

    /// Returns the message key; empty if there is none.
    pub fn key(&self) -> &str {
        self.text("messageKey").unwrap_or_default()
    }
}

/// A client of one BBB API, with one secret and one hash.
#[derive(Debug, Clone)]
pub struct BbbTestClient {
    http: reqwest::Client,
    address: String,
    path: String,
    host: Option<String>,
    secret: String,
    hash: SigningHash,
}

impl BbbTestClient {
    /// Returns a client of the API at `address`.
    ///
    /// # Panics
    /// If no TLS provider is compiled in, which is an error of the build.
    pub fn new(address: impl std::fmt::Display, secret: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(Duration::from_mins(1))
            .build()
            .expect("a client without own certificates cannot fail to build");
        Self {
            http,
            address: address.to_string(),
            path: "bigbluebutton/api/".to_owned(),
            host: None,
            secret: secret.to_owned(),
            hash: SigningHash::Sha256,
        }
    }

    /// Selects the API of a tenant by its path.
    #[must_use]
    pub fn for_tenant(mut self, tenant: &str, secret: &str) -> Self {
        self.path = format!("{tenant}/bigbluebutton/api/");
        self.with_secret(secret)
    }

    /// Sends this `Host` header instead of the address.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Selects another hash for checksums.
    #[must_use]
    pub fn with_hash(mut self, hash: SigningHash) -> Self {
        self.hash = hash;
        self
    }

    /// Selects another secret for checksums.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Returns the signed URL of a call; `query` is sent unchanged, with the checksum last.
    pub fn url(&self, call: &str, query: &str) -> String {
        let checksum = self.hash.sign(call, query, &self.secret);
        let and = if query.is_empty() { "" } else { "&" };
        format!("http://{}/{}{call}?{query}{and}checksum={checksum}", self.address, self.path)
    }

    /// Makes a signed call with GET.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn get(&self, call: &str, query: &str) -> Result<HttpAnswer> {
        self.fetch(&self.url(call, query)).await
    }

    /// Requests any URL with GET, without following a redirect.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn fetch(&self, url: &str) -> Result<HttpAnswer> {
        self.answer(self.http.request(Method::GET, url)).await
    }

    /// Posts a body of this content type to the signed URL of a call.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn post(&self, call: &str, query: &str, content_type: &str, body: &str) -> Result<HttpAnswer> {
        let request = self.http.request(Method::POST, self.url(call, query));
        self.answer(request.header("content-type", content_type).body(body.to_owned())).await
    }

    /// Posts all parameters, the checksum included, as a form.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn post_form(&self, call: &str, form: &str) -> Result<HttpAnswer> {
        let checksum = self.hash.sign(call, "", &self.secret);
        let body = format!("{form}&checksum={checksum}");
        let url = format!("http://{}/{}{call}", self.address, self.path);
        let request = self.http.request(Method::POST, url);
        self.answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Requests a meeting with ordinary passwords.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn create(&self, meeting_id: &str) -> Result<HttpAnswer> {
        self.get("create", &format!("name=Room&meetingID={meeting_id}&attendeePW=ap&moderatorPW=mp")).await
    }

    /// Creates a meeting and requires success.
    ///
    /// # Errors
    /// When the answer is a refusal or incomplete.
    pub async fn created(&self, meeting_id: &str) -> Result<HttpAnswer> {
        let answer = self.create(meeting_id).await?;
        ensure!(answer.is_success(), "create {meeting_id}: {} {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Requests a join as a moderator; the answer of a success is a redirect.
    ///
    /// # Errors
    /// When no complete answer arrives.
    pub async fn join(&self, meeting_id: &str) -> Result<HttpAnswer> {
        self.get("join", &format!("fullName=Ada&meetingID={meeting_id}&password=mp")).await
    }

    /// Joins as a moderator and returns the target of the redirect.
    ///
    /// # Errors
    /// When the answer is not a redirect.
    pub async fn joined(&self, meeting_id: &str) -> Result<String> {
        let answer = self.join(meeting_id).await?;
        ensure!(answer.status == 302, "join {meeting_id}: {} {}", answer.status, answer.body);
        answer.location.context("a redirect has a location")
    }

    /// Joins as a moderator as a browser does, so that the user is present, and returns the page of
    /// the session.
    ///
    /// # Errors
    /// When the join is refused, or no complete answer arrives.
    pub async fn enter(&self, meeting_id: &str) -> Result<HttpAnswer> {
        let location = self.joined(meeting_id).await?;
        self.open(&location).await
    }

    /// Opens an address as a browser does, which follows redirects: at the page of a session the
    /// client connects, and the user is present.
    ///
    /// # Errors
    /// When a page is missing, or there are too many redirects.
    pub async fn open(&self, url: &str) -> Result<HttpAnswer> {
        const REDIRECTS: usize = 5;
        let mut page = self.fetch(url).await?;
        for _ in 0..REDIRECTS {
            let Some(next) = page.location.take() else {
                ensure!(page.status == 200, "{url}: {} {}", page.status, page.body);
                return Ok(page);
            };
            page = self.fetch(&next).await?;
        }
        bail!("{url} leads nowhere")
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<HttpAnswer> {
        let request = match &self.host {
            Some(host) => request.header("host", host),
            None => request,
        };
        let response = request.send().await?;
        let location = response.headers().get("location").map(|value| value.to_str().map(str::to_owned));
        let status = response.status().as_u16();
        Ok(HttpAnswer { status, location: location.transpose()?, body: response.text().await? })
    }
}
