//! The canonical form of the base URL of a server, and the test for two URLs of one server (ADR 21).

use url::Url;

/// The reason why a text cannot be the base URL of a BBB server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, for example `https://bbb1.example.org/bigbluebutton/api/`")]
pub struct BaseUrlError(&'static str);

/// Returns an address in the form `…/bigbluebutton/api/`. Operators write it with and without parts of the path.
pub fn base_url(text: &str) -> Result<String, BaseUrlError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BaseUrlError("is missing; give the base of the server's API"));
    }
    let Ok(mut url) = Url::parse(text) else {
        return Err(BaseUrlError("is not a URL"));
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(BaseUrlError("must begin with `https://` or `http://` and a host"));
    }
    let user = !url.username().is_empty() || url.password().is_some();
    if user || url.query().is_some() || url.fragment().is_some() {
        return Err(BaseUrlError("must end with its path, without query, fragment or user"));
    }
    let path = url.path().trim_end_matches('/');
    let path = if path.ends_with("/api") {
        format!("{path}/")
    } else if path.ends_with("/bigbluebutton") {
        format!("{path}/api/")
    } else {
        format!("{path}/bigbluebutton/api/")
    };
    url.set_path(&path);
    Ok(url.into())
}

/// Returns the place of an address. It is equal for two addresses that differ only in the scheme, in the
/// default port of the scheme, in the case of the host, in a dot after the host, or in slashes at the end.
/// Two names of one machine (`localhost` and `127.0.0.1`) are two places: only the meetings that a server
/// lists can show that both are one server (ADR 21).
pub fn place_of(url: &str) -> String {
    // The parser writes hosts in lower case and leaves out the default port of the scheme.
    let Ok(parsed) = Url::parse(url) else { return url.to_owned() };
    let host = parsed.host_str().unwrap_or_default().trim_end_matches('.');
    let path = parsed.path().trim_end_matches('/');
    parsed.port().map_or_else(|| format!("{host}{path}"), |port| format!("{host}:{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::{base_url, place_of};

    #[test]
    fn one_place_may_be_written_in_several_ways() {
        let plain = "https://bbb1.example.org/bigbluebutton/api/";
        for same in [
            plain,
            "https://BBB1.example.org/bigbluebutton/api",
            "http://bbb1.example.org/bigbluebutton/api/",
            "https://bbb1.example.org:443/bigbluebutton/api/",
            "http://bbb1.example.org:80/bigbluebutton/api//",
            "https://bbb1.example.org./bigbluebutton/api/",
        ] {
            assert_eq!(place_of(plain), place_of(same), "{same}");
        }
        for other in [
            "https://bbb2.example.org/bigbluebutton/api/",
            "https://bbb1.example.org:8443/bigbluebutton/api/",
            "https://bbb1.example.org/two/api/",
            "not a URL",
        ] {
            assert_ne!(place_of(plain), place_of(other), "{other}");
        }
    }

    #[test]
    fn every_way_to_write_an_address_means_the_same() {
        for text in
            ["", "/", "/bigbluebutton", "/bigbluebutton/", "/bigbluebutton/api", "/bigbluebutton/api/"]
        {
            let url = base_url(&format!(" https://BBB1.example.org{text}"));
            assert_eq!(url.as_deref(), Ok("https://bbb1.example.org/bigbluebutton/api/"), "{text}");
        }
        assert_eq!(base_url("http://h:81/x/api").as_deref(), Ok("http://h:81/x/api/"));
    }

    #[test]
    fn other_text_is_no_address() {
        for text in ["", "bbb1", "ftp://h/", "https://u:p@h/", "https://h/?a=b", "https://h/#x", "https://"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }
}
