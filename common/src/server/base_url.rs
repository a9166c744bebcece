//! The one form in which a server's address is kept, whatever form it was written in.

use url::Url;

/// An address that is not one of a BBB server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, for example `https://bbb1.example.org/bigbluebutton/api/`")]
pub struct BaseUrlError(&'static str);

/// Brings an address into the form `…/bigbluebutton/api/`; operators write it in several.
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

#[cfg(test)]
mod tests {
    use super::base_url;

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
    fn what_is_no_address_is_refused() {
        for text in ["", "bbb1", "ftp://h/", "https://u:p@h/", "https://h/?a=b", "https://h/#x", "https://"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }
}
