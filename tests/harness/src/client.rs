//! A small BBB client of our own: it signs without Usher's code, so that a mistake there cannot
//! hide here.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, redirect::Policy};
use sha1::Digest as _;

/// The four families that BBB knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// 40 hex digits.
    Sha1,
    /// 64 hex digits.
    Sha256,
    /// 96 hex digits.
    Sha384,
    /// 128 hex digits.
    Sha512,
}

impl Hash {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the checksum of a call.
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

/// An answer, with what a BBB client looks at.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Location`, of a redirect.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Returns the text of the first element of this name.
    pub fn text(&self, element: &str) -> Option<&str> {
        let start = self.body.find(&format!("<{element}>"))? + element.len() + 2;
        let length = self.body[start..].find(&format!("</{element}>"))?;
        Some(&self.body[start..start + length])
    }

    /// Returns the texts of all elements of this name.
    pub fn texts(&self, element: &str) -> Vec<&str> {
        let open = format!("<{element}>");
        let close = format!("</{element}>");
        let parts = self.body.split(&open).skip(1);
        parts.filter_map(|part| part.split_once(&close).map(|(text, _)| text)).collect()
    }

    /// Returns whether this is HTTP 200 with `SUCCESS`.
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.text("returncode") == Some("SUCCESS")
    }

    /// Returns the message key; empty if there is none.
    pub fn key(&self) -> &str {
        self.text("messageKey").unwrap_or_default()
    }
}

/// Calls one BBB API.
#[derive(Debug, Clone)]
pub struct BbbClient {
    http: reqwest::Client,
    address: String,
    path: String,
    host: Option<String>,
    secret: String,
    hash: Hash,
}

impl BbbClient {
    /// Returns a client of the API at `address`.
    ///
    /// # Panics
    /// When there is no TLS provider, which is a mistake of the build.
    pub fn new(address: impl std::fmt::Display, secret: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(Duration::from_mins(1))
            .build()
            .expect("a client without certificates of its own has nothing that could be wrong");
        Self {
            http,
            address: address.to_string(),
            path: "bigbluebutton/api/".to_owned(),
            host: None,
            secret: secret.to_owned(),
            hash: Hash::Sha256,
        }
    }

    /// Calls the API of a tenant, by its path.
    #[must_use]
    pub fn for_tenant(mut self, tenant: &str, secret: &str) -> Self {
        self.path = format!("{tenant}/bigbluebutton/api/");
        self.with_secret(secret)
    }

    /// Calls the API as if it were at this host.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Signs by another hash.
    #[must_use]
    pub fn with_hash(mut self, hash: Hash) -> Self {
        self.hash = hash;
        self
    }

    /// Signs with another secret.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Returns the signed URL of a call; `query` is sent as it is, the checksum last.
    pub fn url(&self, call: &str, query: &str) -> String {
        let checksum = self.hash.sign(call, query, &self.secret);
        let and = if query.is_empty() { "" } else { "&" };
        format!("http://{}/{}{call}?{query}{and}checksum={checksum}", self.address, self.path)
    }

    /// Calls with GET.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn get(&self, call: &str, query: &str) -> Result<Answer> {
        self.fetch(&self.url(call, query)).await
    }

    /// Gets any URL, without following a redirect.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn fetch(&self, url: &str) -> Result<Answer> {
        self.answer(self.http.request(Method::GET, url)).await
    }

    /// Posts a body of this type to the signed URL of a call.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn post(&self, call: &str, query: &str, content_type: &str, body: &str) -> Result<Answer> {
        let request = self.http.request(Method::POST, self.url(call, query));
        self.answer(request.header("content-type", content_type).body(body.to_owned())).await
    }

    /// Posts everything, the checksum included, as a form.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn post_form(&self, call: &str, form: &str) -> Result<Answer> {
        let checksum = self.hash.sign(call, "", &self.secret);
        let body = format!("{form}&checksum={checksum}");
        let url = format!("http://{}/{}{call}", self.address, self.path);
        let request = self.http.request(Method::POST, url);
        self.answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Creates a meeting, with ordinary passwords.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn create(&self, meeting_id: &str) -> Result<Answer> {
        self.get("create", &format!("name=Room&meetingID={meeting_id}&attendeePW=ap&moderatorPW=mp")).await
    }

    /// Creates a meeting and makes sure that it was.
    ///
    /// # Errors
    /// When it was not.
    pub async fn created(&self, meeting_id: &str) -> Result<Answer> {
        let answer = self.create(meeting_id).await?;
        ensure!(answer.is_success(), "create {meeting_id}: {} {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Asks to join as a moderator; the answer is a redirect.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn join(&self, meeting_id: &str) -> Result<Answer> {
        self.get("join", &format!("fullName=Ada&meetingID={meeting_id}&password=mp")).await
    }

    /// Joins and returns where the redirect leads.
    ///
    /// # Errors
    /// When there is none.
    pub async fn joined(&self, meeting_id: &str) -> Result<String> {
        let answer = self.join(meeting_id).await?;
        ensure!(answer.status == 302, "join {meeting_id}: {} {}", answer.status, answer.body);
        answer.location.context("a redirect has a location")
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let request = match &self.host {
            Some(host) => request.header("host", host),
            None => request,
        };
        let response = request.send().await?;
        let location = response.headers().get("location").map(|value| value.to_str().map(str::to_owned));
        let status = response.status().as_u16();
        Ok(Answer { status, location: location.transpose()?, body: response.text().await? })
    }
}
