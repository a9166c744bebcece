//! The form of a webhook event and its signature: both forms that servers send, and the one form that
//! applications get (wire-contract 6).

use serde_json::Value;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use usher_bbb::{
    checksum::{self, ChecksumAlgorithm},
    query::RawQuery,
    secret::Secret,
};

/// The form that a server posts.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookPost {
    /// Domain of the server, as the server names itself.
    pub domain: String,
    /// JSON array of events, unchanged.
    pub events: String,
    /// Time of the first attempt, milliseconds since 1970, in the text of the server.
    pub timestamp: String,
}

/// The proof that an event comes from the server.
#[derive(Clone, Copy)]
pub enum WebhookProof<'p> {
    /// Parameter `checksum` in the query.
    Checksum(&'p str),
    /// Header `Authorization: Bearer` with the secret itself (`auth2_0`).
    Bearer(&'p str),
}

impl WebhookPost {
    /// Reads the form of a POST.
    pub fn read(form: &str) -> Option<Self> {
        let query = RawQuery::new(form);
        let field = |name: &str| query.first(name).map(std::borrow::Cow::into_owned);
        Some(Self {
            domain: field("domain").unwrap_or_default(),
            events: field("event")?,
            timestamp: field("timestamp").unwrap_or_default(),
        })
    }

    /// Returns the form for applications, in the field order of bbb-webhooks 3.
    pub fn form(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("domain", &self.domain)
            .append_pair("event", &self.events)
            .append_pair("timestamp", &self.timestamp)
            .finish()
    }

    /// Returns the JSON text that bbb-webhooks 2 signs in place of the form.
    fn signed_by_2(&self) -> String {
        let text = |text: &str| Value::from(text).to_string();
        format!(
            r#"{{"event":{},"timestamp":{},"domain":{}}}"#,
            text(&self.events),
            self.timestamp,
            text(&self.domain)
        )
    }
}

/// Tells whether the proof is valid for `secret`, for `form` posted to `url`. `url` is the address as it was
/// registered.
pub fn verify(url: &str, form: &str, posted: &WebhookPost, proof: WebhookProof<'_>, secret: &Secret) -> bool {
    match proof {
        WebhookProof::Bearer(given) => given.as_bytes().ct_eq(secret.expose().as_bytes()).into(),
        // The hash covers address, form and secret in this order, as that of a call covers call, query and secret.
        WebhookProof::Checksum(given) => {
            checksum::verify(url, form, given, [secret])
                || checksum::verify(url, &posted.signed_by_2(), given, [secret])
        }
    }
}

/// Returns the URL for the delivery of `form` to an application, with its checksum.
pub fn signed_url(algorithm: ChecksumAlgorithm, url: &str, form: &str, secret: &Secret) -> String {
    let address = url.split_once('#').map_or(url, |(address, _)| address);
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}checksum={}", checksum::sign(algorithm, url, form, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of wire-contract 6.
    const URL: &str = "https://app.example.org/hook?x=1";
    const FORM: &str = "domain=bbb1.example.org&event=%5B%7B%22data%22%3A%7B%22type%22%3A%22event%22%2C%22id%22%3A%22meeting-ended%22%2C%22attributes%22%3A%7B%22meeting%22%3A%7B%22internal-meeting-id%22%3A%220a1b%22%2C%22external-meeting-id%22%3A%22room-42%22%7D%7D%2C%22event%22%3A%7B%22ts%22%3A1700000000000%7D%7D%7D%5D&timestamp=1700000000123";
    const SHA1: &str = "b6d706b257037a0cfa40d8adf2b2a6d091b7ddf4";

    fn secret() -> Secret {
        Secret::new("lb-Secret.0123456789ABCDEFabcdef")
    }

    #[test]
    fn the_form_and_the_checksum_are_those_of_version_3() {
        let posted = WebhookPost::read(FORM).expect("is a form");
        assert_eq!(posted.form(), FORM, "byte for byte");
        let signed = signed_url(ChecksumAlgorithm::Sha1, URL, FORM, &secret());
        assert_eq!(signed, format!("{URL}&checksum={SHA1}"));
        assert!(verify(URL, FORM, &posted, WebhookProof::Checksum(SHA1), &secret()));
        assert!(!verify(URL, FORM, &posted, WebhookProof::Checksum(SHA1), &Secret::new("another")));
        assert!(!verify(
            "https://app.example.org/hook",
            FORM,
            &posted,
            WebhookProof::Checksum(SHA1),
            &secret()
        ));
        for algorithm in ChecksumAlgorithm::ALL {
            let signed = signed_url(algorithm, "https://app.test/cb#x", FORM, &secret());
            let checksum = signed.strip_prefix("https://app.test/cb?checksum=").expect("has no fragment");
            assert!(verify(
                "https://app.test/cb#x",
                FORM,
                &posted,
                WebhookProof::Checksum(checksum),
                &secret()
            ));
        }
    }

    #[test]
    fn version_2_signs_json_and_not_the_form() {
        let event = r#"[{"data":{"id":"user-joined","name":"J\"ürgen\n"}}]"#;
        let text = serde_json::Value::from(event).to_string();
        let signed = format!(r#"{{"event":{text},"timestamp":1700000000123,"domain":"bbb1"}}"#);
        let checksum = checksum::sign(ChecksumAlgorithm::Sha1, URL, &signed, &secret());
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("event", event)
            .append_pair("timestamp", "1700000000123")
            .append_pair("domain", "bbb1")
            .finish();
        let posted = WebhookPost::read(&form).expect("is a form");
        assert!(verify(URL, &form, &posted, WebhookProof::Checksum(&checksum), &secret()));
        let later = WebhookPost { timestamp: "1700000000124".into(), ..posted.clone() };
        assert!(!verify(URL, &form, &later, WebhookProof::Checksum(&checksum), &secret()));
    }

    #[test]
    fn a_bearer_is_exactly_the_secret() {
        let posted = WebhookPost::read(FORM).expect("is a form");
        let proves = |given: &str| verify(URL, FORM, &posted, WebhookProof::Bearer(given), &secret());
        assert!(proves("lb-Secret.0123456789ABCDEFabcdef"));
        for given in ["", "lb-Secret", "lb-Secret.0123456789ABCDEFabcdeF"] {
            assert!(!proves(given));
        }
    }

    #[test]
    fn a_form_without_an_event_is_none() {
        assert!(WebhookPost::read("domain=x&timestamp=1").is_none() && WebhookPost::read("").is_none());
    }
}
