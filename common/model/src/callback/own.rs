//! Recognises addresses that lead to the edges. A delivery to such an address would arrive as a callback again, so
//! an application could make Usher call itself without end.
//!
//! Only the text of an address is compared, in every form in which it can be written. A delivery through an unknown
//! host name is recognised by the mark in its header ([`super::CallbackKey::mark`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::PATH;
use usher_bbb::query::decode;

/// The default ports of http and https. They count as equal, because a host usually serves both.
const WEB: [u16; 2] = [80, 443];
/// The number of times that a path is decoded: a proxy before the edges decodes it once or twice.
const ENCODED: usize = 3;

/// The address by which servers reach the edges: `public_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddress {
    host: Place,
    port: u16,
    path: Vec<String>,
}

/// A host in the form in which hosts are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// This machine, by any of its loopback names and addresses.
    Here,
    Address(IpAddr),
    Name(String),
}

impl OwnAddress {
    /// Reads `public_url`. Returns `None` if it is no http or https address.
    pub fn parse(public_url: &str) -> Option<Self> {
        let url = Url::parse(public_url).ok()?;
        let port = url.port_or_known_default()?;
        Some(Self { host: place(&url)?, port, path: segments(url.path()) })
    }

    /// Tells whether `url` is this address or below it, or at a host for which `is_tenants` is true, because the
    /// edges serve the hosts of tenants too. User and scheme of `url` are not compared.
    pub fn is_led_to_by(&self, url: &str, is_tenants: impl Fn(&str) -> bool) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let (Some(host), Some(port)) = (place(&url), url.port_or_known_default()) else { return false };
        let is_web_port = WEB.contains(&port);
        let is_own_port = port == self.port || is_web_port && WEB.contains(&self.port);
        if host == self.host && is_own_port {
            let path = segments(url.path());
            let callback = segments(PATH);
            return path.starts_with(&self.path) || path.windows(callback.len()).any(|part| part == callback);
        }
        match host {
            Place::Name(name) => (is_own_port || is_web_port) && is_tenants(&name),
            Place::Address(address) => (is_own_port || is_web_port) && is_tenants(&address.to_string()),
            Place::Here => false,
        }
    }
}

fn place(url: &Url) -> Option<Place> {
    let address = match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_here = name == "localhost" || name.ends_with(".localhost");
            return Some(if is_here { Place::Here } else { Place::Name(name) });
        }
        Host::Ipv4(address) => IpAddr::from(address),
        Host::Ipv6(address) => IpAddr::from(address).to_canonical(),
    };
    let is_here = address.is_loopback()
        || address == IpAddr::from(Ipv4Addr::UNSPECIFIED)
        || address == IpAddr::from(Ipv6Addr::UNSPECIFIED);
    Some(if is_here { Place::Here } else { Place::Address(address) })
}

/// Returns the segments of a path, decoded, in lower case, and without empty and dot segments.
fn segments(path: &str) -> Vec<String> {
    let mut path = path.to_owned();
    for _ in 0..ENCODED {
        path = decode(&path.replace('+', "%2B")).into_owned();
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment.to_ascii_lowercase()),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leads(public_url: &str, url: &str) -> bool {
        let own = OwnAddress::parse(public_url).expect("is a web address");
        own.is_led_to_by(url, |host| ["bbb.school.test", "2001:db8::7"].contains(&host))
    }

    #[test]
    fn the_public_address_is_known_however_it_is_written() {
        for url in [
            "https://bbb.example.org",
            "https://bbb.example.org/usher/callback/1abc",
            "HTTPS://BBB.Example.ORG/anything?x=1#y",
            "https://bbb.example.org:443/",
            "https://bbb.example.org./usher/callback/1abc",
            "https://user:password@bbb.example.org/",
            "http://bbb.example.org/",
            "http://bbb.example.org:443/",
            "https://bbb.ex%61mple.org/",
            "https://ＢＢＢ.example.org/",
            "https:\\\\bbb.example.org\\usher",
            "https://bbb\t.example.org/",
        ] {
            assert!(leads("https://bbb.example.org/", url), "{url}");
        }
        for url in [
            "https://app.example.org/",
            "https://example.org/",
            "https://bbb.example.org.evil.test/",
            "https://bbb.example.org@app.test/",
            "https://bbb.example.org:8443/",
            "https://app.test/usher/callback/1abc",
            "https://app.test/?bbb.example.org/usher/callback/",
            "nonsense",
            "mailto:x@bbb.example.org",
        ] {
            assert!(!leads("https://bbb.example.org/", url), "{url}");
        }
    }

    #[test]
    fn below_a_path_is_below_however_that_is_written() {
        let own = "https://example.org/lb/";
        for url in [
            "https://example.org/lb",
            "https://example.org/lb/x",
            "https://example.org//lb//x",
            "https://example.org/%6cb/x",
            "https://example.org/%256cb/x",
            "https://example.org/LB/",
            "https://example.org/app/../lb/",
            "https://example.org/app/%2e%2e/lb/",
            "https://example.org/app/%252e%252e%252flb/",
            "https://example.org/usher/callback/1abc",
            "https://example.org/other%2Fusher%2Fcallback%2F1abc",
        ] {
            assert!(leads(own, url), "{url}");
        }
        for url in ["https://example.org/", "https://example.org/app/lb", "https://example.org/lbx"] {
            assert!(!leads(own, url), "{url}: an application beside us");
        }
    }

    #[test]
    fn an_address_is_one_in_every_notation_and_so_is_this_machine() {
        for url in
            ["http://203.0.113.7:8080/x", "http://0xcb007107:8080/", "http://[::ffff:203.0.113.7]:8080/"]
        {
            assert!(leads("http://203.0.113.7:8080", url), "{url}");
        }
        assert!(!leads("http://203.0.113.7:8080", "http://203.0.113.8:8080/"));
        for url in [
            "http://127.0.0.1:8080/",
            "http://localhost:8080/",
            "http://LOCALHOST.:8080/",
            "http://x.localhost:8080/",
            "http://127.1:8080/",
            "http://0x7f000001:8080/",
            "http://2130706433:8080/",
            "http://0:8080/",
            "http://127.9.9.9:8080/",
            "http://[::1]:8080/",
            "http://[::]:8080/",
            "http://[::ffff:127.0.0.1]:8080/",
        ] {
            for own in ["http://127.0.0.1:8080", "http://localhost:8080/"] {
                assert!(leads(own, url), "{url}");
            }
        }
        assert!(!leads("http://127.0.0.1:8080", "http://127.0.0.1:8081/"), "an application on this machine");
    }

    #[test]
    fn the_hosts_of_tenants_are_the_edges_too() {
        for url in [
            "https://bbb.school.test/",
            "http://BBB.School.test./usher/callback/1",
            "https://bbb.school.test:8443/x",
            "https://[2001:DB8::7]/",
        ] {
            assert!(leads("https://bbb.example.org:8443", url), "{url}");
        }
        assert!(
            !leads("https://bbb.example.org:8443", "https://bbb.school.test:9000/"),
            "something else there"
        );
        assert!(!leads("https://bbb.example.org", "https://school.test/"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_a_lower_path_is_below(
            text in ".{0,80}", tail in "[ -~]{0,40}",
        ) {
            let own = OwnAddress::parse("https://bbb.example.org:8443").expect("is a web address");
            let _ = (OwnAddress::parse(&text), own.is_led_to_by(&text, |_| true));
            let url = format!("https://bbb.example.org:8443/{tail}");
            prop_assert!(own.is_led_to_by(&url, |_| false), "{}", url);
        }
    }
}
