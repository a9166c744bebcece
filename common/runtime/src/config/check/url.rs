//! The rule of URLs in settings.

use ::url::Url;

/// Refuses a URL with user and password, because settings with URLs are printed unmasked.
pub(super) fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}
